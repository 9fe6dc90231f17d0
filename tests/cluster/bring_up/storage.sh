#!/usr/bin/env bash
# storage.sh up|down: folders of this machine from which volumes are made (storage.yaml). All nodes see them at the same path,
# so a volume can be mounted by several nodes at once. plain: as fast as the disk. slow: 4 MiB/s, 0.1 s per fsync. small: all its
# volumes together hold 64 MiB.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
storage=$state/storage
case ${1:-} in
  up)
    mkdir -p "$storage"/{plain,slow,small,behind-slow}
    mount -t tmpfs -o size=64m ft-small "$storage/small"
    start slowfs slowfs "$storage/behind-slow" "$storage/slow"
    wait_for 60 "the slow file system" mountpoint "$storage/slow"
    ;;
  down)
    for folder in slow small; do
      if [ -n "$(awk -v m="$storage/$folder" '$5 == m' /proc/self/mountinfo)" ]; then
        umount -l "$storage/$folder"
      fi
    done
    stop slowfs KILL
    ;;
  *) die "usage: $0 up|down" ;;
esac
