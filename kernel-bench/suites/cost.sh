# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What our layers cost: map and unmap of 4 KiB through the Java API against the same two ioctls from
# C, in turns, in this guest.
# limit: 240

baseline=$(mktemp /tmp/map_unmap.XXXXXX)
trap 'rm -f "$baseline"' EXIT
gcc -O2 -static -o "$baseline" linux/src/test/c/map_unmap.c || exit
"$JAVA" --enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -Xshare:auto org.vfio4j.linux.iommu.MapCost "$baseline" \
  "${COST_PAIRS:-20000}" "${COST_TURNS:-7}" | tee "$RESULTS/cost"
status=${PIPESTATUS[0]}
grep '^map and unmap' "$RESULTS/cost" >"$RESULTS/summary"
exit "$status"
