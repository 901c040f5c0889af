# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The scenarios of core with JUnit's console launcher, on each back end that there is.
# limit: 400

status=0
for backend in soft; do
  echo "back end $backend"
  "$JAVA" $JAVA_FLAGS -Dvfio4j.backend="$backend" -Dvfio4j.kernel="$PROFILE" \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner \
    --disable-ansi-colors --details=summary --fail-if-no-tests \
    --select-package=org.vfio4j.scenario --reports-dir="$REPORTS/$backend" || status=$?
done
exit $status
