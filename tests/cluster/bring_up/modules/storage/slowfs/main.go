// slowfs shows a folder through a file system that reads and writes at so many bytes a second, all users together, and
// takes its time for each fsync: the overloaded network storage that checkpoints meet in practice.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

type slow struct {
	fuse.RawFileSystem
	rate float64
	sync time.Duration
	mu   sync.Mutex // one disk: requests queue
}

func (s *slow) wait(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	time.Sleep(time.Duration(float64(bytes) / s.rate * float64(time.Second)))
}

func (s *slow) Read(cancel <-chan struct{}, in *fuse.ReadIn, buffer []byte) (fuse.ReadResult, fuse.Status) {
	result, status := s.RawFileSystem.Read(cancel, in, buffer)
	if status.Ok() {
		s.wait(result.Size())
	}
	return result, status
}

func (s *slow) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	s.wait(len(data))
	return s.RawFileSystem.Write(cancel, in, data)
}

// Writev is tried before Write; without it every write comes by the way above.
func (s *slow) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (s *slow) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	time.Sleep(s.sync)
	return s.RawFileSystem.Fsync(cancel, in)
}

func main() {
	rate := flag.Float64("bytes-per-second", 4<<20, "for all reads and writes together")
	latency := flag.Duration("fsync", 100*time.Millisecond, "how long an fsync takes")
	flag.Parse()
	folder, mountpoint := flag.Arg(0), flag.Arg(1)
	root, err := fs.NewLoopbackRoot(folder)
	if err != nil {
		log.Fatal(err)
	}
	server, err := fuse.NewServer(
		&slow{RawFileSystem: fs.NewNodeFS(root, &fs.Options{}), rate: *rate, sync: *latency}, mountpoint,
		&fuse.MountOptions{AllowOther: true, DirectMountStrict: true, FsName: "slowfs", Name: "slowfs", Options: []string{"default_permissions"},
			DisabledCapabilities: fuse.CAP_PASSTHROUGH}) // the kernel would go around us
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		os.Exit(0) // the mount is taken away by who made us
	}()
	server.Serve()
}
