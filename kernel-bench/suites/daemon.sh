# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# vfio daemon with QEMU 11.1: VMs handed over, a device plugged into a running one, moved, and a death.
# limit: 1500
# needs: qemu inner

nvme=0000:03:00.0
edu=0000:02:01.0
network=0000:00:05.0
work=/tmp/daemon
. "$BENCH/lib/inner.sh"

mkdir -p $work/monitors
chown nobody $work/monitors
cat >$work/first.yaml <<YAML
host: linux
vms:
  inner: {memory: 256MiB, user: nobody, qmp: $work/monitors/inner, devices: [{wrap: $nvme}]}
  other: {memory: 256MiB, user: nobody, qmp: $work/monitors/other, devices: [{wrap: $network}]}
YAML
cat >$work/second.yaml <<YAML
host: linux
vms:
  rival: {memory: 256MiB, user: nobody, devices: [$nvme]}
YAML
cat >$work/vfio <<SH
exec $JAVA $JAVA_FLAGS org.vfio4j.cli.Main "\$@"
SH
export VFIO_SOCKET=$work/vms/daemon.sock
tell() { echo "$1" >&9; }

start_daemon() {
  vfio keep -- bash $work/vfio daemon --folder $work/vms --state $work/state --unplug-timeout 120 \
    >"$RESULTS/daemon$1.log" 2>&1 &
  keep=$!
  await "$RESULTS/daemon$1.log" "Answers at" 120
}

before=$(pinned)
start_daemon 1
(vfio events --json) >"$RESULTS/events.log" 2>&1 &
ask 0 up up -d $work/first.yaml --bind --force $nvme --force $network --force $edu
[[ $(driver_of $nvme) == vfio-pci ]] || fail "$nvme is with $(driver_of $nvme)"
ask 1 rival up -d $work/second.yaml
grep -q "refused: 1 of 1 device" "$RESULTS/rival.log" || fail "not refused as 'vfio check' refuses"
shown "handed over, and refused to a second VM"

start_inner "$RESULTS/up.log" inner
await "$RESULTS/daemon1.log" "$nvme in use" 100
qmp cont
tell disk
await "$RESULTS/inner.log" "done disk" 400
eval "given=($(arguments "$RESULTS/up.log" other))"
(paused "${given[@]}") >"$RESULTS/other.log" 2>&1 &
other=$!
await "$RESULTS/daemon1.log" "$network in use" 100
shown "two VMs of a daemon"

ask 0 attach attach inner $edu
grep -q "is vfio-0000-02-01.0 of inner, behind vfio1-port" "$RESULTS/attach.log" || fail "not plugged in"
copied() {
  local n
  for ((n = 0; n < 60; n++)); do
    tell copies
    read -rt 1 -u "$nothing" || true
    ! grep -q "edu .* copies" "$RESULTS/inner.log" || return 0
  done
  return 1
}
copied || fail "the guest does not have what was plugged in"
shown "plugged into a running guest, which uses it"
ask 1 busy attach other $edu
grep -q "refused: 1 of 1 device" "$RESULTS/busy.log" || fail "a device of another VM was not refused"

tell verify
await "$RESULTS/inner.log" "inner: verified 3" 400
pid=$(pgrep -f "cli.Main daemon --folder $work/vms" | tail -n 1)
kill -KILL "$pid"
await "$RESULTS/daemon1.log" "Answers at" 120 2
verified=$(grep -c "inner: verified" "$RESULTS/inner.log")
await "$RESULTS/inner.log" "inner: verified" 400 $((verified + 3))
! grep -q "wrong bytes" "$RESULTS/inner.log" || fail "wrong bytes"
grep -q "inner: goes on" "$RESULTS/daemon1.log" || fail "the VM does not go on"
shown "killed: both VMs go on"

ask 0 detach detach inner $edu
grep -q "is given back" "$RESULTS/detach.log" || fail "not given back"
ask 1 left attach other $edu
grep -q "cannot be reset, and was inner's" "$RESULTS/daemon1.log" || fail "given away as another VM left it"
grep -q "QEMU refuses device_add" "$RESULTS/left.log" || fail "nobody was told"
ask 0 move attach other $edu --no-reset
grep -q "is vfio-0000-02-01.0 of other" "$RESULTS/move.log" || fail "not moved"
ask 0 ps ps
grep -q "$edu *in use" "$RESULTS/ps.log" || fail "not in use"
shown "unplugged by the guest, and moved to another running VM"

ask 1 running down inner
grep -q "uses wrap $nvme" "$RESULTS/running.log" || fail "a VM that runs was taken down"
qmp quit
kill $other
wait $inner $other
# All is lost that was kept, as at a boot: what is written down is served again.
kill -KILL $keep
pkill -KILL -f "cli.Main daemon --folder $work/vms"
start_daemon 2
ask 0 ps ps
grep -q "^inner *served" "$RESULTS/ps.log" && grep -q "$edu *free" "$RESULTS/ps.log" || fail "not served again"
shown "served again from what was written down"
ask 0 down down inner other
for function in $nvme $network $edu; do
  [[ ! -e /sys/bus/pci/devices/$function/driver ]] || fail "$function is not given back"
done
kill -TERM $keep
wait $keep
[[ ! -e $work/vms/inner && ! -e $VFIO_SOCKET ]] || fail "something is left of the daemon"
for event in ready serving connected state; do
  grep -q "\"event\":\"$event\"" "$RESULTS/events.log" || fail "no event $event"
done
shown "taken down, and given back"
(($(pinned) == before)) || fail "$(($(pinned) - before)) pages stay pinned"
summary
