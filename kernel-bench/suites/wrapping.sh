# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What wrapping costs: an NVMe by vfio up beside QEMU's own vfio-pci, in the same VM, in turns.
# limit: 2400
# needs: qemu inner
# by name: measures, and takes fifteen minutes

nvme=0000:03:00.0
work=/tmp/wrapping
turns=3
. "$BENCH/lib/inner.sh"
ulimit -l unlimited

# Milliseconds.
now() { echo $((${EPOCHREALTIME/./} / 1000)); }

# started NAME COMMAND WORDS...: QEMU, paused, until it answers; milliseconds added to $RESULTS/NAME.
started() {
  local name=$1 begin
  shift
  qmp_pipes $work/start
  mapfile -t rest < <(qmp_arguments $work/start)
  begin=$(now)
  ("$@" "${rest[@]}") >"$RESULTS/$name.log" 2>&1 7>&- 8>&- &
  qmp qmp_capabilities
  qmp_await '"return"' 300 || fail "$name: QEMU does not answer"
  echo $(($(now) - begin)) >>"$RESULTS/$name"
  qmp quit
  wait $!
  qmp_end
}

own_paused() { qemu_by_root -accel tcg -nodefaults -display none -S "$@"; }

# serve SIZE: vfio up for a VM of so many MiB; sets $broker and $log.
serve() {
  log=$RESULTS/up-$1.log
  rm -f "$log"
  printf 'host: linux\nvms:\n  inner: {memory: %sMiB, user: nobody, devices: [{wrap: "%s"}]}\n' "$1" $nvme \
    >$work/$1.yaml
  vfio up $work/$1.yaml --folder $work/vms >"$log" 2>&1 &
  broker=$!
  await "$log" "Ctrl-C gives everything back" 120
}

stop() {
  kill -TERM $broker
  wait $broker
}

# tell WORD: to the VM that goes on, until it is done; who looks seldom takes little of its processor.
tell() {
  local deadline=$((SECONDS + 400))
  echo "$1" >&9
  until grep -q "done $1" "$RESULTS/inner.log"; do
    ((SECONDS < deadline)) || fail "the VM has not done $1"
    sleep 5
  done
}

# work_inner NAME: reads and registers of the VM; what it says is kept.
work_inner() {
  qmp cont
  for word in disk reads registers; do tell $word; done
  sed -n 's/^inner: reads: .* in \([0-9]*\) ms.*/\1/p' "$RESULTS/inner.log" >>"$RESULTS/$1-reads"
  sed -n 's/^inner: registers: \([0-9]*\) us.*/\1/p' "$RESULTS/inner.log" >>"$RESULTS/$1-register"
  qmp quit
  wait $inner
  qmp_end
  mv "$RESULTS/inner.log" "$RESULTS/$1-inner.log"
}

wrapped_turn() {
  local size given
  for size in 256 512 1024; do
    serve $size
    eval "given=($(arguments "$log" inner))"
    started wrapped-$size paused "${given[@]}" -trace vfio_user_recv_hdr
    grep -c vfio_user_recv_hdr "$RESULTS/wrapped-$size.log" >"$RESULTS/messages-$size"
    if [[ $size == 256 ]]; then
      start_inner "$log" inner
      await "$log" "in use" 60 2
      work_inner wrapped
    fi
    stop
  done
}

own='{"driver":"vfio-pci","host":"'$nvme'","id":"vfio0","bus":"vfio0-port"}'

own_turn() {
  local size
  for size in 256 512 1024; do
    started own-$size own_paused -machine q35,memory-backend=mem \
      -object memory-backend-memfd,id=mem,size=${size}M,share=on,prealloc=on \
      -device pcie-root-port,id=vfio0-port,chassis=100,slot=100 -device "$own"
  done
  resume_inner qemu_by_root
  qmp device_add "$own"
  work_inner own
}

# row NAME FILE: the least of the turns, and all of them.
row() {
  awk -v name="$1" '
    FNR == 1 { file++ }
    { all[file] = all[file] " " $1; if (!(file in least) || $1 < least[file]) least[file] = $1 }
    END {
      printf "%-40s %9d %9d   %.2f   (%s;%s)\n", name, least[1], least[2], least[2] / least[1],
        substr(all[1], 2), all[2]
    }' "$RESULTS/own-$2" "$RESULTS/wrapped-$2"
}

echo vfio-pci >/sys/bus/pci/devices/$nvme/driver_override
echo $nvme >/sys/bus/pci/drivers_probe
for turn in $(seq $turns); do
  echo "turn $turn of $turns"
  wrapped_turn
  own_turn
done

{
  printf '%-40s %9s %9s   %s\n' "least of $turns turns" vfio-pci "vfio up" "ratio  (all turns)"
  for size in 256 512 1024; do
    row "start, $size MiB, ms ($(<"$RESULTS/messages-$size") messages)" $size
  done
  row "10,240 reads of 4 KiB, ms" reads
  row "a register that is not mapped, us" register
} | tee "$RESULTS/table"
echo "reads are the same code in QEMU: a ratio near 1 shows that the registers are mapped, and no more" >"$RESULTS/summary"
