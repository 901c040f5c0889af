# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# For suites that plug what vfio up serves into VMs within the guest.

# A tree of its own outside of anybody's home, for a QEMU that runs as nobody.
mkdir -p "$work" /mnt/qemu
chmod 755 "$work"
mountpoint -q /mnt/qemu || mount --bind "$CACHE/vfio4j/qemu/qemu" /mnt/qemu || exit

fail() {
  echo "FAILED: $*"
  for log in "$RESULTS"/*.log; do
    echo "--- $log"
    tail -n 25 "$log" | tr -d '\r'
  done
  exit 1
}

# await LOG TEXT SECONDS [COUNT]: until TEXT was said COUNT times.
await() {
  local deadline=$((SECONDS + $3))
  until (($(grep -cF -- "$2" "$1" 2>/dev/null) >= ${4:-1})); do
    ((SECONDS < deadline)) || fail "within $3 s nobody said: $2"
    [[ -n $(jobs -pr) ]] || fail "everything has ended, and nobody said: $2"
    sleep 0.2
  done
}

vfio() { exec "$JAVA" $JAVA_FLAGS org.vfio4j.cli.Main "$@"; }

# arguments LOG VM: what up prints for a VM, as a shell reads it.
arguments() {
  sed -n "/^$2, /,/^$/p" "$1" | sed '1,/Give QEMU/d'
}

# QEMU as nobody, who has no right in /dev/vfio. Becomes it.
qemu() {
  local libraries=/mnt/qemu/usr/lib/x86_64-linux-gnu
  exec setpriv --reuid nobody --regid nogroup --clear-groups \
    "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 qemu-system-x86_64 \
    /mnt/qemu/usr/bin/qemu-system-x86_64 -accel tcg -cpu max,erms=off,fsrm=off -nodefaults \
    -display none "$@"
}
