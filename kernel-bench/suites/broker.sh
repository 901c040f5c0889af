# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The broker: whole and wrapped functions of one group, over sockets and by data.
# limit: 300

"$JAVA" $JAVA_FLAGS org.junit.platform.console.ConsoleLauncher execute --disable-banner \
  --disable-ansi-colors --details=summary --fail-if-no-tests \
  --select-package=org.vfio4j.broker --reports-dir="$REPORTS"
