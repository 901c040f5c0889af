# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The fake kernel that the tests of linux rest on and the real one are asked the same at random.
# limit: 900

"$JAVA" $JAVA_FLAGS --enable-native-access=ALL-UNNAMED org.vfio4j.replay.fuzz.Fuzzer --fake 1 \
  --seed "${FUZZ_SEED:-$RANDOM}" --ops "${FAKE_OPS:-2000}" | tee "$RESULTS/answers"
status=${PIPESTATUS[0]}
grep -E 'operations|differences' "$RESULTS/answers" | tail -1 >"$RESULTS/summary"
exit "$status"
