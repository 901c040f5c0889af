# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The cuts of kernel-bench/power-cut: the disk, the moments, and what each boot has to show.

# What a cut comes upon, in turns: an answer that has just come; something under way; what the disk was about to flush;
# the daemon's start; nothing.
moments=(flush acknowledged start operation idle acknowledged flush start acknowledged operation)

# Compiled code lives too short here for what it costs, as the emulator has to compile it once more. What a JVM has learnt
# is of use where it need not be moved, which would take the guest ten seconds.
java_flags="-Xmx384m -Xint -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED"
java_flags+=" -XX:+UnlockDiagnosticVMOptions -XX:ArchiveRelocationMode=0"

# Nobody ever writes there.
exec {nothing}<> <(:)

defects() {
  local file
  echo lying-disk
  for file in "$bench"/defects/*.patch; do basename "$file" .patch; done
}

# replaced TEXT OLD NEW: sets $text to TEXT with NEW in place of OLD, which must be there once.
replaced() {
  text=${1/"$2"/"$3"}
  [[ $text != "$1" && ${1#*"$2"} != *"$2"* ]] || die "$planted no longer applies; the source says nowhere, or twice: $2"
}

# Compiles the classes that $planted changes from a changed copy of their sources; sets $planted_path.
plant() {
  local line file='' old='' text='' part='' copy files=()
  planted_path=
  [[ -n $planted && $planted != lying-disk ]] || return 0
  while IFS= read -r line; do
    case $line in
      '# '*) [[ -n $file ]] || continue ;;&
      '>>> '*)
        file=${line#>>> }
        part=
        ;;
      ===)
        old=$part
        part=
        ;;
      '<<<')
        copy=$results/planted-source/${file##*/src/main/java/}
        mkdir -p "${copy%/*}"
        [[ -f $copy ]] || cp "$root/$file" "$copy"
        # The newline at the end of a file is not lost.
        text=$(cat "$copy"; echo .)
        replaced "${text%.}" "$old" "$part"
        printf %s "$text" >"$copy"
        files+=("$copy")
        file=
        ;;
      *) part+=$line$'\n' ;;
    esac
  done <"$bench/defects/$planted.patch"
  "$jdk/bin/javac" -proc:none -nowarn -cp "$classpath" -d "$results/planted" "${files[@]}" 2>"$results/planted.log" || {
    cat "$results/planted.log" >&2
    die "$planted does not compile"
  }
  planted_path=$results/planted.jar
  "$jdk/bin/jar" --create --file "$planted_path" -C "$results/planted" .
}

# A day on this machine, without cuts, in which both JVMs learn what they load, and start sooner in the guest.
# What is wrong here is wrong without any cut.
train() {
  local folder=$results/training
  mkdir -p "$folder"
  sockets=$(mktemp -d)
  # shellcheck disable=SC2086 # several words
  env BOOT=000 DAY_SEED="$seed" OPERATIONS=60 LAST=yes PLANTED="$planted_path" JAVA="$jdk/bin/java" \
    JAVA_FLAGS="$java_flags -XX:AOTCacheOutput=$results/daemon.aot" CLASSPATH="$classpath" \
    "$jdk/bin/java" $java_flags -XX:AOTCacheOutput="$results/day.aot" org.vfio4j.cli.powercut.Day \
    "$folder" "$folder/state" "$sockets/vms" >"$folder/output" 2>&1 || {
    tail -n 20 "$folder"/{output,daemon.log} >&2
    die "the day fails on this machine already"
  }
  rm -rf "$sockets"
  if grep -E '^(wrong|refused)' "$folder/day-000.log" >&2; then die "the day fails on this machine already"; fi
}

# An empty file system on a disk that loses what was not flushed.
start_disk() {
  local lying=()
  [[ $planted != lying-disk ]] || lying=(lying)
  image=$results/state.img
  truncate -s 256M "$image"
  mkfs.ext4 -q -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$image"
  sockets=$(mktemp -d)
  disk_socket=$sockets/disk
  "$jdk/bin/java" -XX:+UseSerialGC -cp "$classpath" org.vfio4j.cli.powercut.VolatileDisk \
    "$image" "$disk_socket" "$seed" "${lying[@]}" >"$results/disk.log" 2>&1 6>&- &
  disk=$!
  until grep -q ready "$results/disk.log"; do
    kill -0 "$disk" 2>/dev/null || die "no disk: $(cat "$results/disk.log")"
    sleep 0.1
  done
}

