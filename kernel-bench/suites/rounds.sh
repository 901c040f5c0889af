# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Ten thousand rounds of open, attach, map, unmap and close on back end linux, undisturbed and with
# every n-th system call made to fail: nothing may stay behind.
# limit: 900

"$JAVA" $JAVA_FLAGS --enable-native-access=ALL-UNNAMED -Dvfio4j.rounds="${ROUNDS:-10000}" \
  org.junit.platform.console.ConsoleLauncher execute --disable-banner \
  --disable-ansi-colors --details=summary --fail-if-no-tests \
  --select-class=org.vfio4j.linux.iommu.RoundsTest --reports-dir="$REPORTS"
