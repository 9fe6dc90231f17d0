#!/usr/bin/env bash
# down.sh: ends the cluster and removes its state; programs and images stay in the cache. Also after an up.sh that was killed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
for n in {1..9}; do
  if [ -d "$state/node$n" ]; then "$here/node.sh" kill "$n"; fi
done
"$here/control-plane.sh" down
# shellcheck disable=SC2046
kill -KILL $(marked) 2>/dev/null || true
# what a killed up.sh had still been starting may have joined a node's cgroups after the node had ended
for n in {1..9}; do
  if compgen -G "/sys/fs/cgroup/*/ft-node$n" >/dev/null || [ -d "/sys/fs/cgroup/ft-node$n" ]; then "$here/node.sh" kill "$n"; fi
done
"$here/storage.sh" down
for ns in $(ip netns list | awk '/^ft-(cp|node[0-9])( |$)/ {print $1}'); do ip netns delete "$ns"; done
# buildah binds its store to itself and leaves that; while an image is being built it is busy and stays
if [ -n "$(awk -v m="$cache/images/storage/overlay" '$5 == m' /proc/self/mountinfo)" ]; then
  umount "$cache/images/storage/overlay" 2>/dev/null || true
fi
# the kubelet sets some kernel parameters of the machine: back to what they were
if [ -f "$state/sysctl" ]; then sysctl -q -p "$state/sysctl"; fi
# unlinking tens of thousands of hard links can take a while, so it happens in the background
mkdir -p "$cache/trash"
if [ -d "$state" ]; then mv "$state" "$(mktemp -d "$cache/trash/XXXXXX")"; fi
FINETUNE_TESTCLUSTER=$cache setsid rm -rf "$cache"/trash/* >/dev/null 2>&1 </dev/null 8>&- &
