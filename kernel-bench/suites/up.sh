# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# vfio up with QEMU 11.1: an NVMe and the functions of a shared group, wrapped and whole, in a VM.
# limit: 900
# UP_REBOOT=yes: the inner guest reboots and does it again, four minutes more.
# needs: qemu
# by name: a boot within the guest takes four minutes

nvme=0000:03:00.0
first_edu=0000:02:01.0
second_edu=0000:02:02.0
card=0000:02:03.0
work=/tmp/up
said=()
. "$BENCH/lib/inner.sh"

shown() {
  said+=("$1")
  echo "shown after $SECONDS s: $1"
}

# The inner VM's files: the kernel of this guest, nvme's modules, and the program that drives edu.
tree=$work/tree
mkdir -p $tree/{bin,dev,modules,proc,sys,tmp}
cp "$(command -v busybox)" "$BENCH/guest/inner/init" $tree
mv $tree/busybox $tree/bin
chmod 755 $tree/init
gcc -std=gnu17 -O1 -static -o $tree/bin/edu "$ROOT/vm-bench/guest/edu.c" || fail "edu.c does not compile"
number=10
while read -r module; do
  cp "$module" "$tree/modules/$((number++))-$(basename "$module")"
done < <(modprobe --show-depends nvme | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
(cd $tree && find . | cpio -o -H newc --quiet) >$work/initramfs
home=$(dirname "$(dirname "$BENCH_MODULES")")
cp "$home/vmlinux" $work/vmlinux
chmod 644 $work/initramfs $work/vmlinux
echo "the inner VM's files after $SECONDS s"

cat >$work/first.yaml <<YAML
host: linux
vms:
  inner:
    memory: 256MiB
    user: nobody
    devices: [{wrap: $nvme}, $first_edu, {wrap: $second_edu}, $card]
YAML
cat >$work/second.yaml <<YAML
host: linux
vms:
  rival:
    memory: 256MiB
    user: nobody
    devices: [$first_edu, {wrap: $second_edu}]
YAML

vfio up $work/first.yaml --folder $work/first --bind --force $nvme --force $first_edu \
  --force $second_edu --force $card >$RESULTS/first.log 2>&1 &
first=$!
await $RESULTS/first.log "Ctrl-C gives everything back" 120
shown "taken: $(sed -n 's/ → /→/p' $RESULTS/first.log | paste -sd' ')"

mkfifo $work/monitor.in $work/monitor.out $work/console.in
exec 7<>$work/monitor.in 8<>$work/monitor.out 9<>$work/console.in
chown nobody $work/monitor.* 
eval "given=($(arguments $RESULTS/first.log inner))"
(
  qemu "${given[@]}" -smp 1 -kernel $work/vmlinux -initrd $work/initramfs -chardev stdio,id=console \
    -serial chardev:console -chardev pipe,id=monitor,path=$work/monitor -mon chardev=monitor,mode=readline \
    -append "console=ttyS0 quiet lsm= rodata=off panic=-1 nokaslr nowatchdog no_timer_check tsc=reliable mitigations=off init_on_alloc=0 apparmor=0 rdinit=/init"
) <&9 >$RESULTS/inner.log 2>&1 &
inner=$!
tell() { echo "$1" >&9; }

await $RESULTS/first.log "in use" 60
await $RESULTS/inner.log "inner: up" 400
shown "an unprivileged QEMU boots with four functions"
tell disk
await $RESULTS/inner.log "done disk" 60
grep -q "boot 1 reads: vfio4j kernel-bench block 0" $RESULTS/inner.log || fail "not the disk's content"
grep -q "boot 1 wrote and read back" $RESULTS/inner.log || fail "not written and read back"
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
await $RESULTS/inner.log "done reads" 300
after=$(switches) now=$(ticks)
reads=$(sed -n 's/^inner: reads: \([0-9]*\).*/\1/p' $RESULTS/inner.log)
((reads >= 10000)) || fail "not 10,000 reads: $reads"
((before > 0)) || fail "no thread of the broker's is known"
[[ $before == "$after" ]] || fail "the broker was woken $((after - before)) times during $reads reads"
shown "$reads reads: no message to the broker, $(((now - spent) * 10)) ms of its CPU time"

tell copies
await $RESULTS/inner.log "done copies" 60
(($(grep -c "edu .* copies" $RESULTS/inner.log) == 2)) || fail "not both edu copy"
shown "one edu whole, one wrapped: both copy"

vfio up $work/second.yaml --folder $work/second >$RESULTS/second.log 2>&1 &
second=$!
await $RESULTS/second.log "Ctrl-C gives everything back" 120
grep "held: rival" $RESULTS/second.log | grep -q "$first" || fail "the holder is not named"
shown "a second VM: EBUSY, the holder named"
tell copies
await $RESULTS/inner.log "done copies" 60 2
(($(grep -c "edu .* copies" $RESULTS/inner.log) == 4)) || fail "the first VM is disturbed"

echo "device_del vfio1" >&7
await $RESULTS/first.log "$first_edu: left" 60
tell copies
await $RESULTS/inner.log "done copies" 60 3
(($(grep -c "edu .* copies" $RESULTS/inner.log) == 5)) || fail "the edu that stays does not copy alone"
shown "one device unplugged: the other goes on"

if [[ -n ${UP_REBOOT:-} ]]; then
  tell again
  await $RESULTS/inner.log "inner: up" 400 2
  tell disk
  await $RESULTS/inner.log "done disk" 60 2
  grep -q "boot 2 reads: vfio4j kernel-bench block 0" $RESULTS/inner.log || fail "not after a reboot"
  grep -q "boot 2 wrote and read back" $RESULTS/inner.log || fail "not written after a reboot"
  shown "after a reboot of the guest again"
fi

tell off
wait $inner
await $RESULTS/first.log "$second_edu free" 60
eval "given=($(arguments $RESULTS/second.log rival))"
mkfifo $work/second.in
exec 6<>$work/second.in
(qemu "${given[@]}" -S -monitor stdio) <&6 >$RESULTS/rival.log 2>&1 &
rival=$!
await $RESULTS/second.log "with 2 users" 60
shown "the first ends: the second gets both"
echo quit >&6
wait $rival
await $RESULTS/second.log "$second_edu free" 60
kill -TERM $second
wait $second
kill -TERM $first
wait $first
[[ -z $(ls $work/first $work/second) ]] || fail "something stays in the folders"
for function in $nvme $first_edu $second_edu $card; do
  [[ ! -e /sys/bus/pci/devices/$function/driver ]] || fail "$function is not given back"
done
shown "ended by SIGTERM: sockets and drivers given back"
(IFS=,; echo "${said[*]}" | sed 's/,/, /g') >"$RESULTS/summary"
