# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# For suites that run where systemd is process 1.

# under_systemd SUITE: returns there. The guest's own first process is its loader, so systemd is the first of a
# namespace, with all devices of the guest.
under_systemd() {
  if [[ -n ${IN_SYSTEMD:-} ]]; then
    echo "process 1 is $(</proc/1/comm), $(systemctl --version | head -n 1)"
    return
  fi
  declare -px >"$RESULTS/environment"
  exec unshare --mount --pid --fork --propagation private bash -c '
    mount -t proc proc /proc &&
      mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/systemd/system /run/lock &&
      { mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup; } || exit
    cat >/run/systemd/system/suite.service <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=infinity
Environment=IN_SYSTEMD=yes
ExecStart=/bin/bash -c ". $RESULTS/environment; cd $PWD; exec bash $BENCH/suites/$0.sh"
ExecStopPost=-/bin/bash -c "systemctl exit --force \$EXIT_STATUS"
StandardOutput=append:$RESULTS/output
StandardError=append:$RESULTS/output
UNIT
    exec env -i container=vfio4j PATH="$PATH" /lib/systemd/systemd --system --unit=suite.service --log-target=null' "$1"
}
