#!/usr/bin/env bash
# Proves Skerry on a machine as users have it: systemd is process 1, cgroups are of version 2, and a user without root calls ./skerry, which goes
# through sudo. Builds a small Debian, boots it, and runs tools/prove-guest/proof.sh there as that user, across two real reboots.
#
#   tools/prove-guest.sh [SUITE [ARCHITECTURE]]      bookworm and amd64 when not named; trixie, arm64
#
# Needs root, debootstrap, e2fsprogs, and something to boot it in without KVM: User-Mode Linux (Debian 12's package user-mode-linux), whose
# programs run at the machine's own speed, or else QEMU (qemu-system-x86), which emulates them: twenty times slower and more. By hand or nightly:
# up to an hour in the first, hours in the second on a busy machine. What costs most is done in a chroot before: the launcher's
# own set-up, with npm from Debian and the packages from npm, called by the guest's user. The guest reaches no network: apt finds there what was
# fetched for it, and installs it as it does everywhere.
#
# A guest of arm64 is emulated wholly (qemu-system-arm), and so is what is done for it in the chroot (qemu-user-static).
#
#   PROVE_GUEST_BASE=DIR        a debootstrapped root to start from, with a kernel when it is for QEMU; made there when there is none
#   PROVE_GUEST_KUBECTL=FILE    for arm64, a kubectl of that architecture: npm has none to bring
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm}
architecture=${2:-amd64}
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -n 's/^URIs: \(.*debian\)$/\1/p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p' | head -1 || true)
[ "$(id -u)" = 0 ] || { echo "prove-guest: needs root" >&2; exit 1; }
case $architecture in
  amd64)
    if command -v linux.uml >/dev/null; then machine=linux.uml; else machine=qemu-system-x86_64; fi
    needs_here=(debootstrap mke2fs "$machine")
    ;;
  arm64)
    machine=qemu-system-aarch64
    needs_here=(debootstrap mke2fs "$machine" qemu-aarch64-static)
    [ -x "${PROVE_GUEST_KUBECTL:-}" ] || { echo "prove-guest: for arm64, name a kubectl of that architecture in PROVE_GUEST_KUBECTL" >&2; exit 1; }
    ;;
  *)
    echo "prove-guest: $architecture is neither amd64 nor arm64" >&2
    exit 1
    ;;
esac
for tool in "${needs_here[@]}"; do
  command -v "$tool" >/dev/null && continue
  echo "prove-guest: $tool is missing: apt-get install debootstrap e2fsprogs, and user-mode-linux or qemu-system-x86, or qemu-system-arm and qemu-user-static" >&2
  exit 1
done
[ -n "$mirror" ] || { echo "prove-guest: apt's sources name no Debian mirror" >&2; exit 1; }
bash tools/setup.sh

work=$(mktemp -d /var/tmp/skerry-guest-XXXXXX)
root=$work/root
cleanup() {
  [ -z "${guest:-}" ] || kill "$guest" 2>/dev/null || true
  umount -R -l "$root" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
say() { echo "prove-guest: $* ($((SECONDS / 60))m$((SECONDS % 60))s)"; }

# What such a machine has before, and what ./skerry up brings.
packages=ca-certificates,dbus,iproute2,kmod,libnss-myhostname,procps,sudo,systemd-sysv,udev
[ "$machine" = linux.uml ] || packages+=,linux-image-cloud-$architecture
needs=$(node_modules/.bin/node -e 'import("./packages/cli/src/setup/packages.ts").then(({ EDGE_NEEDS }) => console.log(EDGE_NEEDS.map((need) => need.package).join(" ")))')

base=${PROVE_GUEST_BASE:-$work/base}
if [ ! -e "$base/etc/debian_version" ]; then
  say "making a $suite root for $architecture"
  debootstrap --arch="$architecture" --variant=minbase --include="$packages" "$suite" "$base" "$mirror" >"$work/debootstrap.log" || { tail "$work/debootstrap.log" >&2; exit 1; }
fi
cp -a "$base" "$root"

in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb DEBIAN_FRONTEND=noninteractive "${pass[@]}" "$@"; }
as_dev() { in_root HOME=/home/dev runuser -u dev -- bash -c 'cd /home/dev/skerry && exec "$@"' bash "$@"; }
pass=()
for name in http_proxy https_proxy no_proxy; do [ -n "${!name:-}" ] && pass+=("$name=${!name}"); done
[ -n "${NODE_EXTRA_CA_CERTS:-}" ] && pass+=(NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt)

