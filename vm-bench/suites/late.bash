# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# A kernel that takes longer than QEMU waits: maps of 7 and 40 s, a reset of 12 s, by the JUnit test.
# shellcheck source=../bench.bash
source "$here/bench.bash"

# The tests serve in their own JVM; see qtest.bash.
junit broker 'org.vfio4j.broker.LateAnswersQemuTest' late
