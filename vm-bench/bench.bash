# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What the suites share: servers, guests, and what to do when one is silent. A suite is a bash of its
# own that sources this; run gives it here, work, guest, server, rounds and seed.
set -euo pipefail

# Seconds. A guest under TCG on a busy machine is slow; one that says nothing this long is dead.
silent_limit=${VM_BENCH_SILENT:-60}
server_limit=${VM_BENCH_SERVER:-180}

declare -A server_pid=() server_log=() device=()
guest_pid=
console=

note() {
  echo "vm-bench: $*"
}

fail() {
  note "FAIL $*"
  return 1
}

now() {
  echo "${EPOCHREALTIME/./}"
}

# seconds_since MICROSECONDS
seconds_since() {
  local tenths=$((($(now) - $1) / 100000))
  echo "$((tenths / 10)).$((tenths % 10)) s"
}

alive() {
  [[ -n ${1:-} ]] && kill -0 "$1" 2>/dev/null && [[ $(ps -o stat= -p "$1") != Z* ]]
}

tail_of() {
  [[ -s $1 ]] || return 0
  echo "--- the end of $2"
  tail -n "${3:-40}" "$1" | tr -d '\r' | sed 's/^/    /'
}

# start_server NAME: ioat or edu, on the socket that NAME always has; waits until it says so.
start_server() {
  local name=$1 socket=$work/$1.sock log=$work/$1.log from
  touch "$log"
  from=$(($(stat -c %s "$log") + 1))
  # A process group of its own, so that whatever the command starts dies with it.
  # shellcheck disable=SC2086
  setsid $server "$name" --socket "$socket" >>"$log" 2>&1 </dev/null &
  server_pid[$name]=$!
  server_log[$name]=$log
  local deadline=$((SECONDS + server_limit))
  until tail -c +"$from" "$log" | grep -qF "$socket" && [[ -S $socket ]]; do
    if ! alive "${server_pid[$name]}"; then
      tail_of "$log" "the server's output"
      fail "the $name server ended before it was ready"
      return
    fi
    if ((SECONDS > deadline)); then
      tail_of "$log" "the server's output"
      fail "the $name server did not name $socket within $server_limit s"
      return
    fi
    sleep 0.05
  done
  local addr=5
  [[ $name == ioat ]] || addr=6
  device[$name]=$(printf '{"driver":"vfio-user-pci","socket":{"path":"%s","type":"unix"},"addr":"%s"}' \
    "$socket" "$addr")
}

kill_server() {
  local pid=${server_pid[$1]:-}
  [[ -n $pid ]] || return 0
  kill -KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  unset "server_pid[$1]"
}

# stop_server NAME: as Ctrl-C would; it must end by itself, and take its socket with it.
stop_server() {
  local pid=${server_pid[$1]} deadline=$((SECONDS + 15))
  if ! alive "$pid"; then
    tail_of "${server_log[$1]}" "the server's output"
    kill_server "$1"
    fail "the $1 server had ended by itself"
    return
  fi
  kill -TERM -- "-$pid"
  while alive "$pid"; do
    if ((SECONDS > deadline)); then
      kill_server "$1"
      fail "the $1 server did not end within 15 s of SIGTERM"
      return
    fi
    sleep 0.05
  done
  wait "$pid" 2>/dev/null || true
  unset "server_pid[$1]"
}

# start_guest NAME MEMORY COMMAND-LINE QEMU-ARGUMENT...: with no MEMORY the arguments have it.
# no_timer_check: on a busy machine the kernel finds its timer too slow under TCG, and panics.
start_guest() {
  local name=$1 memory=$2 command_line=$3
  shift 3
  console=$work/$name.console
  : >"$console"
  local backend=()
  [[ -z $memory ]] || backend=(-machine q35,memory-backend=mem -m "$memory"
    -object "memory-backend-memfd,id=mem,size=$memory,share=on")
  "$here/qemu" "${backend[@]}" -accel tcg,thread=multi -smp 2 -nodefaults -display none -serial "file:$console" -monitor none \
    -kernel "$guest/vmlinuz" -initrd "$work/initramfs" \
    -append "console=ttyS0 earlyprintk=ttyS0 panic=-1 no_timer_check $command_line" "$@" \
    >"$console.qemu" 2>&1 </dev/null &
  guest_pid=$!
}

kill_guest() {
  [[ -n $guest_pid ]] || return 0
  kill -KILL "$guest_pid" 2>/dev/null || true
  wait "$guest_pid" 2>/dev/null || true
  guest_pid=
}

