// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.linux.testing.OneFailingCall;
import org.vfio4j.linux.testing.OperatorLog;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.testing.OpenDescriptors;
import org.vfio4j.type1.AddressSpace;
import org.vfio4j.type1.Container;

/**
 * A VM comes, shares a group, grows, and goes, and each system call of it fails in turn, with an
 * errno of each kind: nothing stays behind, whoever comes next can have the groups, and the failure
 * is told to the caller or to the operator.
 */
class EachFailingCallTest {
  private static final long IOVA = 0x100000;
  private static final long SIZE = 0x10000;
  private static final long PAGE = 4096;
  private static final int READ_WRITE = Container.MAP_READ | Container.MAP_WRITE;

  /** No room, not allowed, in use, nonsense, gone, and one that VFIO itself never gives. */
  private static final List<Errno> ERRNOS =
      List.of(
          Errno.EMFILE,
          Errno.ENOMEM,
          Errno.EPERM,
          Errno.EBUSY,
          Errno.EINVAL,
          Errno.ENODEV,
          Errno.EIO);

  @TempDir Path folder;

  private final AddressSpace memory = ProcessMemory.create();
  @RegisterExtension private final OperatorLog log = new OperatorLog();

  private FakeHost host;

  @BeforeEach
  void boot() {
    host = new FakeHost(folder);
  }

  @Test
  void shouldLeaveNothingBehindAndSaySo() throws Exception {
    Set<String> before = OpenDescriptors.now();
    OneFailingCall none = new OneFailingCall(host.kernel(), 0, 1);
    assertThat(refusedInAVmsLife(none)).isFalse();
    assertThat(log.warned()).isFalse();
    int calls = none.made();
    assertThat(calls).isGreaterThan(20);
    for (Errno errno : ERRNOS) {
      for (int failing = 1; failing <= calls; failing++) {
        log.clear();
        OneFailingCall one = new OneFailingCall(host.kernel(), failing, errno.number());
        boolean refused = refusedInAVmsLife(one);
        String what = "call %d, %s, fails with %s".formatted(failing, one.failed(), errno);
        assertThat(one.failed()).as(what).isNotEqualTo("nothing");
        assertThat(refused || log.warned() || gotRound(one)).as("told: " + what).isTrue();
        host.shouldBeAsNew();
        assertThat(OpenDescriptors.now()).as(what).isEqualTo(before);
        assertThat(refusedInAVmsLife(new OneFailingCall(host.kernel(), 0, 1)))
            .as("the next VM, after " + what)
            .isFalse();
      }
    }
  }

  /** A group that cannot enter the container of the others has one of its own. */
  private static boolean gotRound(OneFailingCall one) {
    return one.gotRound()
        || one.failed().equals("ioctl 0x%x".formatted(Ioctls.VFIO_GROUP_SET_CONTAINER));
  }

  /** Whether something was refused. */
  private boolean refusedInAVmsLife(OneFailingCall calls) {
    LinuxIommu iommu = host.iommu(calls);
    IommuGroup first = FakeHost.wrapped(FakeHost.R1);
    IommuGroup second = FakeHost.wrapped(FakeHost.R2);
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), SIZE);
        Container vm = FakeHost.container("vm", iommu)) {
      vm.attach(first);
      vm.map(memory, buffer.address(), IOVA, PAGE, READ_WRITE);
      iommu.openDevice(FakeHost.R1);
      vm.attach(second);
      iommu.openDevice(FakeHost.R2);
      vm.map(memory, buffer.address() + PAGE, IOVA + PAGE, PAGE, READ_WRITE);
      IommuGroup another = iommu.groupOf(FakeHost.A).orElseThrow();
      vm.attach(another);
      iommu.openDevice(FakeHost.A);
      vm.unmap(memory, IOVA, SIZE);
      vm.map(memory, buffer.address(), IOVA, SIZE, READ_WRITE);
      vm.detach(another);
      vm.detach(first);
      vm.detach(second);
      return false;
    } catch (VfioException | SystemCallException refused) {
      return true;
    }
  }
}
