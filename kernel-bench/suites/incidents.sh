# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# A device in use is taken away by whoever unbinds it, and is pulled out.
# limit: 600
# machine: hotplug
# needs: qemu

work=/tmp/incidents
. "$BENCH/lib/inner.sh"
# The outer machine's monitor. The terminal sends back what comes before it is told not to, which is refused and may take
# a command with it.
exec {monitor}<>/dev/ttyS1
stty raw -echo <&$monitor
cat <&$monitor >"$RESULTS/monitor.log" &
trap "kill $!" EXIT
outer() { printf '{"execute": "%s"%s}\n' "$1" "${2:+, \"arguments\": $2}" >&$monitor; }
until grep -q '"return"' "$RESULTS/monitor.log"; do
  ((SECONDS < 60)) || fail "the machine's monitor does not answer"
  outer qmp_capabilities
  read -rt 0.5 -u "$nothing" || true
done

card=$(basename "$(dirname /sys/bus/pci/devices/0000:00:0b.0/0000:*/vendor)")
echo "the card is $card, group $(basename "$(readlink /sys/bus/pci/devices/"$card"/iommu_group)")"
log=$RESULTS/up.log
cat >$work/vms.yaml <<YAML
host: linux
vms:
  web: {memory: 256MiB, user: nobody, devices: [$card]}
YAML
before=$(pinned)
vfio up $work/vms.yaml --folder $work/vms --bind --force "$card" >"$log" 2>&1 &
broker=$!
await "$log" "Ctrl-C gives everything back" 120

# Once more than until now.
await_more() {
  local count
  said "$log" "$1"
  "${@:2}"
  await "$log" "$1" 60 $((count + 1))
}

# The VM has the card, and the card its memory. Sets $vm.
start_vm() { await_more "256MiB mapped; $card in use" start_qemu; }
start_qemu() {
  local given
  eval "given=($(arguments "$log" web))"
  (paused "${given[@]}") >"$RESULTS/web.log" 2>&1 &
  vm=$!
}
await_end() {
  local deadline=$((SECONDS + 60))
  while kill -0 "$1" 2>/dev/null; do
    ((SECONDS < deadline)) || fail "process $1 is still there: $2"
    read -rt 0.3 -u "$nothing" || true
  done
}

unbind() {
  echo "$card" >/sys/bus/pci/drivers/vfio-pci/unbind &
  unbind=$!
}

start_vm
await_more "$card in use (somebody takes it from VFIO" unbind
kill -0 $unbind || fail "who unbinds does not wait for the VM"
kill $vm
await_end $unbind "it was let go"
await "$log" "$card free" 60
shown "unbound: told, and done when the VM had ended"

# An error that the card reports: to the root port, whose driver (AER) tells VFIO's, which signals the broker. A card
# sends one only if its own registers let it.
echo "$card" >/sys/bus/pci/drivers/vfio-pci/bind
start_vm
# QEMU resets it once more when it has its memory, which is not said: so again, until it is told.
deadline=$((SECONDS + 60))
until said "$log" "$card in use (an error was reported for it" && ((count > 0)); do
  ((SECONDS < deadline)) || fail "nobody tells of an error of $card"
  setpci -s "$card" COMMAND=100:100 CAP_EXP+8.w=7:7
  setpci -s 00:0b.0 COMMAND=100:100 BRIDGE_CONTROL=2:2 CAP_EXP+8.w=7:7
  outer human-monitor-command '{"command-line": "pcie_aer_inject_error pulled DLP"}'
  read -rt 3 -u "$nothing" || true
done
await "$RESULTS/web.log" "nrecoverable error" 60
kill $vm
await "$log" "$card free" 60
shown "an error of the card: told to the broker and to its VM, which QEMU stops"

start_vm
await_more "$card in use (somebody takes it from VFIO" outer device_del '{"id": "pulled"}'
kill $vm
await "$log" "it is not there any more" 60
[[ ! -e /sys/bus/pci/devices/$card ]] || fail "$card is there still"
shown "pulled out: told, and gone when the VM had ended"

eval "given=($(arguments "$log" web))"
(paused "${given[@]}") >"$RESULTS/late.log" 2>&1 &
await_end $! "a VM without its device"
grep -q "$card" "$log" || fail "nobody said why"
kill -INT $broker
await_end $broker "vfio up"
[[ -z $(find $work/vms -mindepth 1) ]] || fail "something stays in the folder"
(($(pinned) == before)) || fail "$(($(pinned) - before)) pages stay pinned"
shown "the next VM refused, and everything given back"
summary
