# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The engine and the kernel are asked the same at random; every answer is compared.
# limit: 1200

"$JAVA" $JAVA_FLAGS --enable-native-access=ALL-UNNAMED org.vfio4j.replay.fuzz.Fuzzer \
  --seed "${FUZZ_SEED:-$RANDOM}" --ops "${FUZZ_OPS:-20000}" | tee "$RESULTS/answers"
status=${PIPESTATUS[0]}
grep -E 'operations|differences' "$RESULTS/answers" | tail -1 >"$RESULTS/summary"
exit "$status"
