# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# vfio up with QEMU 11.1: an NVMe, a network card and a shared group, wrapped and whole, in a VM.
# limit: 1500
# UP_REBOOT=yes: the VM within the guest is booted anew, with the devices, which takes some minutes.
# needs: qemu inner

nvme=0000:03:00.0
first_edu=0000:02:01.0
second_edu=0000:02:02.0
card=0000:02:03.0
network=0000:00:05.0
work=/tmp/up
shown=()
. "$BENCH/lib/inner.sh"

shown() {
  shown+=("$1")
  echo "shown after $SECONDS s: $1"
}

cat >$work/first.yaml <<YAML
host: linux
vms:
  inner:
    memory: 256MiB
    user: nobody
    devices: [{wrap: $nvme}, $first_edu, {wrap: $second_edu}, $card, {wrap: $network}]
YAML
cat >$work/second.yaml <<YAML
host: linux
vms:
  rival:
    memory: 256MiB
    user: nobody
    devices: [$first_edu, {wrap: $second_edu}]
YAML

# A driver that is to be given back at the end.
modprobe e1000
echo $card >/sys/bus/pci/drivers_probe
driver_of() { basename "$(readlink "/sys/bus/pci/devices/$1/driver")"; }
[[ $(driver_of $card) == e1000 ]] || fail "e1000 does not take $card"

vfio up $work/first.yaml --folder $work/first --bind --force $nvme --force $first_edu \
  --force $second_edu --force $card --force $network >$RESULTS/first.log 2>&1 &
first=$!
await $RESULTS/first.log "Ctrl-C gives everything back" 120
shown "taken: $(sed -n 's/ → /→/p' $RESULTS/first.log | paste -sd' ')"

start_inner $RESULTS/first.log inner
tell() { echo "$1" >&9; }

await $RESULTS/first.log "in use" 100
shown "plugged into an unprivileged QEMU"
qmp cont
tell disk
await $RESULTS/inner.log "done disk" 400
# Another suite may have booted from the disk before.
boot=$(disk_boots | head -n 1)
[[ -n $boot ]] || fail "not the disk's content"
grep -q "boot $boot wrote and read back" $RESULTS/inner.log || fail "not written and read back"
grep -q "interrupts: .*msix" $RESULTS/inner.log || fail "not by MSI-X"
shown "nvme, wrapped, by Linux's driver and MSI-X"

# What the threads of the device's socket do while the guest reads: nothing.
switches() {
  local task name total=0
  for task in /proc/$first/task/*; do
    name=$(<"$task/comm")
    [[ $name == "vfio-user 0000:"* ]] || continue
    total=$((total + $(awk '/ctxt_switches/ { n += $2 } END { print n }' "$task/status")))
  done
  echo $total
}
ticks() { awk '{ print $14 + $15 }' "/proc/$first/stat"; }
before=$(switches) spent=$(ticks)
tell reads
await $RESULTS/inner.log "done reads" 500
after=$(switches) now=$(ticks)
reads=$(sed -n 's/^inner: reads: \([0-9]*\).*/\1/p' $RESULTS/inner.log)
((reads >= 10000)) || fail "not 10,000 reads: $reads"
((before > 0)) || fail "no thread of the broker's is known"
[[ $before == "$after" ]] || fail "the broker was woken $((after - before)) times during $reads reads"
shown "$reads reads: no message to the broker, $(((now - spent) * 10)) ms of its CPU time"

vfio up $work/second.yaml --folder $work/second >$RESULTS/second.log 2>&1 &
second=$!
tell net
await $RESULTS/inner.log "done net" 300
grep -q "net: .* 0% packet loss" $RESULTS/inner.log || fail "packets are lost"
grep -q "net: interrupts .*msix" $RESULTS/inner.log || fail "the card has no MSI-X"
shown "a network card, wrapped, passes packets by MSI-X"

tell copies
await $RESULTS/inner.log "done copies" 200
(($(grep -c "edu .* copies" $RESULTS/inner.log) == 2)) || fail "not both edu copy"
shown "one edu whole, one wrapped: both copy"

await $RESULTS/second.log "Ctrl-C gives everything back" 120
grep "held: rival" $RESULTS/second.log | grep -q "$first" || fail "the holder is not named"
shown "a second VM: EBUSY, the holder named"
tell copies
await $RESULTS/inner.log "done copies" 200 2
(($(grep -c "edu .* copies" $RESULTS/inner.log) == 4)) || fail "the first VM is disturbed"

qmp device_del '{"id": "vfio1"}'
await $RESULTS/first.log "$first_edu: left" 200
tell copies
await $RESULTS/inner.log "done copies" 200 3
(($(grep -c "edu .* copies" $RESULTS/inner.log) == 5)) || fail "the edu that stays does not copy alone"
shown "one device unplugged: the other goes on"

if [[ -n ${UP_REBOOT:-} ]]; then
  tell again
  await $RESULTS/inner.log "inner: up" 900
  tell disk
  await $RESULTS/inner.log "done disk" 400 2
  (($(disk_boots | tail -n 1) == boot + 1)) || fail "not after a reboot"
  grep -q "boot $((boot + 1)) wrote and read back" $RESULTS/inner.log || fail "not written after a reboot"
  shown "after a reboot of the guest again"
fi

qmp quit
wait $inner
await $RESULTS/first.log "$second_edu free" 60
eval "given=($(arguments $RESULTS/second.log rival))"
(paused "${given[@]}") >$RESULTS/rival.log 2>&1 &
rival=$!
await $RESULTS/second.log "with 2 users" 60
shown "the first ends: the second gets both"
kill -KILL $rival
wait $rival 2>/dev/null
await $RESULTS/second.log "$second_edu free" 60
kill -TERM $second
wait $second
kill -TERM $first
wait $first
[[ -z $(find $work/first $work/second -mindepth 1) ]] || fail "something stays in the folders"
for function in $nvme $first_edu $second_edu $network; do
  [[ ! -e /sys/bus/pci/devices/$function/driver ]] || fail "$function is not given back"
done
[[ $(driver_of $card) == e1000 ]] || fail "$card is not given back to e1000"
shown "ended by SIGTERM: sockets and drivers given back"
(IFS=,; echo "${shown[*]}" | sed 's/,/, /g') >"$RESULTS/summary"