show_guest() {
  tail_of "$console" "the guest's console"
  tail_of "$console.qemu" "QEMU's output"
  local name
  for name in "${!server_log[@]}"; do
    tail_of "${server_log[$name]}" "the $name server's output" 20
  done
}

# await_guest end|TEXT: until the guest has powered off, or its console shows TEXT. A guest that is
# silent for too long is killed.
await_guest() {
  local wanted=$1 size=-1 new heard=$SECONDS
  while :; do
    if [[ $wanted != end ]] && grep -qF -- "$wanted" "$console"; then
      return 0
    fi
    if ! alive "$guest_pid"; then
      local status=0
      wait "$guest_pid" || status=$?
      guest_pid=
      [[ $wanted == end && $status == 0 ]] && return 0
      show_guest
      fail "QEMU ended with $status while waiting for '$wanted'"
      return
    fi
    new=$(stat -c %s "$console")
    if [[ $new != "$size" ]]; then
      size=$new heard=$SECONDS
    elif ((SECONDS - heard > silent_limit)); then
      show_guest
      kill_guest
      fail "the guest said nothing for $silent_limit s; killed"
      return
    fi
    sleep 0.1
  done
}

# boot_guest: start_guest, until our first process runs. On an overloaded machine a kernel under TCG
# sometimes stops before that, in its interrupt set-up: it gets a second try, which is printed.
boot_guest() {
  start_guest "$@"
  await_guest 'vm-bench: UP' && return
  kill_guest
  note "NOTE $1: the kernel did not reach our first process; once more"
  start_guest "$@"
  await_guest 'vm-bench: UP'
}

# judge_guest: what the guest said, and whether all of it is good.
judge_guest() {
  tr -d '\r' <"$console" | grep -E '^(vm-bench: (PASS|FAIL|NOTE)|# )' || true
  if grep -q 'vm-bench: FAIL' "$console" || ! grep -q 'vm-bench: PASS' "$console" ||
    ! grep -q 'vm-bench: END' "$console"; then
    show_guest
    fail "the guest did not pass"
    return
  fi
}

# run_guest NAME MEMORY COMMAND-LINE QEMU-ARGUMENT...: boot to power-off, and judge.
run_guest() {
  local from
  from=$(now)
  boot_guest "$@" || return
  await_guest end || return
  judge_guest || return
  note "$1: boot to power-off in $(seconds_since "$from")"
}

# refused_none NAME: the server says "refused DMA_MAP" on a line for every map it refuses.
refused_none() {
  local count
  count=$(grep -c 'refused DMA_' "${server_log[$1]}") || true
  note "$1 server refused $count maps and unmaps"
  if [[ $count != 0 ]]; then
    grep 'refused DMA_' "${server_log[$1]}" | sort | uniq -c | sort -rn | sed -n 1,5p
    fail "the $1 server refused DMA_MAP or DMA_UNMAP"
    return
  fi
}

# junit MODULE TESTS NAME [ARGUMENT...]: JUnit tests that start QEMU by themselves; all must run, and
# pass. The arguments are Maven's.
junit() {
  local root reports tests failed skipped status=0
  root=$(dirname "$here")
  reports=$root/$1/target/surefire-reports
  rm -f "$reports"/TEST-${2%\**}*.xml
  mvn -q -B -ntp -f "$root/pom.xml" -pl "$1" -am test -Dtest="$2" \
    -Dsurefire.failIfNoSpecifiedTests=false -Dvfio4j.qemu="$here/qemu" "${@:4}" || status=$?
  # total ATTRIBUTE: over the reports of all classes.
  total() {
    cat "$reports"/TEST-${2%\**}*.xml 2>/dev/null | tr '\n' ' ' |
      grep -o '<testsuite [^>]*' | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" |
      awk '{ sum += $1 } END { print sum + 0 }'
  }
  tests=$(total tests "$2")
  failed=$(($(total failures "$2") + $(total errors "$2")))
  skipped=$(total skipped "$2")
  note "$3: $((tests - skipped)) tests run, $failed failed, $skipped skipped"
  [[ $status == 0 ]] || fail "mvn ended with $status"
  ((tests - skipped > 0)) || fail "no test ran"
  ((failed + skipped == 0)) || fail "not all passed"
}

# Nothing outlives a suite, however it ends.
clean_up() {
  local name
  kill_guest
  for name in "${!server_pid[@]}"; do
    kill_server "$name"
  done
}
trap clean_up EXIT
trap 'exit 143' INT TERM
