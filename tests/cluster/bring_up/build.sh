#!/usr/bin/env bash
# build.sh [MODULE ...]: builds the cluster's programs from pinned Go modules into the cache; a warm run only compares hashes.
# Without arguments all that up.sh needs; with arguments these folders of modules/, for instance kwok.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
mkdir -p "$bin" "$cache/built"

packages=(buildah containernetworking-plugins debootstrap iproute2 nftables openssl runc skopeo socat)
missing=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null | awk '$2 == "installed" {print $1}' |
  grep -vxFf - <(printf '%s\n' "${packages[@]}") || true)
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || die "these packages are missing: $missing"
  # shellcheck disable=SC2086
  apt-get install -y --no-install-recommends $missing >&2 ||
    { apt-get update >&2 && apt-get install -y --no-install-recommends $missing >&2; }
fi

# Go 1.27 builds an API server whose OpenAPI document is broken, so the version is part of the recipe.
export GOTOOLCHAIN=local CGO_ENABLED=0
toolchain=$(go env GOVERSION)
[[ $toolchain == go1.26.* ]] || die "Go 1.26 is needed, found ${toolchain:-none}"

brought() { # brought TARGET MODULE FOLDER: copies a folder of a module; the module cache is read-only, the copy is not
  cp -r "$(go list -m -f '{{.Dir}}' "$2")/$3" "$1"
  chmod -R u+w "$1"
}

modules=(kubernetes etcd containerd coredns storage helm)
[ $# = 0 ] || modules=("$@")
for module in "${modules[@]}"; do
  cd "$here/modules/$module"
  # shellcheck disable=SC2046
  key=$(cat go.mod go.sum $(find . -name '*.go' | sort) <(echo "$toolchain") | sha256sum | cut -c1-16)
  out=$cache/built/$module-$key
  exec 7>"$cache/built/$module.lock"
  [ -d "$out" ] || flock 7 # two at once would write into the same folder
  if [ ! -d "$out" ]; then
    echo "building $module" >&2
    flags="-s -w"
    version=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ {print $2}' go.mod)
    if [ -n "$version" ]; then
      minor=${version#v1.}
      for variable in "Version=$version" "Major=1" "Minor=${minor%%.*}" "TreeState=clean"; do
        flags+=" -X k8s.io/component-base/version.git$variable -X k8s.io/client-go/pkg/version.git$variable"
      done
    fi
    rm -rf "$out.part"
    mkdir "$out.part"
    # remove_all_sd: Prometheus without its forty ways to find targets
    go build -trimpath -buildvcs=false -tags remove_all_sd -ldflags "$flags" -o "$out.part/" tool ./... 2> >(grep -v 'matched no packages' >&2)
    # What is applied beside a program comes with its module.
    case $module in
      kueue) brought "$out.part/kueue-chart" sigs.k8s.io/kueue charts/kueue ;;
      kubeflow-trainer) brought "$out.part/trainer-manifests" github.com/kubeflow/trainer/v2 manifests/base ;;
      jobset) brought "$out.part/jobset-manifests" sigs.k8s.io/jobset config/components ;;
    esac
    mv "$out.part" "$out"
  fi
  ln -sfn "$out"/* "$bin/"
done
