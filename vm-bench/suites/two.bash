# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Two devices in one VM, the VM restarted five times on the same sockets, then the guest rebooted.
# shellcheck source=../bench.bash
source "$here/bench.bash"

# edu reaches 28 bits of address: all of the guest's memory.
start_server ioat
start_server edu
for start in 1 2 3 4 5; do
  run_guest "two-$start" 256M "bench=two copies=200" -no-reboot -device "${device[ioat]}" \
    -device "${device[edu]}"
done
run_guest two-reboot 256M "bench=reboot copies=200" -device "${device[ioat]}" \
  -device "${device[edu]}"
grep -q 'PASS second boot of one machine' "$console" || fail "the guest did not reboot"
refused_none ioat
refused_none edu
stop_server ioat
stop_server edu
