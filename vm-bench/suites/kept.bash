# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# An edu whose `vfio up` is killed twenty times under `vfio keep`, with QEMU's qtest in place of a guest.
# shellcheck source=../bench.bash
source "$here/bench.bash"

root=$(dirname "$here")
"$root/vfio" --version # Built before, where it has to be.
junit user 'org.vfio4j.user.qtest.EduKeptTest' kept "-Dvfio4j.vfio=$root/vfio" "-Dvfio4j.deaths.rounds=$rounds"
