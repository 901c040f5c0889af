# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The engine on the kernel's IOMMU: what wrapped users of one group cost and reach, what devices can
# reach by data, rounds that must leave nothing behind; then every scenario on back end linux.
# limit: 400

launch() {
  local name=$1
  shift
  "$JAVA" $JAVA_FLAGS --enable-native-access=ALL-UNNAMED "-Dvfio4j.backend=$name" \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner \
    --disable-ansi-colors --details=summary --fail-if-no-tests \
    --reports-dir="$REPORTS/$name" "$@"
}

status=0
launch soft --select-package=org.vfio4j.linux.iommu || status=$?
launch linux --select-package=org.vfio4j.scenario || status=$?
exit $status
