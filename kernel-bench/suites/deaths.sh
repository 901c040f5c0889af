# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# vfio up and QEMU killed at random moments: nothing stays held, pinned or in the way.
# limit: 3000
# needs: qemu

nvme=0000:03:00.0
edu=0000:00:02.0
work=/tmp/deaths
rounds=${DEATHS:-10}
RANDOM=${FUZZ_SEED:-1}
. "$BENCH/lib/inner.sh"

# Until whoever had the nvme's group has let go of it, and nothing is pinned for it.
await_free() {
  local group deadline=$((SECONDS + 60))
  group=/dev/vfio/$(basename "$(readlink -f /sys/bus/pci/devices/$nvme/iommu_group)")
  until (: <>"$group") 2>/dev/null && (($(pinned) == before)); do
    ((SECONDS < deadline)) || fail "$1: the group is held, or $(($(pinned) - before)) pages are pinned"
    sleep 0.1
  done
}

cat >$work/vms.yaml <<YAML
host: linux
vms:
  inner: {memory: 256MiB, user: nobody, devices: [{wrap: $nvme}]}
  spare: {memory: 256MiB, user: nobody, devices: [$edu]}
YAML

# Sets $broker and $log.
start_broker() {
  log=$RESULTS/broker-$((++brokers)).log
  vfio up $work/vms.yaml --folder $work/vms --bind --force $nvme --force $edu >"$log" 2>&1 &
  broker=$!
  await "$log" "Ctrl-C gives everything back" 120
}

# start_vm NAME: paused; sets $vm.
start_vm() {
  local given
  eval "given=($(arguments "$log" "$1"))"
  (paused "${given[@]}") >"$RESULTS/$1.log" 2>&1 &
  vm=$!
}

# A moment of the two seconds in which a QEMU comes and has its memory pinned.
moment() { sleep "$((RANDOM % 2)).$((RANDOM % 10))"; }

# lives NAME COUNT: the device can be had, and is.
lives() {
  start_vm "$1"
  await "$log" "$2" 60 "$3"
}

brokers=0
declare -A killed=([QEMU]=0 [broker]=0 [both]=0)
before=$(pinned)
start_broker
for ((round = 1; round <= rounds; round++)); do
  victim=$(case $((round % 5)) in 1 | 3 | 0) echo QEMU ;; 2) echo broker ;; *) echo both ;; esac)
  mapped=$(grep -cF "256MiB mapped" "$log")
  start_vm inner
  moment
  case $victim in
    QEMU) kill -KILL $vm; wait $vm ;;
    broker)
      # Before it has its device whole, its registers mapped, a QEMU whose server has gone ends by itself.
      await "$log" "256MiB mapped" 60 $((mapped + 1))
      for ((n = 0; n < 100; n++)); do
        ! grep -q "vfio-device" "/proc/$vm/maps" || break
        sleep 0.3
      done
      sleep 2
      moment
      kill -KILL $broker
      wait $broker
      start_broker
      grep "^held: inner: " "$log" | grep -q "process $vm has it" ||
        fail "round $round: the orphan is not named: $(kill -0 $vm 2>&1 && echo it lives)"
      orphan=$vm
      lives spare "$edu in use" 1
      kill -KILL $vm $orphan
      wait $vm $orphan
      ;;
    both)
      if ((RANDOM % 2)); then kill -KILL $broker $vm; else kill -KILL $vm $broker; fi
      wait $broker $vm
      ;;
  esac 2>/dev/null
  await_free "round $round, $victim"
  if [[ $victim == both ]]; then
    start_broker
    ! grep -q "^held" "$log" || fail "round $round: held although both are gone"
  fi
  killed[$victim]=$((killed[$victim] + 1))
  echo "round $round after $SECONDS s: $victim"
done
connected=$(grep -cF "$nvme in use" "$log")
lives inner "$nvme in use" $((connected + 1))
kill -KILL $vm
wait $vm 2>/dev/null
await_free "the last"
kill -TERM $broker
wait $broker
[[ -z $(ls $work/vms) ]] || fail "something stays in the folder: $(ls $work/vms)"
echo "killed: QEMU ${killed[QEMU]}, broker ${killed[broker]}, both ${killed[both]}" >"$RESULTS/summary"
echo "0 pages pinned, 0 groups held" >>"$RESULTS/summary"
