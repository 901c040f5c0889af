# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# QEMU's monitor for scripts, over two pipes.

# qmp_pipes NAME: makes them, for "-chardev pipe,path=NAME"; what QEMU says is kept in NAME.log.
qmp_pipes() {
  rm -f "$1.in" "$1.out"
  mkfifo "$1.in" "$1.out"
  exec 7<>"$1.in" 8<>"$1.out"
  chmod 666 "$1.in" "$1.out"
  : >"$1.log"
  cat <&8 >>"$1.log" 7>&- &
  qmp_reader=$!
  qmp_log=$1.log
}

# What QEMU needs besides; its first argument is the name of the pipes.
qmp_arguments() {
  printf '%s\n' -chardev "pipe,id=qmp,path=$1" -mon chardev=qmp,mode=control
}

# qmp COMMAND [ARGUMENTS]: JSON. It is answered before the next is read.
qmp() {
  echo "{\"execute\": \"$1\"${2:+, \"arguments\": $2}}" >&7
}

# Begins to talk; migrations are told of.
qmp_begin() {
  qmp qmp_capabilities
  qmp migrate-set-capabilities '{"capabilities": [{"capability": "events", "state": true}]}'
}

# qmp_await TEXT SECONDS: until QEMU says it. Looks without another process: QEMU needs the processors.
qmp_await() {
  local lines deadline=$((SECONDS + $2))
  until mapfile -t lines <"$qmp_log" && [[ "${lines[*]}" == *"$1"* ]]; do
    if ((SECONDS >= deadline)); then
      echo "within $2 s QEMU did not say $1 but:"
      tail -n 5 "$qmp_log"
      return 1
    fi
    sleep 0.1
  done
}

qmp_end() {
  kill "$qmp_reader"
  exec 7>&- 8>&-
}
