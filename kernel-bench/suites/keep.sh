# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# vfio keep: vfio up killed, and followed by another build, under a VM that reads: it notices nothing.
# limit: 6000
# KILLS (8) and UPGRADES (1): how often. UP_REBOOT=yes: the VM reboots in between, which takes some minutes.
# needs: qemu inner
# KEEPER: who keeps what it has open, and starts it again: vfio keep, or systemd (suite systemd).

nvme=0000:03:00.0
edu=0000:02:01.0
wrapped=0000:02:02.0
network=0000:00:05.0
work=/tmp/keep
kills=${KILLS:-8}
upgrades=${UPGRADES:-1}
RANDOM=${FUZZ_SEED:-1}
log=$RESULTS/broker.log
. "$BENCH/lib/inner.sh"

cat >$work/vms.yaml <<YAML
host: linux
vms:
  inner: {memory: 256MiB, user: nobody, devices: [{wrap: $nvme}, $edu, {wrap: $wrapped}]}
  other: {memory: 64MiB, user: nobody, devices: [{wrap: $network}]}
YAML

# Which build is started is a link that the next start follows.
mkdir -p $work/builds/other
for module in cli broker user linux posix core; do
  cp -r "$ROOT/$module/target/classes" $work/builds/other/$module
done
printf '%s\n' "$CLASSPATH" >$work/builds/first.path
(printf '%s:' $work/builds/other/*; printf '%s\n' "$CLASSPATH") >$work/builds/other.path
ln -s first.path $work/builds/now
cat >$work/vfio <<SH
CLASSPATH=\$(<$work/builds/now) exec $JAVA $JAVA_FLAGS org.vfio4j.cli.Main "\$@"
SH

up=(bash $work/vfio up $work/vms.yaml --folder $work/vms --bind --force $nvme --force $edu --force $wrapped --force $network)
if [[ ${KEEPER:-keep} == systemd ]]; then
  begin() {
    cat >/run/systemd/system/broker.service <<UNIT
[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
$(grep -E '^(Type|NotifyAccess|FileDescriptorStore|Environment|Restart|SuccessExitStatus|TimeoutStart|KillMode|SendSIGKILL)' \
      "$ROOT/dist/system/vfio4j.service")
ExecStart=${up[*]}
StandardOutput=append:$log
StandardError=append:$log
UNIT
    : >"$log"
    systemctl daemon-reload
    systemctl start --no-block broker.service
  }
  replace() { systemctl restart --no-block broker.service; }
  await_other() {
    local now
    until now=$(systemctl show -P MainPID broker.service) && ((now != 0 && now != broker)); do
      read -rt 0.1 -u "$nothing" || true
    done
  }
  end() {
    systemctl kill -s INT broker.service
    until [[ $(systemctl show -P ActiveState broker.service) == inactive ]]; do
      read -rt 0.3 -u "$nothing" || true
    done
    [[ $(systemctl show -P NFileDescriptorStore broker.service) == 0 ]] || fail "something stays in the store"
  }
else
  begin() {
    vfio keep -- "${up[@]}" >"$log" 2>&1 &
    keep=$!
  }
  replace() { kill -TERM "$broker"; }
  await_other() { await "$log" "started again" 60 $starts; }
  end() {
    kill -TERM $keep
    wait $keep
  }
fi
starts=0
begin

# Until one more broker serves. Sets $broker, and $pause to the milliseconds since $killed.
await_broker() {
  await "$log" "Ctrl-C gives everything back" 120 $((++starts))
  pause=$(((${EPOCHREALTIME/./} - killed) / 1000))
  broker=$(sed -n 's/.*until process \([0-9]*\) is followed.*/\1/p' "$log" | tail -n 1)
}

tell() { echo "$1" >&9; }
verified() { sed -n 's/^inner: verified \([0-9]*\).*/\1/p' "$RESULTS/inner.log" | tail -n 1 | grep . || echo 0; }

# The VM has read what it wrote, some times more than when it was asked.
await_verified() {
  await "$RESULTS/inner.log" "inner: verified $(($(verified) + 3))" 300
  ! grep -q "wrong bytes" "$RESULTS/inner.log" || fail "wrong bytes"
}

# within CALL SIDE COMMAND...: COMMAND has the broker make CALL, and it is killed there: on SIDE enter before the kernel
# has done it, on SIDE exit when the kernel has and the broker does not know.
within() {
  local trace=$work/trace lines line thread at='' begin=$SECONDS
  : >"$trace"
  strace -fy -p "$broker" -o "$trace" -e trace=ioctl -e inject=ioctl:delay_"$2"=700000 2>"$trace.log" &
  await "$trace.log" attached 60
  "${@:3}"
  until [[ -n $at ]]; do
    ((SECONDS - begin < 120)) || fail "the broker does not call $1"
    read -rt 0.02 -u "$nothing" || true
    mapfile -t lines <"$trace"
    thread=
    for line in "${lines[@]}"; do
      # A line is cut in two where another thread comes between.
      [[ $line != *"$1"*unfinished* ]] || thread=${line%% *}
      [[ $line == *"$1"* || (-n $thread && $line == "$thread "*resumed*) ]] || continue
      [[ $2 == enter || $line == *" = 0"* ]] || continue
      at=$line
      break
    done
  done
  killed=${EPOCHREALTIME/./}
  kill -KILL "$broker"
  calls=$((calls + 1))
  # What strace had said of it when it was killed there: it is not done, or its caller has not been let go on.
  if [[ $2 == exit || $at != *" = "* ]]; then there=$((there + 1)); fi
  echo "  $2 $1:${at#* }"
}
# It has the number of a device's call.
map="vfio/vfio>, VFIO_DEVICE_PCI_HOT_RESET or VFIO_IOMMU_MAP_DMA"
reset_other() { echo system_reset >"$work/other.in"; }

