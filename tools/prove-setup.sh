#!/usr/bin/env bash
# Proves set-up on a bare Debian: debootstraps a minimal root, clones this repository into it, and runs the README's first command there,
# as a new user would. Takes minutes and some hundred MB of downloads; by hand or nightly, as root.
#
#   tools/prove-setup.sh [SUITE]      bookworm when not named
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -n 's/^URIs: \(.*debian\)$/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' | head -1 || true)
[ "$(id -u)" = 0 ] || { echo "prove-setup: needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "prove-setup: needs debootstrap: apt-get install debootstrap" >&2; exit 1; }
[ -n "$mirror" ] || { echo "prove-setup: apt's sources name no Debian mirror" >&2; exit 1; }

base=$(mktemp -d /var/tmp/skerry-bare-XXXXXX)
root=$base/root
cleanup() {
  [ -x "$root/root/skerry/node_modules/.bin/node" ] && in_root ./skerry down -v >/dev/null 2>&1
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

echo "prove-setup: making a bare $suite root"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$base/debootstrap.log"
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

in_root ./skerry up --api-port 26443 --link-port 20000
in_root ./skerry kubectl get pods -o wide
in_root ./skerry kubectl wait --for=condition=Available deployment/hello --timeout=60s
in_root ./skerry check
in_root ./skerry down -v
for left in /etc/skerry /var/lib/skerry /run/skerry /var/log/skerry; do
  [ ! -e "$root$left" ] || { echo "prove-setup: $left is left" >&2; exit 1; }
done
echo "prove-setup: $suite ok"
