# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# How the command is started. ./vfio and the installed command read this file, after they have set
# $java, $modules (the folder with the jars) and $aot (what the JVM keeps of loaded classes). It is one
# place, because that file is only good for the options and the jars it was made with.

jvm='-XX:+UseSerialGC -Xlog:disable --enable-native-access=org.vfio4j.posix,org.vfio4j.linux'
module=org.vfio4j.cli/org.vfio4j.cli

# Makes $aot from one run of the usual commands on the folder with the examples.
make_aot() {
  # shellcheck disable=SC2086 # several options
  "$java" -XX:AOTCacheOutput="$aot" -XX:TieredStopAtLevel=1 $jvm -p "$modules" \
    -m $module.Training "$1"
}

# Becomes the command.
run() {
  terminal=false
  if [ -t 1 ]; then
    terminal=true
    if [ -z "${COLUMNS:-}" ]; then
      size=$(stty size 2>/dev/null </dev/tty) && COLUMNS=${size#* } && export COLUMNS
    fi
  fi
  progress=false
  [ -t 2 ] && progress=true
  # A command is over before C2's code would pay; a server lives as long as its VMs. What a server makes
  # and drops is little, and left to itself the JVM would first fill a part of the heap that grows with
  # the machine: 6 GB of it where that has a terabyte.
  case ${1:-} in
    serve | up | daemon) level=4 heap='-Xms64m -Xmn32m' ;;
    *) level=1 heap= ;;
  esac
  # Who says otherwise is not overruled: what the JVM reads there, it reads first.
  case " ${JDK_JAVA_OPTIONS:-} ${JAVA_TOOL_OPTIONS:-}" in
    *' -Xm'* | *'HeapSize='* | *'NewSize='* | *'RAMPercentage='*) heap= ;;
  esac
  # shellcheck disable=SC2086 # several options
  exec "$java" -XX:AOTCache="$aot" -XX:TieredStopAtLevel=$level $heap $jvm -Dvfio4j.terminal=$terminal \
    -Dvfio4j.terminal.err=$progress \
    '-Djava.util.logging.SimpleFormatter.format=%4$s: %5$s%6$s%n' \
    -p "$modules" -m $module.Main "$@"
}
