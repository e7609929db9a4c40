#!/usr/bin/env bash
# Proves set-up on a bare Debian: debootstraps a minimal root, clones this repository into it, and runs the README's first command there,
# as a new user would. Takes minutes and some hundred MB of downloads; by hand or nightly, as root.
#
#   tools/prove-setup.sh [SUITE [ARCHITECTURE]]      bookworm and this machine's when not named; arm64
#
# Programs of another architecture are emulated one by one (qemu-user-static, binfmt-support), which takes half an hour and more. A process that
# is emulated reads another start time of itself than others do, by which daemons are told from strangers, so up and pods are left out there:
# what is proved is the launcher's set-up, the edge's packages, its built-in images, and a cloud that this machine's own kubectl asks.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
native=$(dpkg --print-architecture)
arch=${2:-$native}
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -n 's/^URIs: \(.*debian\)$/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' | head -1 || true)
[ "$(id -u)" = 0 ] || { echo "prove-setup: needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "prove-setup: needs debootstrap: apt-get install debootstrap" >&2; exit 1; }
case $arch in
  "$native") emulator= ;;
  arm64) emulator=qemu-aarch64 ;;
  *) echo "prove-setup: no way is known to prove $arch here: amd64 on such a machine, or arm64" >&2; exit 1 ;;
esac
if [ -n "$emulator" ] && [ ! -e "/proc/sys/fs/binfmt_misc/$emulator" ]; then
  echo "prove-setup: $emulator is not known to the kernel: apt-get install qemu-user-static binfmt-support" >&2
  exit 1
fi
[ -n "$mirror" ] || { echo "prove-setup: apt's sources name no Debian mirror" >&2; exit 1; }

base=$(mktemp -d /var/tmp/skerry-bare-XXXXXX)
root=$base/root
cleanup() {
  set +e
  if [ -n "$emulator" ]; then
    for process in /proc/[0-9]*; do [ "$(readlink "$process/root")" = "$root" ] && kill "${process#/proc/}"; done
    wait
  elif [ -x "$root/root/skerry/node_modules/.bin/node" ]; then
    in_root ./skerry down -v >/dev/null 2>&1
  fi
  umount -R -l "$root" 2>/dev/null
  rm -rf --one-file-system "$base"
}
in_root() {
  local pass=(HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb)
  local name
  for name in http_proxy https_proxy no_proxy; do [ -n "${!name:-}" ] && pass+=("$name=${!name}"); done
  [ -n "${NODE_EXTRA_CA_CERTS:-}" ] && pass+=(NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt)
  chroot "$root" env -i "${pass[@]}" bash -c 'cd /root/skerry && exec "$@"' bash "$@"
}
trap cleanup EXIT

echo "prove-setup: making a bare $suite root for $arch"
debootstrap --arch="$arch" --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$base/debootstrap.log"
# A container's root must be pivoted from a mount point.
mount --bind "$root" "$root" && mount --make-private "$root"
mount -t proc proc "$root/proc"
for dir in sys dev; do mount --rbind "/$dir" "$root/$dir" && mount --make-rslave "$root/$dir"; done
mount -t tmpfs tmpfs "$root/run"
cp /etc/resolv.conf "$root/etc/"
cp /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
# Where this machine trusts CAs of its own, to reach its registries, the bare one must too.
cp /usr/local/share/ca-certificates/* "$root/usr/local/share/ca-certificates/" 2>/dev/null && chroot "$root" update-ca-certificates >/dev/null 2>&1
git clone -q . "$root/root/skerry"

if [ -n "$emulator" ]; then
  in_root ./skerry version
  in_root node_modules/.bin/node -e 'import("./packages/cli/src/setup/packages.ts").then((setup) => setup.installNeeds(setup.missingNeeds(), AbortSignal.timeout(3_600_000)))'
  in_root ./skerry check
  images=$(in_root node_modules/.bin/node -e 'import("./packages/agent/src/images/builtin-images.ts").then(async ({ builtinImages }) => {
    for (const image of await builtinImages(process.arch)) console.log(image.name, (await image.recipe()).architecture);
  })')
  echo "$images"
  [ "$(cut -d ' ' -f 2 <<<"$images" | sort -u)" = "$arch" ] || { echo "prove-setup: these are not images for $arch" >&2; exit 1; }

  in_root ./skerry cloud --api-port 26443 --link-port 20000 >"$base/cloud.log" 2>&1 &
  kubectl=$(node_modules/.bin/node tools/kubectl/install.ts 1.35)
  kube() { "$kubectl" --kubeconfig "$root/etc/skerry/kubeconfig" --request-timeout=60s "$@"; }
  deadline=$((SECONDS + 900))
  until kube get --raw /readyz >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { cat "$base/cloud.log" >&2; echo "prove-setup: the cloud does not answer" >&2; exit 1; }
    sleep 2
  done
  kube get --raw /version | grep -q "\"platform\":\"linux/$arch\"" || { echo "prove-setup: the cloud is not one for $arch" >&2; exit 1; }
  kube create deployment hello --image=skerry.local/hello:1 --replicas=2
  kube wait --for=jsonpath='{.status.replicas}'=2 deployment/hello --timeout=300s
  kube get deployments,pods
  echo "prove-setup: $suite for $arch ok"
  exit
fi
in_root ./skerry up --api-port 26443 --link-port 20000
in_root ./skerry kubectl get pods -o wide
in_root ./skerry kubectl wait --for=condition=Available deployment/hello --timeout=60s
in_root ./skerry check
in_root ./skerry down -v
for left in /etc/skerry /var/lib/skerry /run/skerry /var/log/skerry; do
  [ ! -e "$root$left" ] || { echo "prove-setup: $left is left" >&2; exit 1; }
done
echo "prove-setup: $suite ok"
