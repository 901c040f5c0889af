# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What the commands of the bench have in common: what they need of this machine, and what the guest is told.

# Installs what is missing; arguments are packages besides, each after its command.
install_missing() {
  local missing=()
  command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86)
  { command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1; } ||
    missing+=(busybox-static)
  command -v cpio >/dev/null || missing+=(cpio)
  command -v modprobe >/dev/null || missing+=(kmod)
  command -v xz >/dev/null || missing+=(xz-utils)
  command -v zstd >/dev/null || missing+=(zstd)
  command -v lvm >/dev/null || missing+=(lvm2)
  command -v mdadm >/dev/null || missing+=(mdadm)
  command -v gcc >/dev/null || missing+=(gcc libc6-dev)
  command -v strace >/dev/null || missing+=(strace)
  while (($# > 0)); do
    command -v "$1" >/dev/null || missing+=("$2")
    shift 2
  done
  [[ ${#missing[@]} == 0 ]] && return
  echo "installing: ${missing[*]}" >&2
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >/dev/null 2>&1 || die "cannot install ${missing[*]}: do it as root, then run again"
}

# The JDK, found as ./vfio finds it; sets $jdk.
find_jdk() {
  local on_path
  on_path=$(readlink -f "$(command -v java || echo /nonexistent)")
  for jdk in "${JAVA_HOME:-}" "${on_path%/bin/java}" /usr/lib/jvm/* /usr/java/* /usr/local/java/* \
    /opt/* /opt/java/* "$HOME"/.sdkman/candidates/java/* "$HOME"/.jdks/*; do
    [[ -x $jdk/bin/java && -x $jdk/bin/javac && -r $jdk/release ]] || continue
    (($(sed -n 's/^JAVA_VERSION="\{0,1\}\([0-9]*\).*/\1/p' "$jdk/release") >= 25)) && return
  done
  die "needs JDK 25 or newer: install one or point JAVA_HOME at it"
}

# What the guest must know, as assignments for a shell.
environment() {
  printf '%s=%q\n' BENCH "$bench" BENCH_MODULES "$home/lib/modules" JAVA_HOME "$jdk" \
    JAVA "$jdk/bin/java" KERNEL "$kernel" RELEASE "$release" PROFILE "$(profile_of "$release")" \
    MACHINE "$1" CACHE "${XDG_CACHE_HOME:-$HOME/.cache}" DIRECTORY "$began" LIMIT "$limit" ROOT "$root" CLASSPATH "${classpath:-}" INNER "$inner" \
    JAVA_FLAGS "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:AOTCache=$bench/target/lib/classes.aot -Xlog:disable --enable-native-access=ALL-UNNAMED"
  local knob
  for knob in FUZZ_SEED FUZZ_OPS FAKE_OPS DEATHS UP_REBOOT COST_PAIRS COST_TURNS KILLS UPGRADES; do
    [[ -z ${!knob:-} ]] || printf '%s=%q\n' "$knob" "${!knob}"
  done
}

# Seconds since a time in microseconds.
since() {
  local tenths=$(((${EPOCHREALTIME/./} - $1 + 50000) / 100000))
  echo "$((tenths / 10)).$((tenths % 10))"
}
