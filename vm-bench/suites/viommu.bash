# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Behind an IOMMU that the guest owns: the kernel's own VFIO test of the device, then processes that
# leave their mappings behind, each followed by one that maps other memory at the same addresses.
# shellcheck source=../bench.bash
source "$here/bench.bash"

iommu=(-device intel-iommu,intremap=on,caching-mode=on)
start_server ioat
run_guest viommu-selftest 4G "intel_iommu=on bench=selftest" -no-reboot "${iommu[@]}" \
  -device "${device[ioat]}"
run_guest viommu-leak 1G "intel_iommu=on bench=leak runs=10" -no-reboot "${iommu[@]}" \
  -device "${device[ioat]}"
refused_none ioat
stop_server ioat
