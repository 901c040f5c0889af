# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The JUnit tests that drive our devices through QEMU's qtest, without a guest.
# shellcheck source=../bench.bash
source "$here/bench.bash"

root=$(dirname "$here")
reports=$root/user/target/surefire-reports
rm -f "$reports"/TEST-org.vfio4j.user.qtest.*.xml

# --server is for guests; these tests serve in their own JVM.
status=0
mvn -q -B -ntp -f "$root/pom.xml" -pl user -am test -Dtest='org.vfio4j.user.qtest.*Test' \
  -Dsurefire.failIfNoSpecifiedTests=false -Dvfio4j.qemu="$here/qemu" || status=$?

# total ATTRIBUTE: over the reports of all classes.
total() {
  cat "$reports"/TEST-org.vfio4j.user.qtest.*.xml 2>/dev/null | tr '\n' ' ' |
    grep -o '<testsuite [^>]*' | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" |
    awk '{ sum += $1 } END { print sum + 0 }'
}

tests=$(total tests)
failures=$(total failures)
errors=$(total errors)
skipped=$(total skipped)
note "qtest: $((tests - skipped)) tests run, $((failures + errors)) failed, $skipped skipped"
[[ $status == 0 ]] || fail "mvn ended with $status"
((tests - skipped > 0)) || fail "no test ran"
((failures + errors + skipped == 0)) || fail "not all passed"
