#!/usr/bin/env bash
# image.sh build TAG BUILDAH-ARGUMENTS... CONTEXT
#     builds an image from a Dockerfile and loads it on every node of the running cluster and for clusters to come,
#     for instance: image.sh build localhost/trainer:test --target trainer .
#     BASE_IMAGE is Debian 12 with Python, made with debootstrap the first time
# image.sh load TAG       load an image that buildah knows
# image.sh program NAME   an image of one program of $bin and nothing else: localhost/NAME:1
# image.sh system         the pause and DNS images (used by up.sh)
# image.sh clone DIR      a copy of the image store for a new node (used by node.sh)
#
# Images are unpacked once, into a containerd store that no node runs on ("golden"). A node gets a copy of it made of
# hard links: image layers are never written to. Layers that a store has already are not sent to it again.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
store=$cache/images run=$cache/golden-run base=localhost/base:bookworm
blobs=io.containerd.content.v1.content/blobs/sha256
export TMPDIR=$store/tmp
mkdir -p "$TMPDIR" "$golden"
b() { buildah --root "$store/storage" --runroot "$store/run" --storage-driver overlay "$@"; }

lock() { exec 9>"$cache/golden.lock" && flock 9; } # one user of the golden store at a time

# thin_archive STORE: the OCI layout as an archive, without the blobs that the containerd STORE has
thin_archive() {
  local there=$1/$blobs manifest digest
  cd "$store/oci"
  manifest=$(grep -o 'sha256:[0-9a-f]*' index.json | head -1)
  # the manifest and the configuration are always sent, because containerd starts from them
  { echo "$manifest"; grep -o 'sha256:[0-9a-f]*' "blobs/${manifest/:/\/}"; } | sort -u | while IFS=: read -r _ digest; do
    if [ ! -f "$there/$digest" ] || [ "$(stat -c %s "$there/$digest")" -lt 100000 ]; then echo "blobs/sha256/$digest"; fi
  done | tar -cf - oci-layout index.json -T -
}
import_golden() { # from standard input
  mkdir -p "$run"
  cat >"$run/containerd.toml" <<Y
version = 3
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
Y
  # it ends with this script, even if this is killed, and holds none of its locks
  setpriv --pdeathsig KILL containerd --config "$run/containerd.toml" --root "$golden" --state "$run/state" \
    --address "$run/socket" >"$run/log" 2>&1 8>&- 9>&- &
  local pid=$!
  # shellcheck disable=SC2064
  trap "kill $pid" EXIT
  wait_for 120 "the golden containerd" ctr --address "$run/socket" version
  ctr --address "$run/socket" --namespace k8s.io images import --snapshotter overlayfs - >&2
  kill $pid
  wait $pid || true
  trap - EXIT
}
load() { # TAG
  lock
  rm -f "$store/oci/index.json"
  # skopeo, because buildah always compresses what it pushes to an OCI layout; layers that lie there are not written again
  skopeo --insecure-policy copy --quiet --dest-oci-accept-uncompressed-layers \
    "containers-storage:[overlay@$store/storage+$store/run]$1" "oci:$store/oci:$1"
  thin_archive "$golden" | import_golden
  ln -f "$golden/$blobs"/* "$store/oci/blobs/sha256/" # one copy on disk is enough,
  find "$store/oci/blobs" -type f -links 1 -delete     # and what only the layout has is from older builds
  for n in $(running_nodes); do
    thin_archive "$state/node$n/var/lib/containerd" | in_node "$n" ctr --namespace k8s.io images import --snapshotter overlayfs - >&2
  done
}

program_image() { # NAME
  local mark c
  mark=$golden/program-$1-$(sha256sum <"$bin/$1" | cut -c1-16)
  if [ -f "$mark" ]; then return; fi
  c=$(b from scratch)
  b copy --quiet "$c" "$bin/$1" "/$1" >/dev/null
  b config --entrypoint "[\"/$1\"]" --cmd '' "$c"
  b commit --quiet --rm "$c" "localhost/$1:1" >/dev/null
  load "localhost/$1:1"
  touch "$mark"
}

case ${1:-} in
  system)
    program_image pause
    program_image coredns
    ;;
  program) program_image "$2" ;;
  clone)
    lock
    mkdir -p "$2"
    cp -al "$golden/." "$2"
    # databases are written in place: these must be copies
    find "$2" -name '*.db' -exec cp --remove-destination {} {}.copy \; -exec mv {}.copy {} \;
    ;;
  load) load "$2" ;;
  build)
    "$here/build.sh"
    tag=$2
    shift 2
    # one build at a time; what builds that were killed have left can be gigabytes
    exec 6>"$cache/images.lock" && flock 6
    b rm --all >/dev/null
    rm -rf --one-file-system "${TMPDIR:?}"/*
    if ! b images --quiet $base >/dev/null 2>&1; then
      root=$(mktemp -d)
      mirror=$(apt-cache policy | awk '$2 ~ /^http/ && /bookworm\/main/ {print $2; exit}')
      # debootstrap mounts /proc into it; in a mount namespace of its own that is gone with its processes, also if they are killed
      unshare --mount debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$root" ${mirror:+"$mirror"} >&2
      rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb
      c=$(b from scratch)
      b add --quiet "$c" "$root" / >/dev/null
      b commit --quiet --rm "$c" $base >/dev/null
      rm -rf "$root"
    fi
    secrets=()
    for conf in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/pip.conf; do
      if [ -f "$conf" ]; then secrets=(--secret "id=pip,src=$conf") && break; fi
    done
    if [ -f "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" ]; then
      secrets+=(--secret "id=ca,src=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}")
    fi
    b build "${secrets[@]}" --isolation chroot --layers --pull-never --format docker --build-arg BASE_IMAGE=$base --tag "$tag" "$@" >&2
    load "$tag"
    b rmi --prune >/dev/null # images that lost their tag to this one
    ;;
  *) die "usage: see the head of $0" ;;
esac
