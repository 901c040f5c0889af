# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# vfio up and QEMUs whose memory a device would not reach: each is refused, and told what to change.
# limit: 300
# needs: qemu

edu=0000:00:02.0
work=/tmp/memory
. "$BENCH/lib/inner.sh"

cat >$work/vms.yaml <<YAML
host: linux
vms:
  inner: {memory: 256MiB, user: nobody, devices: [$edu]}
YAML
before=$(pinned)
log=$RESULTS/broker.log
vfio up $work/vms.yaml --folder $work/vms --bind --force $edu >"$log" 2>&1 &
broker=$!
await "$log" "Ctrl-C gives everything back" 120
eval "given=($(arguments "$log" inner))"

# Until nothing is pinned that was not before.
unpinned() {
  local deadline=$((SECONDS + 20))
  until (($(pinned) == before)); do
    ((SECONDS < deadline)) || fail "$1: $(($(pinned) - before)) pages are pinned"
    sleep 0.1
  done
}

# refused WHY SENTENCE OPTIONS: QEMU, given its arguments otherwise, ends by itself, and WHY is told.
refused() {
  local why=$1 sentence=$2 status=0
  shift 2
  timeout 60 bash -c "$(declare -f paused qemu qemu_by_root); paused \"\$@\"" - "$@" >"$RESULTS/$why.log" 2>&1 || status=$?
  [[ $status == 1 ]] || fail "$why: QEMU ends with $status"
  await "$log" "$sentence" 10
  unpinned "$why"
  echo "$why: refused after $SECONDS s: $(grep -F "$sentence" "$log" | tail -n 1)"
}

refused private "never sees: say share=on" "${given[@]/share=on/share=off}"
larger=("${given[@]/size=256M/size=512M}")
refused larger "has more memory than the 256 MiB" "${larger[@]}"
without=()
for word in "${given[@]}"; do
  case $word in
    -object | memory-backend-memfd*) ;;
    q35,*) without+=(q35 -m 256M) ;;
    *) without+=("$word") ;;
  esac
done
refused without "came with a descriptor" "${without[@]}"

(paused "${given[@]}") >"$RESULTS/right.log" 2>&1 &
vm=$!
await "$log" "256MiB mapped" 60
(($(pinned) > before)) || fail "nothing is pinned for a VM that is served"
kill -KILL $vm
wait $vm 2>/dev/null
unpinned "a VM that was served has ended"
kill -TERM $broker
wait $broker
echo "share=off, 512 MiB of 256, no memory-backend: refused; 0 pages pinned" >"$RESULTS/summary"