mount --bind "$root" "$root" && mount --make-private "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev"
resolv=$root/etc/resolv.conf
cp /etc/resolv.conf "$resolv"
cp /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
# Where this machine trusts CAs of its own, to reach its registries, the guest's root must too.
cp /usr/local/share/ca-certificates/* "$root/usr/local/share/ca-certificates/" 2>/dev/null && in_root update-ca-certificates >/dev/null 2>&1

in_root useradd --create-home --shell /bin/bash dev
echo 'dev ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/dev"
echo gateway-7 >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf '[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/all.network"
in_root systemctl enable -q systemd-networkd.service
# A proof that hangs must be seen in the log, not waited for.
in_root systemctl disable -q apt-daily.timer apt-daily-upgrade.timer 2>/dev/null || true

say "setting the launcher up as user dev, in a chroot"
git clone -q . "$root/home/dev/skerry"
in_root chown -R dev:dev /home/dev
if [ "$architecture" != amd64 ]; then
  # Through qemu-user no program runs as its owner, so sudo cannot: what the launcher would call it for is done before.
  in_root apt-get update -qq
  in_root apt-get install -y -qq --no-install-recommends npm libatomic1 >/dev/null
fi
as_dev ./skerry version
say "fetching for apt: $needs"
in_root apt-get update -qq
# Unpacking takes minutes there, so only what has a service of its own is left to ./skerry up.
# shellcheck disable=SC2086
in_root apt-get install -y -qq --no-install-recommends ${needs/containerd /} >/dev/null
in_root apt-get install -y -qq --no-install-recommends --download-only containerd >/dev/null

[ "$architecture" = amd64 ] || install -m 755 "$PROVE_GUEST_KUBECTL" "$root/usr/local/bin/kubectl"
# The serial port after the console's own.
if [ "$machine" = qemu-system-aarch64 ]; then port=ttyS0; else port=ttyS1; fi
cat >"$root/etc/systemd/system/proof.service" <<UNIT
[Unit]
Description=Proof of Skerry
After=multi-user.target
[Service]
Type=oneshot
User=dev
Environment=HOME=/home/dev TERM=dumb
WorkingDirectory=/home/dev/skerry
ExecStart=/bin/bash tools/prove-guest/proof.sh
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/$port
[Install]
WantedBy=graphical.target
UNIT
in_root systemctl enable -q proof.service
in_root systemctl set-default -q graphical.target
if [ "$machine" = linux.uml ]; then
  mkdir -p "$root/lib/modules" # which trixie's minimal root is without
  cp -a /usr/lib/uml/modules/* "$root/lib/modules/"
  for modules in /usr/lib/uml/modules/*; do in_root depmod "${modules##*/}"; done
  # Its kernel has iptables, and of nftables only bridges.
  for name in iptables ip6tables; do in_root update-alternatives --set "$name" "/usr/sbin/$name-legacy" >/dev/null; done
else
  cp "$root"/boot/vmlinuz-* "$work/vmlinuz"
  cp "$root"/boot/initrd.img-* "$work/initrd"
fi
echo "nameserver 10.0.2.3" >"$resolv"
umount -R -l "$root"

say "making the disk"
mke2fs -q -t ext4 -d "$root" "$work/disk.img" 8G
rm -rf --one-file-system "$root"

say "booting in $machine"
: >"$work/proof.log"
if [ "$machine" = linux.uml ]; then
  # Its memory is a file: one in memory.
  TMPDIR=/dev/shm linux.uml mem=3072M "ubda=$work/disk.img" root=/dev/ubda rw quiet con=null con0=null,fd:1 ssl=null ssl1=null,fd:5 \
    </dev/null >"$work/console.log" 2>&1 5>>"$work/proof.log" &
else
  if [ "$architecture" = arm64 ]; then
    # Of what it could emulate, pointers that are signed cost most and prove nothing here.
    board=(-machine virt -cpu "max,pauth=off" -device pci-serial,chardev=proof)
    console=ttyAMA0
  else
    board=(-machine q35 -cpu max -device isa-serial,chardev=proof)
    console=ttyS0
  fi
  # The guest's own network is there, as an edge has one, and leads nowhere.
  "$machine" "${board[@]}" -accel tcg -smp 2 -m 3072 -display none -monitor none \
    -kernel "$work/vmlinuz" -initrd "$work/initrd" -append "root=/dev/vda rw console=$console panic=-1 quiet" \
    -drive "file=$work/disk.img,format=raw,if=virtio,cache=unsafe" -nic user,model=virtio-net-pci,restrict=on \
    -chardev "file,id=proof,path=$work/proof.log" -serial "file:$work/console.log" </dev/null &
fi
guest=$!
tail --pid "$guest" -s 1 -n +1 -F "$work/proof.log" 2>/dev/null &
tail=$!
deadline=$((SECONDS + 14400))
while kill -0 "$guest" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 2; done
if [ "$SECONDS" -ge "$deadline" ]; then echo "prove-guest: four hours are over" >&2; fi
kill "$guest" 2>/dev/null || true
guest=
wait "$tail" 2>/dev/null || true
code=$(tr -d '\r' <"$work/proof.log" | sed -n 's/^proof: ended with \([0-9]*\)$/\1/p' | tail -1)
if [ "${code:-1}" != 0 ]; then
  echo "prove-guest: the last words of the guest's console:" >&2
  tail -40 "$work/console.log" >&2
  say "$suite $architecture failed"
  exit "${code:-1}"
fi
say "$suite $architecture ok"
