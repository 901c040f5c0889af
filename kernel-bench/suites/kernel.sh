# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Every scenario that a kernel can judge, asked of the kernel itself; then what drives real devices.
# limit: 400

launch() {
  local name=$1
  shift
  "$JAVA" $JAVA_FLAGS --enable-native-access=ALL-UNNAMED -Dvfio4j.backend=kernel \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner \
    --disable-ansi-colors --details=summary --fail-if-no-tests \
    --reports-dir="$REPORTS/$name" "$@"
}

status=0
launch scenarios --select-package=org.vfio4j.scenario || status=$?
launch devices --select-package=org.vfio4j.linux.bind --select-package=org.vfio4j.linux.device \
  --select-package=org.vfio4j.linux.kernel --select-package=org.vfio4j.linux.posix || status=$?
exit $status