# What a broker that is to die does then, in turns: nothing, a call into the kernel that another VM's reset and the
# VM's driver need, the VM's own doing.
moment() {
  case $((round % 9)) in
    1) ;;
    2) within VFIO_DEVICE_RESET exit reset_other ;;
    3) tell copies ;;
    4) within "$map" exit reset_other ;;
    5) within VFIO_DEVICE_SET_IRQS exit tell rebind ;;
    6) within "$map" enter reset_other ;;
    7) within VFIO_DEVICE_SET_IRQS enter tell rebind ;;
    8) within VFIO_DEVICE_RESET enter reset_other ;;
    0) tell registers; sleep "0.$((RANDOM % 10))" ;;
  esac
}

killed=${EPOCHREALTIME/./}
await_broker
first=$pause
before=$(pinned)
start_inner "$log" inner
await "$log" "$wrapped in use" 100
eval "given=($(arguments "$log" other))"
mkfifo -m 666 $work/other.in $work/other.out
exec {other_in}<>$work/other.in {other_out}<>$work/other.out
(qemu -accel tcg -nodefaults -display none "${given[@]}" \
  -chardev pipe,id=asked,path=$work/other -mon asked) >"$RESULTS/other.log" 2>&1 &
other=$!
cat <&$other_out >"$RESULTS/other-monitor.log" &
await "$log" "$network in use" 100
qmp cont
tell disk
await "$RESULTS/inner.log" "done disk" 400
tell verify
await_verified
held=$(pinned)

pauses=()
deaths=0 calls=0 there=0
for ((round = 1; round <= kills + upgrades; round++)); do
  killed=
  if ((round <= kills)); then
    moment
    if [[ -z $killed ]]; then
      killed=${EPOCHREALTIME/./}
      kill -KILL "$broker"
    fi
  else
    killed=${EPOCHREALTIME/./}
    ln -sfn "$([[ $(readlink $work/builds/now) == first.path ]] && echo other.path || echo first.path)" $work/builds/now
    replace
  fi
  if ((round % 4 == 3 && round < kills)); then
    # It dies again while it takes over.
    await_other
    sleep "$((RANDOM % 6)).$((RANDOM % 10))"
    until next=$(pgrep -f "cli.Main up $work" | tail -n 1) && [[ -n $next ]]; do
      read -rt 0.1 -u "$nothing" || true
    done
    kill -KILL "$next"
    deaths=$((deaths + 1))
  fi
  await_broker
  pauses+=("$pause")
  kill -0 $inner $other || fail "round $round: a VM has ended"
  await_verified
  # The other VM may be in the middle of its reset yet.
  for ((n = 0; n < 200; n++)); do
    pages=$(pinned)
    ((pages != held)) || break
    read -rt 0.3 -u "$nothing" || true
  done
  ((pages == held)) || fail "round $round: $pages pages are pinned, and $held were"
  echo "round $round after $SECONDS s: $pause ms"
done
tell registers
await "$RESULTS/inner.log" "done registers" 100
((2 * there >= calls)) || fail "$((calls - there)) of $calls calls were over when the broker was killed"
! grep -q "resume\|given back:" "$log" || fail "something was not taken over"
copies=$(grep -c "edu .* copies" "$RESULTS/inner.log")
tell copies
for ((n = 0; n < 300; n++)); do
  (($(grep -c "edu .* copies" "$RESULTS/inner.log") < copies + 2)) || break
  read -rt 0.3 -u "$nothing" || true
done
((n < 300)) || fail "not both edu copy"

if [[ -n ${UP_REBOOT:-} ]]; then
  tell stop
  await "$RESULTS/inner.log" "done stop" 100
  tell again
  await "$RESULTS/inner.log" "inner: up" 900
  tell disk
  await "$RESULTS/inner.log" "boot $(($(disk_boots | head -n 1) + 1)) wrote and read back" 400
  echo "after a reboot of the guest again"
else
  tell stop
  await "$RESULTS/inner.log" "done stop" 100
fi
grep "inner: verify: interrupts" "$RESULTS/inner.log" | tail -n 1
grep -q "inner: verify: lost interrupts 0" "$RESULTS/inner.log" || fail "nobody said whether interrupts were lost"
! grep "inner: verify: lost interrupts" "$RESULTS/inner.log" | grep -v "interrupts 0" || fail "lost interrupts"

echo "info status" >$work/other.in
await "$RESULTS/other-monitor.log" "VM status: running" 60
echo quit >$work/other.in
qmp quit
wait $inner $other
await "$log" "$nvme free" 100
end
[[ -z $(find $work/vms -mindepth 1) ]] || fail "something stays in the folder"
for function in $nvme $edu $wrapped $network; do
  [[ ! -e /sys/bus/pci/devices/$function/driver ]] || fail "$function is not given back"
done
(($(pinned) == before)) || fail "$(($(pinned) - before)) pages stay pinned"
mapfile -t sorted < <(printf '%s\n' "${pauses[@]}" | sort -n)
{
  echo "killed $kills times, $there of $calls meant so within a call, and $deaths times while it took over, upgraded $upgrades times: the VMs go on"
  echo "$(verified) times 64 KiB right, 0 wrong, 0 interrupts lost"
  echo "start $first ms, pauses ${sorted[0]} to ${sorted[-1]} ms, median ${sorted[${#sorted[@]} / 2]}, QEMU waits 60000"
} >"$RESULTS/summary"
