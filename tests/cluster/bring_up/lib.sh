# shellcheck shell=bash disable=SC2034
# Places, names and helpers shared by the scripts of this directory. Nothing is kept outside $cache.
#   TESTCLUSTER_CACHE       programs, images and the running cluster; not below /var or /run (~/.cache/finetune-testcluster)
#   TESTCLUSTER_IMAGES      the unpacked images with which nodes start (golden in the cache); another place has only the cluster's own
#   TESTCLUSTER_API_PORT    the API server's port on 127.0.0.1 (16443)
#   TESTCLUSTER_NODE_GRACE  how long until a silent node is NotReady (12s; Kubernetes' own default is 50s)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TESTCLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/finetune-testcluster}
bin=$cache/bin golden=${TESTCLUSTER_IMAGES:-$cache/golden} state=$cache/state
api_port=${TESTCLUSTER_API_PORT:-16443}
api=10.200.0.1 # the control plane's address on the bridge; node N is 10.200.0.(10+N), its pods 10.244.N.0/24
export PATH=$bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

die() { echo "error: $*" >&2; exit 1; }
begin=${EPOCHREALTIME/./}
log() { local ms=$(((${EPOCHREALTIME/./} - begin) / 1000)); printf '%3d.%01d s  %s\n' $((ms / 1000)) $((ms % 1000 / 100)) "$*" >&2; }

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || die "timed out waiting for $what (logs: $state/log)"
    sleep 0.1
  done
}

# A process is known by its pid and start time, so that a reused pid is never mistaken for it.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'; } # nothing for a zombie
pid_of() {
  local pid at
  read -r pid at 2>/dev/null <"$state/run/$1.pid" && [ -n "$at" ] && [ "$(started_at "$pid")" = "$at" ] && echo "$pid"
}
# start NAME COMMAND...: runs a daemon in the background unless it runs already
start() {
  local name=$1
  shift
  pid_of "$name" >/dev/null && return
  # 8 and 9 are locks of the callers. The mark lets down.sh find what a killed script has started and not written down.
  # GOGC: the garbage collector took a third of the API server's time, and there is more memory than cores.
  GOGC=400 FINETUNE_TESTCLUSTER=$cache setsid "$@" >>"$state/log/$name.log" 2>&1 </dev/null 8>&- 9>&- &
  echo "$! $(started_at $!)" >"$state/run/$name.pid"
}
# stop NAME [SIGNAL]: ends a daemon and waits until it is gone
stop() {
  local pid
  if pid=$(pid_of "$1"); then
    kill "-${2:-TERM}" "$pid"
    for _ in {1..100}; do pid_of "$1" >/dev/null || break; sleep 0.1; done
    ! pid_of "$1" >/dev/null || kill -KILL "$pid"
  fi
  rm -f "$state/run/$1.pid"
}

marked() { grep -lsxzF "FINETUNE_TESTCLUSTER=$cache" /proc/[0-9]*/environ | cut -d/ -f3; } # processes of this cluster
running_nodes() { for n in {1..9}; do pid_of "node$n" >/dev/null && echo "$n"; done; return 0; }
in_node() { local n=$1; shift; nsenter -t "$(pid_of "node$n")" --mount --net --uts -- "$@"; }
