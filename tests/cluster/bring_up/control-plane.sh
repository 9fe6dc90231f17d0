#!/usr/bin/env bash
# control-plane.sh COMMAND
#   up, down                     etcd, API server, controller manager, scheduler and the provisioner of volumes in the network
#                                namespace ft-cp, and the API server's way to the machine's own loopback
#   start C, stop C [SIGNAL]     one of them
#   signal C SIGNAL              STOP hangs it, CONT lets it go on
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pki=$state/pki
components=(etcd kube-apiserver kube-controller-manager kube-scheduler provisioner api-inside api-outside)

run() { start "$1" nsenter --net=/run/netns/ft-cp "${@:2}"; }
controller() { # what the controller manager and the scheduler have in common
  run "$1" "$1" --kubeconfig="$pki/$1.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false --profiling=false \
    --kube-api-qps=1000 --kube-api-burst=2000 "${@:2}"
}
start_component() {
  case $1 in
    etcd)
      run etcd etcd --name test --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster test=http://127.0.0.1:2380
      ;;
    kube-apiserver)
      # aggregator routing: no kube-proxy serves the control plane, so webhooks are reached by their pods' addresses
      run kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address=$api \
        --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --allow-privileged=true --profiling=false --client-ca-file="$pki/ca.crt" --enable-aggregator-routing=true \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$pki/service-account.pub" --service-account-signing-key-file="$pki/service-account.key" \
        --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
        --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
        --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --audit-policy-file="$here/audit.yaml" --audit-log-path="$state/log/audit.log" --audit-log-maxsize=1000 \
        --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key"
      ;;
    kube-controller-manager)
      controller "$1" --use-service-account-credentials=true --service-account-private-key-file="$pki/service-account.key" \
        --root-ca-file="$pki/ca.crt" --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
        --concurrent-job-syncs=20 --node-monitor-grace-period="${TESTCLUSTER_NODE_GRACE:-12s}"
      ;;
    kube-scheduler)
      controller "$1" --authentication-kubeconfig="$pki/$1.kubeconfig" --authorization-kubeconfig="$pki/$1.kubeconfig"
      ;;
    provisioner) run provisioner provisioner -kubeconfig "$pki/provisioner.kubeconfig" -root "$state/storage" ;;
    # The machine's loopback and the control plane's meet in a unix socket, so no route connects the two. Without nodelay
    # the second half of every longer answer waits 40 ms for the first to be acknowledged.
    api-inside) run api-inside socat "UNIX-LISTEN:$state/run/api.sock,fork,unlink-early" TCP:127.0.0.1:6443,nodelay ;;
    api-outside)
      start api-outside socat "TCP-LISTEN:$api_port,bind=127.0.0.1,fork,reuseaddr,nodelay" "UNIX-CONNECT:$state/run/api.sock"
      ;;
    *) die "unknown component $1" ;;
  esac
}
case ${1:-} in
  up) for c in "${components[@]}"; do start_component "$c"; done ;;
  down) for ((i = ${#components[@]} - 1; i >= 0; i--)); do stop "${components[i]}" KILL; done ;; # its data goes as well
  start) start_component "$2" ;;
  stop) stop "$2" "${3:-TERM}" ;;
  signal) kill "-$3" "$(pid_of "$2")" ;;
  *) die "usage: see the head of $0" ;;
esac
