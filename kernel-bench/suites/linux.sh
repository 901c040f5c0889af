# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Every scenario that back end linux can run: the engine's tracking above the kernel's IOMMU.
# limit: 400

"$JAVA" $JAVA_FLAGS -Dvfio4j.backend=linux \
  org.junit.platform.console.ConsoleLauncher execute --disable-banner \
  --disable-ansi-colors --details=summary --fail-if-no-tests \
  --select-package=org.vfio4j.scenario --reports-dir="$REPORTS"
