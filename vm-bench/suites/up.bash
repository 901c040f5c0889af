# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# README's vfio up, with the arguments that it prints: each VM of examples/up.yaml in QEMU, and Linux's
# drivers in one of them.
# shellcheck source=../bench.bash
source "$here/bench.bash"

root=$(dirname "$here")
log=$work/up.log
"$root/vfio" --version # Built before, where it has to be.
setsid "$root/vfio" up "$root/examples/up.yaml" --folder "$work/up" >"$log" 2>&1 </dev/null &
server_pid[up]=$!
server_log[up]=$log
deadline=$((SECONDS + server_limit))
until grep -q 'Ctrl-C gives everything back' "$log"; do
  alive "${server_pid[up]}" && ((SECONDS < deadline)) || { cat "$log"; fail "vfio up serves nothing"; }
  sleep 0.05
done

# arguments VM: what is printed for it, as a shell reads it.
arguments() {
  sed -n "/^$1, /,/^$/p" "$log" | sed '1,/Give QEMU/d'
}

eval "given=($(arguments lab))"
run_guest up-lab "" "bench=two copies=200" -no-reboot "${given[@]}"
for name in edu ioat; do
  grep -q "lab: $name: connected: process" "$log" || fail "$name was not plugged in"
done

eval "given=($(arguments web))"
"$here/qemu" -S -nodefaults -display none -accel tcg -monitor none "${given[@]}" >"$work/web" 2>&1 </dev/null &
web=$!
deadline=$((SECONDS + silent_limit))
until (($(grep -c 'web: edu in place of .*: connected: process' "$log") == 2)); do
  alive $web && ((SECONDS < deadline)) || { cat "$work/web"; fail "the stand-ins were not plugged in"; }
  sleep 0.05
done
kill -KILL $web
wait $web 2>/dev/null || true
note "web: both stand-ins plugged in"

kill -TERM -- "-${server_pid[up]}"
wait "${server_pid[up]}" || true
[[ -z $(ls "$work/up") ]] || fail "something stays: $(ls "$work/up")"
unset 'server_pid[up]'
