# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# For suites that plug what vfio up serves into VMs within the guest.

. "$BENCH/lib/qmp.sh"
. "$BENCH/lib/saved.sh"

# A tree of its own outside of anybody's home, for a QEMU that runs as nobody.
mkdir -p "$work" /mnt/qemu /mnt/inner
chmod 755 "$work"
mountpoint -q /mnt/qemu || mount --bind "$CACHE/vfio4j/qemu/qemu" /mnt/qemu || exit
[[ -z $INNER ]] || mountpoint -q /mnt/inner || mount --bind "$INNER" /mnt/inner || exit

fail() {
  echo "FAILED: $*"
  for log in "$RESULTS"/*.log; do
    echo "--- $log"
    tail -n 25 "$log" | tr -d '\r'
  done
  exit 1
}

# What a suite has shown, for its summary.
shown=()
shown() {
  shown+=("$1")
  echo "shown after $SECONDS s: $1"
}
summary() {
  local all
  printf -v all '%s, ' "${shown[@]}"
  echo "${all%, }" >"$RESULTS/summary"
}

driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")"; }

# ask STATUS LOG WORD...: asks the daemon, which is to be answered with STATUS.
ask() {
  local status=$1 log=$RESULTS/$2.log answered=0
  (vfio "${@:3}") >"$log" 2>&1 || answered=$?
  ((answered == status)) || fail "vfio ${*:3} ended with $answered, not $status"
}

# said LOG TEXT: how often, in $count. Without another process: each would cost the VM within the
# guest some hundredths of a second of one of the two processors.
said() {
  local line lines=()
  count=0
  [[ ! -f $1 ]] || mapfile -t lines <"$1"
  for line in "${lines[@]}"; do
    [[ $line != *"$2"* ]] || count=$((count + 1))
  done
}

# Nobody ever writes there.
exec {nothing}<> <(:)

# await LOG TEXT SECONDS [COUNT]: until TEXT was said COUNT times. A suite that waits long says so.
await() {
  local count begin=$SECONDS told=0
  until said "$1" "$2" && ((count >= ${4:-1})); do
    ((SECONDS - begin < $3)) || fail "within $3 s nobody said: $2"
    if ((SECONDS - begin > told + 60)); then
      told=$((SECONDS - begin))
      echo "for $told s nobody has said: $2"
    fi
    read -rt 0.3 -u "$nothing" || true
  done
}

vfio() { exec "$JAVA" $JAVA_FLAGS org.vfio4j.cli.Main "$@"; }

# Pages of the whole guest that devices may write to.
pinned() {
  # Each processor counts for itself, and adds it up now and then.
  echo 1 >/proc/sys/vm/stat_refresh
  awk '/nr_foll_pin_acquired/ { n += $2 } /nr_foll_pin_released/ { n -= $2 } END { print n }' /proc/vmstat
}

# arguments LOG VM: what up prints for a VM, as a shell reads it.
arguments() {
  sed -n "/^$2, /,/^$/p" "$1" | sed '1,/Give QEMU/d'
}

# QEMU as nobody, who has no right in /dev/vfio. Becomes it.
qemu() {
  as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
  qemu_by_root "$@"
}

# QEMU as whoever runs this, or by what $as_nobody says. Becomes it.
qemu_by_root() {
  local libraries=/mnt/qemu/usr/lib/x86_64-linux-gnu
  exec "${as_nobody[@]}" \
    "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" --argv0 qemu-system-x86_64 \
    /mnt/qemu/usr/bin/qemu-system-x86_64 "$@"
}

# QEMU paused, with nothing in it but what is given.
paused() {
  qemu -accel tcg -nodefaults -display none -S "$@"
}

# resume_inner COMMAND: the saved VM goes on as far as it was, paused, in the QEMU that COMMAND becomes.
# Sets $inner to the process; words for it go to descriptor 9.
resume_inner() {
  local machine
  qmp_pipes "$work/qmp"
  [[ -p $work/words ]] || mkfifo "$work/words"
  exec 9<>"$work/words"
  mapfile -t machine < <(inner_machine; inner_rest /mnt/inner; qmp_arguments "$work/qmp")
  ("$1" "${machine[@]}" "${monitor[@]}" -incoming defer) <&9 >"$RESULTS/inner.log" 2>&1 7>&- 8>&- &
  inner=$!
  qmp_begin
  qmp migrate-incoming '{"uri": "file:/mnt/inner/state"}'
  qmp_await '"status": "completed"' 60 || fail "the saved VM does not go on"
}

# The numbers of the boots in which the VM has read the disk's known content, a line each.
disk_boots() { sed -n 's/^inner: boot \([0-9]*\) reads: vfio4j kernel-bench block 0.*/\1/p' "$RESULTS/inner.log"; }

# A monitor for others, besides the one of the suite.
monitor=()

# start_inner LOG VM: the same with the devices that LOG prints for VM plugged into its ports.
start_inner() {
  local given word machine=() devices=()
  eval "given=($(arguments "$1" "$2"))"
  for word in "${given[@]}"; do
    if [[ $word == "{"* ]]; then
      unset 'machine[-1]'
      devices+=("$word")
    elif [[ $word == -qmp || $word == unix:* ]]; then
      monitor+=("$word")
    else
      machine+=("$word")
    fi
  done
  [[ "$(inner_machine | paste -sd' ') " == "${machine[*]} "* ]] ||
    fail "the saved VM is not one of these arguments: ${machine[*]}"
  resume_inner qemu
  for word in "${devices[@]}"; do qmp device_add "$word"; done
}