# Until the disk has lost what it loses; sets $lost to what it says.
await_disk() {
  local lines deadline=$((SECONDS + 30))
  until mapfile -t lines <"$results/disk.log" && ((${#lines[@]} > boot)); do
    kill -0 "$disk" 2>/dev/null || die "the disk is gone: $(tail -n 3 "$results/disk.log")"
    ((SECONDS < deadline)) || die "the disk has seen no guest: $(tail -n 3 "$results/qemu")"
    sleep 0.05
  done
  lost=${lines[boot]}
}

# Milliseconds, without another process.
pause() {
  (($1 <= 0)) || read -rt "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))" -u "$nothing" || true
}

# Reads what the guest has written of its log since.
follow() {
  local line
  if [[ -z $log ]]; then
    [[ -f $results/day-$number.log ]] || return 0
    exec {log}<"$results/day-$number.log"
  fi
  while true; do
    if ! IFS= read -r line <&"$log"; then
      half+=$line
      return 0
    fi
    line=$half$line
    half=
    case $line in
      begin*) begun=$((begun + 1)) ;;
      acked*) acked=$((acked + 1)) ;;
      refused* | broken*) broken+=("$line") ;;
      lost*) begun=$((begun - 1)) ;;
      wrong*) wrong+=("${line#wrong }") ;;
      starting) starting=${EPOCHREALTIME/./} ;;
      settled*)
        settled=yes
        # From then on nothing of what was lost counts.
        begun=$acked
        [[ $moment == start ]] || starts=$(((${EPOCHREALTIME/./} - starting) / 1000))
        ;;
      leftovers*) leftovers=$((leftovers + ${line#leftovers })) ;;
      idle | end) state=$line ;;
    esac
    # What comes at once is not read to its end: it is to be cut.
    ! is_moment || return 0
  done
}

is_moment() {
  case $moment in
    operation) ((acked >= threshold && begun > acked)) ;;
    acknowledged) ((acked >= threshold)) ;;
    flush)
      if ((acked >= threshold)) && [[ -z $asked ]]; then
        asked=yes
        : >"$sockets/hold"
      fi
      [[ -e $sockets/held ]]
      ;;
    start) [[ -n $starting ]] ;;
    idle) [[ $state == idle ]] ;;
    *) false ;;
  esac
}

