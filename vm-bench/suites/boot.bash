# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The kernel's ioatdma driver binds to our device, and its dmatest copies.
# shellcheck source=../bench.bash
source "$here/bench.bash"

start_server ioat
run_guest boot 512M "bench=boot copies=1000" -no-reboot -device "${device[ioat]}"
refused_none ioat
stop_server ioat
