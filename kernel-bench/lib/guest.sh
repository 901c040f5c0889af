# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The guest: a q35 machine with an IOMMU and groups of every kind, its watchdog, and what its kernel
# says. The devices on bus 0 are where the specification's tables have them; what the bench itself
# needs (two virtio 9p devices) is behind the third root port, so that it moves no group number.

# Options of the machine's IOMMU by name: suites ask for one with a line "# machine: NAME".
iommu_of() {
  case $1 in
    default) echo intremap=on ;;
    no-intremap) echo intremap=off ;;
    snoop-control) echo intremap=on,snoop-control=on ;;
    hotplug | power-cut) echo intremap=on ;;
    *) die "no machine $1: default, no-intremap, snoop-control, hotplug" ;;
  esac
}

# What a machine has besides. hotplug: a card that can be pulled and reports errors (e1000e of QEMU 7.2 cannot), and the
# machine's own monitor at the guest's second serial port, for suites that have something happen to it. Sockets have
# short names. power-cut: the disk at $disk_socket.
extra_of() {
  if [[ $1 == power-cut ]]; then
    printf '%s\n' -device pcie-root-port,id=rp4,addr=b.0,chassis=4,slot=4 \
      -drive "file=nbd:unix:$disk_socket,format=raw,if=none,id=state,cache=writeback" \
      -device virtio-blk-pci,bus=rp4,drive=state
  fi
  [[ $1 == hotplug ]] || return 0
  printf '%s\n' -device pcie-root-port,id=rp4,addr=b.0,chassis=4,slot=4 \
    -device virtio-rng-pci,disable-legacy=on,iommu_platform=on,aer=on,id=pulled,bus=rp4 \
    -chardev "socket,id=monitor,path=$2/monitor,server=on,wait=off" -mon chardev=monitor,mode=control \
    -chardev "socket,id=asked,path=$2/monitor" -serial chardev:asked
}

# Without hardware virtualisation QEMU runs "rep stosb" byte by byte, so the kernel must not believe
# it fast (erms, fsrm); and the guest needs no defence against itself. Halves what system calls and
# page faults cost; nothing of it reaches VFIO or the IOMMU.
quick="mitigations=off init_on_alloc=0 apparmor=0"

# On a busy host an emulated timer comes late: the kernel must not panic because it missed ticks while
# it tried the interrupt.
late="nowatchdog no_timer_check tsc=reliable"

# How many processors it has, and words for its kernel besides.
processors=2
words=

# start_guest MACHINE FOLDER: boots with FOLDER as /results; sets $guest to the process, and $monitor to a folder that
# goes with it.
start_guest() {
  local machine=$1 folder=$2 options extra
  options=$(iommu_of "$machine")
  monitor=$(mktemp -d)
  mapfile -t extra < <(extra_of "$machine" "$monitor")
  # What an NVMe driver can recognise when it reads block 0.
  printf 'vfio4j kernel-bench block 0\n' >"$folder/disk"
  truncate -s 16M "$folder/disk"
  qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max,erms=off,fsrm=off -m "$memory" -smp "$processors" \
    -nodefaults -display none -monitor none -no-reboot -net none -serial "file:$folder/console" \
    -device "intel-iommu,$options,caching-mode=on,aw-bits=48" \
    -device edu,addr=2.0 -device edu,addr=3.0 -device edu,addr=4.0 \
    -netdev user,id=around,restrict=on \
    -device e1000e,addr=5.0,multifunction=on,romfile=,netdev=around -device e1000e,addr=5.1,romfile= \
    -device pcie-root-port,id=rp1,addr=6.0,chassis=1,slot=1 -device pcie-pci-bridge,id=br1,bus=rp1 \
    -device edu,bus=br1,addr=1.0 -device edu,bus=br1,addr=2.0 \
    -device e1000,bus=br1,addr=3.0,romfile= \
    -device edu,addr=a.0,multifunction=on -device edu,addr=a.1 \
    -device pcie-root-port,id=rp2,addr=7.0,chassis=2,slot=2 -device nvme-subsys,id=ss0 \
    -device nvme,id=nvme0,serial=abc,bus=rp2,subsys=ss0,sriov_max_vfs=3,sriov_vq_flexible=6,sriov_vi_flexible=3,max_ioqpairs=20,msix_qsize=20 \
    -drive "file=$folder/disk,format=raw,if=none,id=disk" -device nvme-ns,drive=disk,bus=nvme0 \
    -device pcie-root-port,id=rp3,addr=8.0,chassis=3,slot=3 \
    -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,bus=rp3,addr=0.0,multifunction=on,fsdev=host,mount_tag=host \
    -fsdev "local,id=results,path=$folder,security_model=none,multidevs=remap" \
    -device virtio-9p-pci,bus=rp3,addr=0.1,fsdev=results,mount_tag=results \
    "${extra[@]}" -kernel "$home/vmlinuz" -initrd "$initramfs" \
    -append "console=ttyS0 intel_iommu=on panic=-1 oops=panic edd=off nokaslr $late $quick $words rdinit=/init" \
    </dev/null >"$folder/qemu" 2>&1 &
  guest=$!
}

# Whether the guest's kernel reports one stall after the other, five within 150 of its seconds: the
# emulator has lost a processor's timer, and who sleeps there sleeps for ever. One now and then is
# only a busy host.
stalls() {
  awk -F '[][ ]+' '/rcu: INFO: .* detected stalls/ { at[++n] = $2 }
    END { exit !(n >= 5 && at[n] - at[n - 4] < 150) }' "$1"
}

# Waits until the guest is off; kills it when nothing was written for $silent seconds, after LIMIT
# seconds, or when it is stalled. Sets $killed to the reason, $stalled to whether it was the last.
wait_guest() {
  local folder=$1 limit=$2 start=$SECONDS looked=$SECONDS
  killed='' stalled=no
  while kill -0 "$guest" 2>/dev/null; do
    if ((SECONDS - start > limit)); then
      killed="ran longer than $limit s"
    elif ((SECONDS - start > silent)) &&
      [[ -z $(find "$folder" -type f -newermt "@$(($(date +%s) - silent))" -print -quit) ]]; then
      killed="was silent for $silent s"
    elif ((SECONDS - looked > 10)); then
      looked=$SECONDS
      if stalls "$folder/console"; then
        killed="waited for timers that did not come" stalled=yes
      fi
    fi
    if [[ -n $killed ]]; then
      kill -9 "$guest" 2>/dev/null || true
      break
    fi
    sleep 0.1
  done
  wait "$guest" 2>/dev/null || true
  rm -rf "$monitor"
  guest=
}

# Lines of the kernel that no run may have, less those that guest/allowed-messages accepts.
complaints() {
  tr -d '\r' <"$1" |
    grep -E 'BUG:|Oops|WARNING:|Kernel panic|general protection fault|blocked for more than' |
    grep -Evf <(grep -Ev '^(#|$)' "$bench/guest/allowed-messages") || true
}
