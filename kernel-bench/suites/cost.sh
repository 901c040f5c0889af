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
  # On one processor: where another has just written the code that this one runs, the emulator may go
  # on with what it had translated before, and the JVM dies.
  taskset -c 0 "$JAVA" --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -Xshare:auto -XX:ErrorFile="$RESULTS/hs_err" \
    org.vfio4j.linux.iommu.MapCost "$baseline" "${COST_PAIRS:-20000}" "${COST_TURNS:-7}" | tee "$RESULTS/cost"
  return "${PIPESTATUS[0]}"
}

# It died so on busy machines, twice in a row once. It is told of, and its report is kept beside the
# output.
for attempt in 1 2 3 4; do
  measure
  status=$?
  ((status == 134)) || break
  echo "the JVM has died (its report: hs_err), attempt $attempt of 4"
done
grep '^map and unmap' "$RESULTS/cost" >"$RESULTS/summary"
exit "$status"
