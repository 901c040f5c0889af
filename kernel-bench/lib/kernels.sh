# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Kernel packages: found on the mirror that this machine already uses, downloaded with a private apt
# state, unpacked into a cache outside the work tree, never installed.

cache=${VFIO4J_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/vfio4j/kernels}

# The Debian suites that carry a kernel series, best first. Packages in security pockets are newest
# and their indices are small.
suites_of() {
  case $1 in
    5.10*) echo bullseye-security bullseye ;;
    6.1 | 6.1.*) echo bookworm-security bookworm ;;
    6.12*) echo bookworm-backports trixie-security trixie ;;
    *) echo trixie-backports forky sid ;;
  esac
}

# A name such as 7.x or 6.12 as the start of a package's version.
pattern_of() {
  local name=${1%.x}
  printf '%s' "${name//./\\.}\\."
}

# The newest kernel of which the engine has a profile and which is not newer than this one.
profile_of() {
  local release=$1 known best=5.10
  for known in 5.10 6.1 6.12 7.2; do
    if printf '%s\n%s\n' "$known" "$release" | sort -V -C; then best=$known; fi
  done
  echo "$best"
}

# Repositories of this machine's apt that are Debian's: those configured with one of its suites.
repositories() {
  if [[ -n ${KERNEL_BENCH_MIRRORS:-} ]]; then
    tr ' ' '\n' <<<"$KERNEL_BENCH_MIRRORS"
    return
  fi
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 ~ /^(bullseye|bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable)(-.*)?$/ \
      { print $2; plain = $2
        if (plain ~ /\/debian\/?$/) { sub(/\/debian\/?$/, "/debian-security/", plain); print plain } }' |
    awk '!seen[$0]++'
}

# A security suite is looked for in security repositories first, any other in the others.
repositories_for() {
  local all
  all=$(repositories)
  if [[ $1 == *-security ]]; then
    { grep -- security <<<"$all"; grep -v -- security <<<"$all"; } || true
  else
    grep -v -- security <<<"$all" || true
  fi
}

# apt with nothing of this machine's state: own sources, lists, status and archives under $apt_home.
# Its trusted keys stay the machine's, so that what is downloaded is checked as always.
private_apt() {
  local command=$1
  shift
  "$command" -o Dir::State="$apt_home" -o Dir::State::lists="$apt_home/lists" \
    -o Dir::State::status="$apt_home/status" -o Dir::Cache="$apt_home/cache" \
    -o Dir::Etc::sourcelist="$apt_home/sources.list" -o Dir::Etc::sourceparts=- \
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User= \
    -o Acquire::Languages=none -o APT::Update::Error-Mode=any "$@"
}

# Points the private apt at the first repository that has the suite.
open_suite() {
  local suite=$1 uri
  rm -rf "$apt_home"
  mkdir -p "$apt_home"/lists/partial "$apt_home"/cache/archives/partial
  : >"$apt_home/status"
  while IFS= read -r uri; do
    [[ -n $uri ]] || continue
    echo "deb [arch=amd64] $uri $suite main" >"$apt_home/sources.list"
    if private_apt apt-get update -qq >"$apt_home/log" 2>&1; then return 0; fi
  done < <(repositories_for "$suite")
  return 1
}

# The newest image package of the series in the open suite, without cloud, realtime and debug flavours.
newest_image() {
  private_apt apt-cache search --names-only "^linux-image-$(pattern_of "$1")[0-9].*-amd64\$" |
    awk '{ print $1 }' | grep -Ev -- '-(cloud|rt)-amd64$' | sort -V | tail -n 1
}

# The image package and, where it is split, the packages with its kernel, its modules
# and what modules.dep is made from.
packages_of() {
  local image=$1 release=${1#linux-image-}
  {
    echo "$image"
    private_apt apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks \
      --no-replaces --no-enhances "$image" |
      awk '$1 == "Depends:" { print $2 }' | grep -E -- "^linux-(base|binary|modules)-" |
      grep -F -- "$release" || true
  } | awk '!seen[$0]++'
}

# What a complete kernel consists of: every file with its size, and the kernel's own checksum.
manifest() {
  (cd "$1" && sha256sum vmlinuz && find lib -type f -printf '%s %P\n' | LC_ALL=C sort)
}

is_complete() {
  [[ -f $1/manifest && -f $1/release ]] && manifest "$1" 2>/dev/null | cmp -s - "$1/manifest"
}

# Downloads and unpacks a kernel unless the cache holds it complete; sets $home and $release.
fetch_kernel() {
  local kernel=$1 suite image package work
  home=$cache/$kernel
  mkdir -p "$cache"
  exec 7>"$cache/$kernel.lock"
  flock 7
  if is_complete "$home"; then
    release=$(<"$home/release")
    exec 7>&-
    return
  fi
  [[ ! -e $home ]] || echo "kernel $kernel: the cache is incomplete, downloading again"
  work=$cache/$kernel.new
  rm -rf "$work" "$home"
  mkdir -p "$work/unpacked"
  apt_home=$work/apt
  image=
  for suite in $(suites_of "$kernel"); do
    if open_suite "$suite" && image=$(newest_image "$kernel") && [[ -n $image ]]; then break; fi
    image=
  done
  if [[ -z $image ]]; then
    [[ ! -f $apt_home/log ]] || tail -n 5 "$apt_home/log" >&2
    die "kernel $kernel: no package in $(suites_of "$kernel") of this machine's mirrors;" \
      "KERNEL_BENCH_MIRRORS may name others (spaces between)"
  fi
  release=${image#linux-image-}
  echo "kernel $kernel: $release from $suite"
  for package in $(packages_of "$image"); do
    (cd "$work" && private_apt apt-get download -qq "$package")
  done
  for package in "$work"/*.deb; do dpkg -x "$package" "$work/unpacked"; done
  mkdir -p "$work/lib/modules"
  if [[ -d $work/unpacked/usr/lib/modules/$release ]]; then
    mv "$work/unpacked/usr/lib/modules/$release" "$work/lib/modules/"
  else
    mv "$work/unpacked/lib/modules/$release" "$work/lib/modules/"
  fi
  # Split packages have the kernel beside its modules.
  if [[ -f $work/unpacked/boot/vmlinuz-$release ]]; then
    mv "$work/unpacked/boot/vmlinuz-$release" "$work/vmlinuz"
  else
    mv "$work/lib/modules/$release/vmlinuz" "$work/vmlinuz"
  fi
  # Where a depmod was built for a merged /usr it looks there.
  mkdir "$work/usr"
  ln -s ../lib "$work/usr/lib"
  depmod -b "$work" "$release"
  rm -rf "$work/unpacked" "$work/apt" "$work"/*.deb
  echo "$release" >"$work/release"
  manifest "$work" >"$work/manifest"
  mv "$work" "$home"
  exec 7>&-
}
