# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Binding, drivers in Java, and the engine on the kernel's IOMMU: on real devices, by data.
# limit: 600

"$JAVA" $JAVA_FLAGS org.junit.platform.console.ConsoleLauncher execute --disable-banner \
  --disable-ansi-colors --details=summary --fail-if-no-tests \
  --select-package=org.vfio4j.linux.bind --select-package=org.vfio4j.linux.device \
  --select-package=org.vfio4j.replay.kernel --select-package=org.vfio4j.posix \
  --select-package=org.vfio4j.linux.iommu --reports-dir="$REPORTS"
