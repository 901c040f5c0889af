# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What our layers cost: map and unmap of 4 KiB through the Java API against the same two ioctls from
# C, in turns, in this guest.
# limit: 240

baseline=$(mktemp /tmp/map_unmap.XXXXXX)
trap 'rm -f "$baseline"' EXIT
gcc -O2 -static -o "$baseline" linux/src/test/c/map_unmap.c || exit
measure() {
  "$JAVA" --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -Xshare:auto -XX:ErrorFile="$RESULTS/hs_err" \
    org.vfio4j.linux.iommu.MapCost "$baseline" "${COST_PAIRS:-20000}" "${COST_TURNS:-7}" | tee "$RESULTS/cost"
  return "${PIPESTATUS[0]}"
}

measure
status=$?
# Once, on a busy machine, the JVM died in code that it had just compiled, on this emulated processor.
# It is told of, and its report is kept beside the output.
if ((status == 134)); then
  echo 'the JVM has died (its report: hs_err); measuring once more'
  measure
  status=$?
fi
grep '^map and unmap' "$RESULTS/cost" >"$RESULTS/summary"
exit "$status"
