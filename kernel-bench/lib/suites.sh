# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Runs the suites on one kernel, reads what they left, and keeps the lines of the table.

# The value of a suite's "# KEY: VALUE" line.
header() {
  sed -n "s/^# $2: *//p" "$bench/suites/$1.sh" | head -n 1
}

suites() {
  local file
  for file in "$bench"/suites/*.sh; do basename "$file" .sh; done
}

# Those that run where none is named.
default_suites() {
  local suite
  for suite in $(suites); do
    [[ -n $(header "$suite" "by name") ]] || echo "$suite"
  done
}

# counts FOLDER: tests run, failed and skipped, summed over the reports below the folder.
counts() {
  { find "$1" -name 'TEST-*.xml' -exec sed -n 's/^<testsuite //p' {} + 2>/dev/null || true; } | awk '
    function value(name, text) {
      text = $0
      return sub(".* " name "=\"", "", text) + sub("\".*", "", text) ? text : 0
    }
    { $0 = " " $0; tests += value("tests"); failed += value("failures") + value("errors")
      skipped += value("skipped") }
    END { print tests - skipped, failed + 0, skipped + 0 }'
}

row() {
  table+=("$(printf '%-6s %-22s %-16s %7s %7s %7s %6s  %s' "$@")")
}

# judge SUITE: the verdict on a suite that the guest ran, or did not come to.
judge() {
  local suite=$1 status=- seconds=- run failed skipped verdict=passed note=
  local out=$results/$suite
  [[ ! -f $out/status ]] || read -r status seconds <"$out/status"
  read -r run failed skipped < <(counts "$results/surefire-reports/$suite")
  [[ ! -s $out/summary ]] || note=$(paste -sd';' <"$out/summary" | sed 's/;/; /g')
  if [[ $status == - ]]; then
    verdict="FAILED: not finished, the guest ${killed:-went away}"
  elif [[ $status == 124 || $status == 137 ]]; then
    verdict="FAILED: stopped after its limit"
  elif [[ $status != 0 ]]; then
    verdict="FAILED: exit $status"
  elif ((failed > 0)); then
    verdict="FAILED"
  elif ((run == 0)) && [[ -z $note ]]; then
    verdict="FAILED: ran nothing"
  fi
  row "$kernel" "$release" "$suite" "$run" "$failed" "$skipped" "$seconds" "$verdict${note:+ ($note)}"
  printf '%-6s %-16s %4s s  %s run, %s failed, %s skipped: %s\n' "$kernel" "$suite" "$seconds" \
    "$run" "$failed" "$skipped" "$verdict${note:+ ($note)}"
  if [[ $verdict != passed ]]; then
    failures=1
    [[ ! -s $out/output ]] || tail -n 40 "$out/output" | sed 's/^/  | /'
  fi
}

# boot_for MACHINE SUITE...: one boot, until the guest is off.
boot_for() {
  local machine=$1 suite seconds total=60
  shift
  rm -f "$results"/{off,booted}
  : >"$results/suites"
  for suite in "$@"; do
    seconds=$(header "$suite" limit)
    echo "$suite ${seconds:-$limit}" >>"$results/suites"
    total=$((total + ${seconds:-$limit}))
  done
  environment "$machine" >"$results/environment"
  start_guest "$machine" "$results"
  wait_guest "$results" "$total"
}

# One boot for all the suites that want the same machine. Those that a stalled guest did not come to
# have a second, which is printed.
run_machine() {
  local machine=$1 suite start=${EPOCHREALTIME/./} found console left=()
  shift
  boot_for "$machine" "$@"
  if [[ $stalled == yes ]]; then
    mv "$results/console" "$results/console-$machine-stalled"
    for suite in "$@"; do [[ -f $results/$suite/status ]] || left+=("$suite"); done
    echo "kernel $kernel: NOTE: the guest $killed; once more: ${left[*]}"
    boot_for "$machine" "${left[@]}"
  fi
  mv "$results/console" "$results/console-$machine"
  printf '%-6s %-16s %4s s  of which boot %s s, machine %s\n' "$kernel" guest "$(since "$start")" \
    "$(cat "$results/booted" 2>/dev/null || echo -)" "$machine"
  for suite in "$@"; do judge "$suite"; done
  found=$(for console in "$results/console-$machine"*; do complaints "$console"; done)
  if [[ -n $found ]]; then
    failures=1
    row "$kernel" "$release" "(kernel log)" - - - - "FAILED: complaints, see console-$machine"
    echo "kernel $kernel complains:"
    sed 's/^/  | /' <<<"$found"
  fi
  if [[ -n $killed || ! -f $results/off ]]; then
    failures=1
    row "$kernel" "$release" "(guest)" - - - - "FAILED: ${killed:-did not power off by itself}"
    echo "kernel $kernel: the guest ${killed:-did not power off by itself}; the end of its console:"
    tail -n 30 "$results/console-$machine" | sed 's/^/  | /'
    grep -v 'has no peer' "$results/qemu" || true
  fi
  rm -f "$results"/{disk,off,booted,suites,environment,qemu}
}

# The VM within the guest, where a suite wants it.
prepare_inner() {
  local suite start=${EPOCHREALTIME/./}
  inner=
  for suite in "${wanted[@]}"; do
    [[ $(header "$suite" needs) == *inner* ]] || continue
    save_inner
    printf '%-6s %-16s %4s s\n' "$kernel" "inner VM" "$(since "$start")"
    return
  done
}

run_kernel() {
  local machine suite start=${EPOCHREALTIME/./} group
  fetch_kernel "$kernel"
  printf '%-6s %-16s %4s s  %s\n' "$kernel" fetch "$(since "$start")" "$release, profile $(profile_of "$release")"
  start=${EPOCHREALTIME/./}
  build_initramfs
  printf '%-6s %-16s %4s s\n' "$kernel" initramfs "$(since "$start")"
  prepare_inner
  results=$bench/target/$kernel
  rm -rf "$results"
  mkdir -p "$results"
  while IFS= read -r machine; do
    group=()
    for suite in "${wanted[@]}"; do
      [[ $(header "$suite" machine) != "$machine" ]] || group+=("$suite")
    done
    run_machine "${machine:-default}" "${group[@]}"
  done < <(for suite in "${wanted[@]}"; do printf '%s\n' "$(header "$suite" machine)"; done | sort -u)
}
