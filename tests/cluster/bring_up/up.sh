#!/usr/bin/env bash
# up.sh [--nodes 2] [--gpus-per-node 4]: brings up a Kubernetes on this machine and prints its KUBECONFIG.
# A cluster that runs already is left as it is. Needs root; the first run builds everything.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
nodes=2 gpus=4
while [ $# -gt 0 ]; do
  case $1 in
    --nodes) nodes=$2 ;;
    --gpus-per-node) gpus=$2 ;;
    *) die "usage: $0 [--nodes 1..9] [--gpus-per-node N]" ;;
  esac
  shift 2
done
[ "$(id -u)" = 0 ] || die "needs root"
case $cache in /var/* | /run/*) die "the nodes have a /var and /run of their own: set TESTCLUSTER_CACHE to another place" ;; esac
export KUBECONFIG=$state/pki/admin.kubeconfig
mkdir -p "$cache"
exec 8>"$cache/up.lock"
flock 8
if [ -f "$state/complete" ] && pid_of kube-apiserver >/dev/null; then echo "$KUBECONFIG"; exit; fi

"$here/build.sh"
"$here/image.sh" system
"$here/down.sh"
mkdir -p "$state"/{run,log}
chmod 700 "$state"
# The next try begins by removing them.
told() { for l in "$state"/log/*.log; do [ ! -s "$l" ] || { echo "== $l"; tail -n 8 "$l" | cut -c1-400; }; done >&2; }
trap '[ $? = 0 ] || told' EXIT
"$here/pki.sh" "$nodes"
sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops >"$state/sysctl"
log "programs, images and certificates"

# The bridge is in the control plane's namespace; nothing routes out of these namespaces.
ip netns add ft-cp
ip -n ft-cp link set lo up
ip -n ft-cp link add ft-br type bridge
ip -n ft-cp addr add $api/24 dev ft-br
ip -n ft-cp link set ft-br up
ip netns exec ft-cp sysctl -qw net.ipv4.ip_forward=1
for n in $(seq "$nodes"); do
  ns=ft-node$n
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip link add "ft-n$n" netns ft-cp type veth peer name eth0 netns "$ns"
  ip -n ft-cp link set "ft-n$n" master ft-br up
  ip -n "$ns" addr add "10.200.0.1$n/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via $api
  ip netns exec "$ns" sysctl -qw net.ipv4.ip_forward=1
  for other in $(seq "$nodes"); do
    if [ "$other" != "$n" ]; then ip -n "$ns" route add "10.244.$other.0/24" via "10.200.0.1$other"; fi
  done
  ip -n ft-cp route add "10.244.$n.0/24" via "10.200.0.1$n"
done

"$here/storage.sh" up # before the nodes, which get a copy of the machine's mounts
"$here/control-plane.sh" up
for n in $(seq "$nodes"); do
  mkdir -p "$state/node$n"
  echo "$gpus" >"$state/node$n/gpus"
done
ready() { [ "$(kubectl get --raw /readyz --request-timeout 3s)" = ok ]; }
wait_for 300 "the API server" ready
log "API server ready"
for n in $(seq "$nodes"); do "$here/node.sh" up "$n"; done
kubectl apply -f "$here/dns.yaml" -f "$here/storage.yaml" >/dev/null
wait_for 300 "the nodes" kubectl wait --for=condition=Ready --timeout=1s $(seq -f 'node/node%g' "$nodes")
log "$nodes nodes Ready"
allocatable() { [ "$(kubectl get nodes -o jsonpath='{.items[*].status.allocatable.nvidia\.com/gpu}')" = "$(yes "$gpus" | head -n "$nodes" | xargs)" ]; }
if [ "$gpus" != 0 ]; then wait_for 180 "the GPUs" allocatable; fi
kubectl -n kube-system rollout status daemonset/coredns --timeout=300s >/dev/null
kubectl wait --for=create serviceaccount/default --timeout=120s >/dev/null
log "GPUs and DNS ready"
touch "$state/complete"
echo "$KUBECONFIG"