# Boots, and cuts at the moment.
boot() {
  local start=$SECONDS delay=0 restart='' before=0
  log='' half='' begun=0 acked=0 starting='' settled='' state='' leftovers=0 wrong=() broken=() killed='' lost='' asked=''
  number=$(printf %03d $boot)
  threshold=$((1 + RANDOM % 30))
  case $moment in
    operation) delay=$((RANDOM % 40)) ;;
    start) delay=$((RANDOM % (starts + starts / 10))) ;;
    idle) delay=$((RANDOM % 8000)) ;;
  esac
  if [[ $moment != start && $moment != end ]]; then
    case $((boot % 7)) in
      3) restart=term ;;
      5) restart=kill ;;
    esac
    [[ -z $restart ]] || before=$((6 + RANDOM % 10))
    threshold=$((threshold + before))
  fi
  {
    environment "$machine"
    printf '%s=%q\n' BOOT "$number" DAY_SEED "$seed" RESTART "$restart" BEFORE_RESTART "$before" PLANTED "$planted_path" \
      OPERATIONS "$(case $moment in idle) echo $threshold ;; end) echo 0 ;; *) echo 1000000 ;; esac)" \
      JAVA_FLAGS "$java_flags -XX:AOTCache=$results/daemon.aot" DAY_FLAGS "$java_flags -XX:AOTCache=$results/day.aot" \
      LAST "$([[ $moment != end ]] || echo yes)"
  } >"$results/environment"
  rm -f "$results"/{off,shell/status}
  start_guest "$machine" "$results"
  while kill -0 "$guest" 2>/dev/null; do
    follow
    if is_moment; then
      pause $delay
      kill -9 "$guest" || true
      killed=yes
      break
    fi
    # What was planted is found: the day need not go on.
    if [[ -n $planted && -n $settled && ${#wrong[@]} != 0 ]]; then
      kill -9 "$guest"
      killed=yes
      break
    fi
    if ((SECONDS - start > limit)); then
      kill -9 "$guest"
      break
    fi
    pause 2
  done
  { wait "$guest" || true; } 2>/dev/null
  guest=
  rm -rf "$monitor"
  await_disk
  rm -f "$sockets"/{hold,held}
  moment='' follow
  [[ -z $log ]] || exec {log}<&-
  mv "$results/console" "$results/console-$number"
}

# Whether the file system is whole once its journal is replayed, which the guest does by itself; sets $checked.
check_image() {
  local copy=$results/copy.img status=0
  cp --sparse=always "$image" "$copy"
  e2fsck -p "$copy" >"$results/fsck-$number" 2>&1 || status=$?
  checked=clean
  ! grep -q "recovering journal" "$results/fsck-$number" || checked="replayed, clean"
  e2fsck -fn "$copy" >>"$results/fsck-$number" 2>&1 || status=$((status | $?))
  ((status == 0)) || {
    checked="e2fsck says $status"
    wrong+=("e2fsck says $status, see fsck-$number")
  }
}

# What a boot has shown: a line, and whether something is wrong.
judge_boot() {
  local line
  while IFS= read -r line; do broken+=("kernel: $line"); done < <(
    complaints "$results/console-$number"
    tr -d '\r' <"$results/console-$number" | grep -E 'EXT4-fs (error|warning)|JBD2: .*error' || true
  )
  case $1 in
    end) [[ $state == end ]] || broken+=("the last boot did not end by itself") ;;
    *) [[ -n $killed && $lost == "cut: "* ]] || broken+=("the guest was gone before the cut, or after $limit s had not come to it") ;;
  esac
  [[ $1 != idle ]] || ((acked > 0)) || broken+=("nothing was acknowledged")
  printf '%3d  %-12s %3d s, %3d acknowledged, %d under way; disk %s; %s%s\n' $boot "$1" $((SECONDS - $2)) $acked \
    $((begun - acked)) "$lost" "$checked" "$( ((leftovers == 0)) || echo "; $leftovers left half")"
  ((${#wrong[@]} == 0)) || printf '     WRONG: %s\n' "${wrong[@]}"
  ((${#broken[@]} == 0)) || printf '     BROKEN: %s\n' "${broken[@]}"
}

run_cuts() {
  local start=$SECONDS begin now all=0 open=0 found=0 failed=0 blocks=0
  start_disk
  # As long as a daemon's start takes, in ms, as last seen.
  starts=6000
  # shellcheck disable=SC2016 # the guest knows it
  echo 'bash "$BENCH/guest/day"' >"$results/command"
  echo "seed $seed, kernel $release${planted:+, planted: $planted}"
  for ((boot = 1; boot <= cuts + 1; boot++)); do
    begin=$SECONDS
    now=${moments[(boot - 1) % ${#moments[@]}]}
    ((boot <= cuts)) || now=end
    moment=$now
    boot
    check_image
    judge_boot "$now" $begin
    all=$((all + acked)) open=$((open + (begun > acked)))
    ((${#wrong[@]} == 0)) || found=$((found + 1))
    ((${#broken[@]} == 0)) || failed=$((failed + 1))
    if [[ $lost =~ ", "([0-9]+)" of "[0-9]+" blocks" ]]; then blocks=$((blocks + BASH_REMATCH[1])); fi
    if [[ -n $planted && $found != 0 ]]; then
      echo "planted $planted: found after $((boot > 1 ? boot - 1 : 1)) cuts"
      exit 0
    fi
    if [[ $now != end && -z $killed ]]; then
      tail -n 30 "$results/console-$number" "$results/shell/output" "$results/daemon.log" 2>/dev/null | sed 's/^/  | /'
      exit 1
    fi
  done
  if [[ -n $planted ]]; then
    echo "planted $planted: not found in $cuts cuts"
    exit 1
  fi
  echo "$cuts cuts in $((SECONDS - start)) s, $open with something under way: $all acknowledged, $blocks blocks lost," \
    "$found boots wrong${failed:+, $failed broken} (seed $seed)"
  ((cuts < 10 || blocks > 0)) || die "no cut had the disk lose anything, which shows little"
  ((found == 0 && failed == 0)) || exit 1
}
