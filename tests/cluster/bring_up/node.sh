#!/usr/bin/env bash
# node.sh COMMAND N ...
#   up N                 start node N, or start it again after kill
#   kill N               switch it off: every process of it, containers too, ends at once
#   freeze N, thaw N     hang it and let it go on
#   cut N, join N        take its network away and give it back
#   stop N COMPONENT     end containerd, kubelet, kube-proxy, netpol or fakegpu (a third argument is the signal)
#   start N COMPONENT    and start it again
#   signal N COMPONENT S send it a signal: USR1 breaks the first device of fakegpu, USR2 mends it
#   exec N PROGRAM ...   run a program inside it, for instance: ctr -n k8s.io images ls
set -euo pipefail
. "$(dirname "$0")/lib.sh"
command=${1:?usage: see the head of $0} n=${2:?usage: see the head of $0}
node=node$n dir=$state/node$n cgroup=ft-node$n

# cgroups: one hierarchy in version 2, several in version 1. The node's daemons live in $cgroup/system, its pods beside.
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then version=2 hierarchies=/sys/fs/cgroup; else
  version=1 hierarchies=$(awk '/ - cgroup / {print $5}' /proc/self/mountinfo)
fi
make_cgroups() {
  local h c
  for h in $hierarchies; do
    mkdir -p "$h/$cgroup/system"
    if [ $version = 2 ]; then
      for c in $(cat "$h/cgroup.controllers"); do echo "+$c" >"$h/cgroup.subtree_control"; done
      for c in $(cat "$h/$cgroup/cgroup.controllers"); do echo "+$c" >"$h/$cgroup/cgroup.subtree_control"; done
    elif [ -f "$h/cpuset.cpus" ]; then # a cpuset of version 1 starts empty
      for c in cpuset.cpus cpuset.mems; do cat "$h/$c" >"$h/$cgroup/$c" && cat "$h/$c" >"$h/$cgroup/system/$c"; done
    fi
  done
}
join_cgroups() { local h; for h in $hierarchies; do echo $$ >"$h/$cgroup/system/cgroup.procs"; done; }
groups() { find /sys/fs/cgroup/*/"$cgroup" /sys/fs/cgroup/"$cgroup" -depth -type d 2>/dev/null || true; }
# of every hierarchy: a process that is just joining them is in some and not yet in others
members() { find /sys/fs/cgroup/*/"$cgroup" /sys/fs/cgroup/"$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u || true; }
freeze() { # 1 or 0
  if [ $version = 2 ]; then echo "$1" >"/sys/fs/cgroup/$cgroup/cgroup.freeze"; else
    if [ "$1" = 1 ]; then echo FROZEN; else echo THAWED; fi >"/sys/fs/cgroup/freezer/$cgroup/freezer.state"
  fi
}
is_frozen() {
  if [ $version = 2 ]; then grep -qx 'frozen 1' "/sys/fs/cgroup/$cgroup/cgroup.events"; else
    grep -qx FROZEN "/sys/fs/cgroup/freezer/$cgroup/freezer.state"
  fi
}
end_members() {
  local pids
  freeze 0 2>/dev/null || true
  for _ in {1..100}; do
    pids=$(members)
    # shellcheck disable=SC2086
    [ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
    # busy until the last of its processes is really gone
    groups | xargs -r rmdir 2>/dev/null || true
    [ -n "$(groups)" ] || break
    sleep 0.05
  done
  rm -f "$state/run/$node".pid "$state/run/$node"-*.pid
}

configure() {
  mkdir -p "$dir"/{cni,var/{lib,log,tmp,cache}}
  ln -sfn /run "$dir/var/run"
  if [ ! -d "$dir/var/lib/containerd" ]; then "$here/image.sh" clone "$dir/var/lib/containerd"; fi
  echo "nameserver 10.96.0.10" >"$dir/resolv.conf"
  cat >"$dir/cni/10-pods.conflist" <<Y
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false, "ipam": {
  "type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "10.244.$n.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
Y
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE a negative score is refused, and runc dies of it.
  cat >"$dir/containerd.toml" <<Y
version = 3
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  pinned_images = {sandbox = "localhost/pause:1"}
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  cni = {bin_dirs = ["/usr/lib/cni"], conf_dir = "$dir/cni"}
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    options = {SystemdCgroup = false}
Y
  cat >"$dir/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $state/pki/$node.crt
tlsPrivateKeyFile: $state/pki/$node.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: $dir/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 5s
nodeLeaseDurationSeconds: 8
Y
  cat >"$dir/kube-proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $state/pki/kube-proxy.kubeconfig}
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
Y
}

start_inside() {
  local c="$node-$1"
  case $1 in
    containerd)
      start "$c" containerd --config "$dir/containerd.toml"
      wait_for 120 containerd ctr version
      ;;
    kubelet) start "$c" kubelet --config="$dir/kubelet.yaml" --kubeconfig="$state/pki/$node.kubeconfig" --node-ip="10.200.0.1$n" ;;
    kube-proxy) start "$c" kube-proxy --config="$dir/kube-proxy.yaml" --hostname-override="$node" ;;
    netpol) start "$c" netpol -kubeconfig "$state/pki/netpol.kubeconfig" -node "$node" ;;
    fakegpu) start "$c" fakegpu -count "$(cat "$dir/gpus")" ;;
    *) die "unknown component $1" ;;
  esac
}

case $command in
  up)
    if pid_of "$node" >/dev/null; then exit; fi
    configure
    make_cgroups
    start "$node" nsenter --net="/run/netns/ft-$node" unshare --mount --uts --propagation private "$here/node.sh" boot "$n"
    ;;
  boot) # inside the node's namespaces: /var and /run are its own, so two kubelets share a machine
    join_cgroups
    hostname "$node"
    mount --bind "$dir/var" /var
    mount -t tmpfs tmpfs /run
    mount --make-rshared /
    for c in containerd kubelet kube-proxy netpol; do start_inside $c; done
    [ "$(cat "$dir/gpus")" = 0 ] || start_inside fakegpu
    exec sleep infinity
    ;;
  start) in_node "$n" "$here/node.sh" start-inside "$n" "$3" ;;
  start-inside) join_cgroups; start_inside "$3" ;;
  stop) stop "$node-$3" "${4:-TERM}" ;;
  signal) kill "-$4" "$(pid_of "$node-$3")" ;;
  kill) end_members ;;
  freeze)
    freeze 1
    for _ in {1..100}; do is_frozen && break; sleep 0.1; done # the kernel does it by and by
    ;;
  thaw) freeze 0 ;;
  cut) ip -n ft-cp link set "ft-n$n" down ;;
  join) ip -n ft-cp link set "ft-n$n" up ;;
  exec) in_node "$n" "${@:3}" ;;
  *) die "unknown command $command" ;;
esac
