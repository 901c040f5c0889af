# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The JUnit tests that drive our devices through QEMU's qtest, without a guest.
# shellcheck source=../bench.bash
source "$here/bench.bash"

# --server is for guests; these tests serve in their own JVM.
junit user 'org.vfio4j.user.qtest.*Test' qtest -DexcludedGroups=kept # that is a suite of its own
# A daemon that plugs devices in while QEMU runs.
junit cli 'org.vfio4j.cli.HotPlugQemuTest' hotplug
