# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Kill -9 of the VM, of the server, of both, at random moments. After each, the server starts on the
# same socket, a VM starts, and its guest copies.
# shellcheck source=../bench.bash
source "$here/bench.bash"

boot_ms=8000 # A boot takes some 5 s, so these moments fall before, in and after it.
copy_ms=2000 # These while the guest copies.
victims=(client server both)
note "$rounds rounds, seed $seed"
RANDOM=$seed

# The server where it is not running, and a VM that copies on and on.
# all start_guest|boot_guest
all() {
  alive "${server_pid[ioat]:-}" || start_server ioat
  "$1" kill 512M "bench=forever copies=100" -no-reboot -device "${device[ioat]}"
}

# In half of the rounds a VM that has just started is the target, in the others one that copies.
all start_guest
within=$boot_ms
for ((round = 1; round <= rounds; round++)); do
  victim=${victims[(round - 1) % 3]}
  moment=$(((RANDOM * 32768 + RANDOM) % within))
  sleep "$((moment / 1000)).$(printf '%03d' $((moment % 1000)))"
  copies=$(grep -c 'vm-bench: COPIED' "$console") || true
  alive "$guest_pid" || { show_guest; fail "round $round: QEMU had ended by itself"; }
  alive "${server_pid[ioat]}" || { show_guest; fail "round $round: the server had ended by itself"; }
  # A VM whose device is gone may end or stay, and is of no use: it goes second.
  case $victim in
    client) kill_guest ;;
    server) kill_server ioat && kill_guest ;;
    both) kill -KILL "$guest_pid" && kill_server ioat && kill_guest ;;
  esac
  from=$(now)
  all boot_guest
  await_guest 'vm-bench: COPIED 1'
  note "round $round: killed $victim after $moment ms and $copies rounds of copies;" \
    "copies again $(seconds_since "$from") later"
  within=$copy_ms
  if ((RANDOM % 2)); then
    kill_guest
    all start_guest
    within=$boot_ms
  fi
done
kill_guest
refused_none ioat
stop_server ioat
