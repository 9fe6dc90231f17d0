#!/usr/bin/env bash
# pki.sh NODES: certificates and kubeconfigs of a new cluster, in $state/pki
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mkdir -p "$state/pki"
cd "$state/pki"
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

openssl req -x509 "${key[@]}" -days 365 -subj /CN=testcluster -keyout ca.key -out ca.crt 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out service-account.key
openssl ec -in service-account.key -pubout -out service-account.pub 2>/dev/null

certificate() { # NAME SUBJECT [ALTERNATIVE-NAMES]
  openssl req "${key[@]}" -subj "$2" -keyout "$1.key" 2>/dev/null |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out "$1.crt" 2>/dev/null -extfile <(
      echo keyUsage=critical,digitalSignature
      echo extendedKeyUsage=serverAuth,clientAuth
      if [ -n "${3:-}" ]; then echo "subjectAltName=$3"; fi
    )
}
kubeconfig() { # NAME SUBJECT SERVER
  [ -f "$1.crt" ] || certificate "$1" "$2"
  cat >"$1.kubeconfig" <<Y
apiVersion: v1
kind: Config
clusters: [{name: testcluster, cluster: {server: "$3", certificate-authority: $PWD/ca.crt}}]
users: [{name: $1, user: {client-certificate: $PWD/$1.crt, client-key: $PWD/$1.key}}]
contexts: [{name: testcluster, context: {cluster: testcluster, user: $1}}]
current-context: testcluster
Y
}
names=kubernetes.default.svc
certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:$names,DNS:$names.cluster.local,IP:127.0.0.1,IP:10.96.0.1,IP:$api"
certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
certificate front-proxy /CN=front-proxy-client
kubeconfig admin /O=system:masters/CN=admin "https://127.0.0.1:$api_port"
for component in kube-controller-manager kube-scheduler kube-proxy; do
  kubeconfig $component "/CN=system:$component" "https://$api:6443"
done
for helper in netpol provisioner; do kubeconfig $helper "/O=system:masters/CN=$helper" "https://$api:6443"; done
for n in $(seq "$1"); do
  certificate "node$n" "/O=system:nodes/CN=system:node:node$n" "DNS:node$n,IP:10.200.0.1$n"
  kubeconfig "node$n" "" "https://$api:6443"
done
