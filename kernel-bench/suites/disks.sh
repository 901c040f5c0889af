# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What the host keeps on a disk, vfio bind does not take: swap, LVM and MD of the real kernel.
# limit: 300

nvme=0000:03:00.0
disk=/dev/nvme0n1
failed=0
said=()

vfio() { "$JAVA" $JAVA_FLAGS org.vfio4j.cli.Main "$@"; }
driver() { basename "$(readlink "/sys/bus/pci/devices/$nvme/driver")"; }

# kept NAME TEXT: bind must refuse, say what is on the disk, and leave the driver where it is.
kept() {
  local printed status
  printed=$(vfio bind "$nvme" 2>&1)
  status=$?
  printf '%s: exit %s\n%s\n' "$1" "$status" "$printed"
  said+=("$1")
  if [[ $status != 1 || $(driver) != nvme || $printed != *"$2"* || $printed != *"--force $nvme"* ]]; then
    echo "not kept: $1, expected '$2' and the driver nvme, which is now $(driver)"
    failed=1
  fi
}

lvm() {
  command lvm "$@" --config 'devices { use_devicesfile=0 } activation { udev_sync=0 udev_rules=0 } global { event_activation=0 }'
}

for module in nvme dm-mod md-mod raid1; do modprobe "$module" || exit; done
# Loaded by an earlier suite, it looks at no device again by itself.
[[ -e /sys/bus/pci/devices/$nvme/driver ]] || echo "$nvme" >/sys/bus/pci/drivers_probe
for ((i = 0; i < 300; i++)); do [[ -b $disk ]] && break; sleep 0.1; done
[[ -b $disk ]] || { echo "no $disk"; exit 1; }
cp --sparse=always "$disk" /tmp/disk

mkswap "$disk" && swapon "$disk" || exit
kept swap "nvme0n1 swaps"
swapoff "$disk"

lvm pvcreate -ffy "$disk" && lvm vgcreate -s 1m guests "$disk" && lvm lvcreate -y -Wn -Zn -n first -L 4m guests || exit
kept LVM "LVM physical volume of guests-first"
lvm vgchange -an guests && lvm vgremove -ff guests && lvm pvremove -ff "$disk"

mdadm --create /dev/md0 --run --force --metadata=1.2 --level=1 --raid-devices=1 "$disk" </dev/null || exit
kept MD "a part of md0"
mdadm --stop /dev/md0

dd if=/tmp/disk of="$disk" bs=1M conv=fsync status=none
# Nothing is left on it; but the root of this guest is on no disk, so that what the host lives on
# cannot be told, and bind wants to be told.
kept "nothing that can be told" "which cannot be told here"
if vfio bind --force "$nvme" "$nvme" && [[ $(driver) == vfio-pci ]] && vfio release "$nvme"; then
  said+=("taken with --force")
else
  echo "not taken with --force"
  failed=1
fi
(IFS=,; echo "${said[*]}") >"$RESULTS/summary"
exit $failed
