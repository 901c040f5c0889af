# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The initramfs: a static busybox, the modules in the order in which they load, and guest/init.

# Files of the modules that guest/modules names, each after what it needs, from modules.dep.
modules_in_order() {
  local name mark
  while read -r name mark; do
    [[ -n $name && $name != \#* ]] || continue
    if ! modprobe -d "$home" -S "$release" --show-depends "$name" 2>/dev/null; then
      [[ $mark == "?" ]] || die "kernel $kernel: no module $name in $release"
    fi
  done <"$bench/guest/modules" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

unpacked() {
  case $1 in
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -dcq "$1" ;;
    *.gz) gzip -dc "$1" ;;
    *) cat "$1" ;;
  esac
}

# Builds $initramfs unless one of the same parts is there.
build_initramfs() {
  local root key module name number=0 busybox order
  busybox=$(command -v busybox)
  key=$(cat "$bench"/guest/init "$bench"/guest/modules "$bench"/lib/initramfs.sh "$busybox" \
    "$home/manifest" | sha256sum | cut -c 1-16)
  initramfs=$home/initramfs-$key.gz
  [[ ! -f $initramfs ]] || return 0
  order=$(modules_in_order)
  root=$(mktemp -d)
  mkdir -p "$root"/{bin,proc,sys,dev,host,lower,upper,modules}
  cp "$busybox" "$root/bin/busybox"
  cp "$bench/guest/init" "$root/init"
  chmod 755 "$root/init"
  while IFS= read -r module; do
    name=${module##*/}
    number=$((number + 1))
    unpacked "$module" >"$root/modules/$(printf '%02d' $number)-${name%%.ko*}.ko"
  done <<<"$order"
  # Another run may be about to boot an older one.
  find "$home" -maxdepth 1 -name 'initramfs-*' -mmin +1440 -delete
  (cd "$root" && find . -print0 | LC_ALL=C sort -z |
    cpio --null --create --format=newc --owner=0:0 --quiet) | gzip -1 >"$initramfs.$$"
  mv "$initramfs.$$" "$initramfs"
  rm -rf "$root"
}

# The kernel as a VM within the guest boots it, unpacked: there each instruction costs a hundredfold,
# and most of a boot would be spent on unpacking. Made once; nothing without it where a kernel is
# packed in another way.
unpack_kernel() {
  local tool magic at
  [[ ! -f $home/vmlinux ]] || return 0
  for tool in xz zstd gzip; do
    case $tool in
      xz) magic=$'\xfd7zXZ' ;;
      zstd) magic=$'\x28\xb5\x2f\xfd' ;;
      gzip) magic=$'\x1f\x8b\x08' ;;
    esac
    for at in $(LC_ALL=C grep -aboF "$magic" "$home/vmlinuz" | cut -d: -f1 | head -n 8); do
      # What follows the packed kernel is no part of it, which the tools complain of.
      tail -c "+$((at + 1))" "$home/vmlinuz" | $tool -dc >"$home/vmlinux.$$" 2>/dev/null || true
      if [[ $(head -c 4 "$home/vmlinux.$$" | tail -c 3) == ELF ]]; then
        mv "$home/vmlinux.$$" "$home/vmlinux"
        return 0
      fi
    done
  done
  rm -f "$home/vmlinux.$$"
}
