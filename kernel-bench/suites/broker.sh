# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The broker: whole and wrapped functions of one group, over sockets and by data.
# limit: 300
# needs: qemu

export XDG_CACHE_HOME=$CACHE
"$JAVA" $JAVA_FLAGS -Dvfio4j.qemu="$ROOT/vm-bench/qemu" org.junit.platform.console.ConsoleLauncher execute --disable-banner \
  --disable-ansi-colors --details=summary --fail-if-no-tests \
  --select-package=org.vfio4j.broker --exclude-classname='.*(LateAnswersQemu|Journal)Test' --reports-dir="$REPORTS"
