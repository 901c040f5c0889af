# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What the measurements of vfio-user servers share; sourced from the root of the repository. Needs a
# JDK 25 or later (VFIO4J_JAVA=/path/to/bin/java, JAVA_HOME, or found in the usual folders), Maven
# and gcc. With VFIO4J_BUILT set nothing of Java is built. Writes to bench/target only.

is_jdk25() {
  [[ -x $1 && -x ${1%java}javac ]] || return 1
  local version
  version=$("$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [[ ${version:-0} -ge 25 ]]
}

find_java() {
  local java
  for java in "${VFIO4J_JAVA:-}" "${JAVA_HOME:+$JAVA_HOME/bin/java}" \
    "$(command -v java || true)" \
    {/usr/lib/jvm,/usr/java,/opt,/opt/java,"$HOME/.jdks","$HOME/.sdkman/candidates/java"}/*/bin/java; do
    [[ -n $java ]] || continue
    java=$(readlink -f "$java")
    if is_jdk25 "$java"; then
      echo "$java"
      return
    fi
  done
  echo "$0: no JDK 25 found; set VFIO4J_JAVA to its bin/java" >&2
  return 1
}

java=$(find_java)
work=$PWD/bench/target/user
rm -rf "$work"
mkdir -p "$work"
servers=()
stop_servers() {
  local pid
  for pid in "${servers[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  servers=()
}
trap stop_servers EXIT

seconds() {
  echo "--- $1: $((SECONDS - since)) s"
  since=$SECONDS
}
since=$SECONDS

if [[ -z ${VFIO4J_BUILT:-} ]]; then
  JAVA_HOME=${java%/bin/java} PATH=${java%/java}:$PATH \
    MAVEN_OPTS="${MAVEN_OPTS:-} --sun-misc-unsafe-memory-access=allow" \
    mvn -q -B -pl core,linux,user,bench package -Dmaven.test.skip -Dformat.skip
fi
for program in client floor; do
  gcc -O2 -Wall -Wextra -o "$work/$program" "bench/user/$program.c"
done

jars=$(ls "$PWD"/bench/target/vfio4j-bench-*.jar):$(<bench/target/classpath)
flags=(--enable-native-access=ALL-UNNAMED -XX:+UseSerialGC -Xmx256m -cp "$jars")
main=org.vfio4j.bench.user.RegisterServer

# One CPU for all, the last of those we may use: the first has the interrupts.
pin=()
if command -v taskset >/dev/null; then
  pin=(taskset -c "$(taskset -cp $$ | sed 's/.*[^0-9]//')")
fi

# start SOCKET COMMAND…: returns when the socket is there.
start() {
  local socket=$1
  shift
  "${pin[@]}" "$@" >>"$work/servers.log" 2>&1 &
  servers+=($!)
  for ((i = 0; i < 1200; i++)); do
    [[ -S $socket ]] && return
    sleep 0.05
  done
  echo "$0: no server at $socket; see $work/servers.log" >&2
  return 1
}

# start_kind KIND SOCKET: java is our server in a JVM that compiles as it likes, serve the command as
# its users start it, the others are programs in C.
start_kind() {
  case $1 in
    java) start "$2" "$java" "${flags[@]}" "$main" "$2" ;;
    serve) start "$2" ./vfio serve edu --socket "$2" ;;
    *) start "$2" "$work/$1" "$2" ;;
  esac
}

client() {
  "${pin[@]}" "$work/client" "$@"
}

# Column of a file's lines that begin with a word: its median.
median() {
  awk -v key="$2" -v column="$3" '$1 == key { print $column }' "$1" | sort -g |
    awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

ratio() {
  awk "BEGIN { printf \"%.2f\", $1 / $2 }"
}

declare -A exchanges=([read]=100000 [write]=100000 [posted]=5000 [map]=30000 [mapfd]=20000)
operations=(read write posted map mapfd)

# warm_rounds ROUNDS KIND…: after a warm-up the kinds take turns; KIND.txt has a line for each turn.
warm_rounds() {
  local rounds=$1 kind operation round times
  shift
  for kind in "$@"; do
    start_kind "$kind" "$work/$kind.sock"
    # A JVM takes longer to be at its best.
    [[ $kind == java || $kind == serve ]] && times=4 || times=1
    for operation in "${operations[@]}"; do
      client "$work/$kind.sock" "$operation" $((times * ${exchanges[$operation]})) >/dev/null
    done
  done
  seconds warm-up
  for ((round = 0; round < rounds; round++)); do
    for operation in "${operations[@]}"; do
      for kind in "$@"; do
        client "$work/$kind.sock" "$operation" "${exchanges[$operation]}" >>"$work/$kind.txt"
      done
    done
  done
  stop_servers
  seconds "$rounds rounds"
}

# server_name KIND: for tables.
server_name() {
  case $1 in
    java) echo ours ;;
    serve) echo 'vfio serve' ;;
    *) echo "$1" ;;
  esac
}

# warm_table ROUNDS KIND…: what warm_rounds found; the first kind is what the others are compared with.
warm_table() {
  local rounds=$1 operation kind p50 p99 first50 first99
  shift
  echo
  echo "warm, medians of $rounds rounds, one CPU, ns of an exchange; rate and bytes allocated of a message"
  printf '%-9s %-12s %9s %6s %9s %6s %12s %8s\n' operation server p50 ratio p99 ratio messages/s bytes
  for operation in "${operations[@]}"; do
    for kind in "$@"; do
      p50=$(median "$work/$kind.txt" "$operation" 3)
      p99=$(median "$work/$kind.txt" "$operation" 4)
      [[ $kind == "$1" ]] && first50=$p50 first99=$p99
      printf '%-9s %-12s %9.0f %6s %9.0f %6s %12.0f %8s\n' "$operation" "$(server_name "$kind")" \
        "$p50" "$(ratio "$p50" "$first50")" "$p99" "$(ratio "$p99" "$first99")" \
        "$(median "$work/$kind.txt" "$operation" 5)" \
        "$([[ $kind == java ]] && median "$work/$kind.txt" "$operation" 6)"
    done
  done
}
