# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# Suite keep where systemd keeps what vfio up has open: killed, and followed by another build by systemctl restart.
# limit: 6000
# needs: qemu inner
# by name: keep shows the same in every run, and dist/try-systemd the same systemd without a guest

. "$BENCH/lib/systemd.sh"
under_systemd systemd
KEEPER=systemd
. "$BENCH/suites/keep.sh"
