# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The package's units on real devices: vfio4j.service as its own user, and the binder, which alone may bind.
# limit: 600
# needs: qemu

. "$BENCH/lib/systemd.sh"
under_systemd service
work=/tmp/service
. "$BENCH/lib/inner.sh"
card=0000:00:05.1
# The host's way to others.
lives_on=0000:00:05.0

# Where a package would put it: the units see no home.
lib=/usr/lib/vfio4j-suite
mkdir -p $lib
for jar in ${CLASSPATH//:/ }; do
  [[ $jar == *test-classes* || $jar == *junit* ]] || cp -r "$jar" $lib
done
cat >/usr/bin/vfio <<SH
#!/bin/sh
exec $(readlink -f "$JAVA") $JAVA_FLAGS -cp "$lib/*" org.vfio4j.cli.Main "\$@"
SH
chmod 755 /usr/bin/vfio
systemd-sysusers "$ROOT/dist/system/vfio4j.sysusers"
for unit in vfio4j.service vfio4j-bind.socket vfio4j-bind@.service; do
  cp "$ROOT/dist/system/$unit" /run/systemd/system
  mkdir -p "/run/systemd/system/$unit.d"
  # Nothing of what a booted system has is started here; and no journal.
  printf '[Unit]\nDefaultDependencies=no\n[Service]\n' >"/run/systemd/system/$unit.d/suite.conf"
done
printf '%s=append:%s\n' StandardOutput "$RESULTS/daemon.log" StandardError "$RESULTS/daemon.log" >>/run/systemd/system/vfio4j.service.d/suite.conf
echo "StandardError=append:$RESULTS/binder.log" >>/run/systemd/system/vfio4j-bind@.service.d/suite.conf
sed -i '/Service/d' /run/systemd/system/vfio4j-bind.socket.d/suite.conf

modprobe e1000e
name=$(ls /sys/bus/pci/devices/$lives_on/net)
ip address add 10.0.2.15/24 dev "$name"
ip link set "$name" up
ip route add default via 10.0.2.2
before=$(pinned)

systemctl daemon-reload
systemctl start vfio4j-bind.socket || fail "the binder's socket"
systemctl start vfio4j.service || fail "vfio4j.service"
daemon=$(systemctl show -P MainPID vfio4j.service)
sed -nE 's/^(Uid|CapEff|NoNewPrivs|Seccomp):\s*/\1 /p' "/proc/$daemon/status" | paste -sd' '
[[ $(stat -c %U "/proc/$daemon") == vfio4j ]] || fail "the daemon is $(stat -c %U "/proc/$daemon")"
grep -q '^CapEff:.*0000000000084001$' "/proc/$daemon/status" || fail "the daemon may more, or less, than IPC_LOCK, SYS_PTRACE and CHOWN"
shown "served by user vfio4j, who has IPC_LOCK, SYS_PTRACE and CHOWN"

cat >$work/web.yaml <<YAML
host: linux
vms:
  web: {memory: 64MiB, user: nobody, devices: [$card]}
YAML
cat >$work/lost.yaml <<YAML
host: linux
vms:
  lost: {memory: 64MiB, user: nobody, devices: [$lives_on]}
YAML
ask 1 lost up -d $work/lost.yaml --bind
cat "$RESULTS/lost.log"
grep -q "carries the management network of this host" "$RESULTS/lost.log" || fail "refused for another reason"
[[ $(driver_of $lives_on) == e1000e ]] || fail "$lives_on is with $(driver_of $lives_on)"
ip route get 10.0.2.2 | grep -q "dev $name" || fail "the host has lost its way"
shown "what the host lives on is refused"

ask 0 web up -d $work/web.yaml --bind
[[ $(driver_of $card) == vfio-pci ]] || fail "$card is with $(driver_of $card)"
ls -l /dev/vfio
eval "given=($(arguments "$RESULTS/web.log" web))"
(paused "${given[@]}") >"$RESULTS/qemu.log" 2>&1 &
vm=$!
await "$RESULTS/daemon.log" "64MiB mapped; $card in use" 100
(($(pinned) > before)) || fail "nothing is pinned"
shown "bound by the binder, and in a VM of user nobody"

kill -KILL "$daemon"
await "$RESULTS/daemon.log" "Answers at" 100 2
ask 0 ps ps
grep -q "$card.*in use" "$RESULTS/ps.log" || fail "not taken over"
kill -0 $vm || fail "the VM has ended"
shown "killed, and taken over"

kill $vm
ask 0 down down web
[[ $(driver_of $card) == e1000e ]] || fail "$card is with $(driver_of $card)"
systemctl kill -s INT vfio4j.service
until [[ $(systemctl show -P ActiveState vfio4j.service) == inactive ]]; do read -rt 0.3 -u "$nothing" || true; done
(($(pinned) == before)) || fail "$(($(pinned) - before)) pages stay pinned"
shown "given back to its driver by the binder"
summary
