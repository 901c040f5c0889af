// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.testing.WatchedIommu;

/** B26: who holds a group is looked up after the locks are left, however long that takes. */
class HolderLookupTest {
  private int asked;
  private Supplier<Object> lookup = () -> "";

  @Test
  void shouldFindTheHolderOnlyWhenTheRefusalIsRead() {
    Refusal refusal = Refusal.of(Errno.EBUSY, Reason.GROUP_OPEN, "group 1 is open", "a");
    VfioException thrown = VfioException.findingHolder(refusal, this::stranger);
    VfioException named = thrown.in("open");
    assertThat(named.errno()).isEqualTo(Errno.EBUSY);
    assertThat(named.reason()).isEqualTo(Reason.GROUP_OPEN);
    assertThat(asked).isZero();
    assertThat(named).hasMessage("group 1 is open; held by process 7 (open: EBUSY)");
    assertThat(named.refusal().holder()).map(Holder::name).hasValue("process 7");
    assertThat(asked).isEqualTo(1);
  }

  @Test
  void shouldSayNothingOfAHolderThatIsNotFound() {
    Refusal refusal = Refusal.of(Errno.EBUSY, Reason.GROUP_OPEN, "group 1 is open");
    assertThat(VfioException.findingHolder(refusal, Optional::empty))
        .hasMessage("group 1 is open (EBUSY)");
  }

  /** A lookup that takes the locks of another thread's call shows that this one has left them. */
  @Test
  void shouldFindTheHolderWithNoLockOfTheEngineHeld() {
    SoftMachine machine = new SoftMachine(KernelProfile.DEFAULT, OpenElsewhere::new);
    IommuGroup group = machine.addGroup(1, IommuUnit.VT_D, List.of());
    SoftFunction function = SoftFunction.endpoint("0000:00:02.0", 1, 1);
    machine.addFunction(function, Optional.of(group));
    machine.bind(function.name(), "vfio-pci");
    try (SoftVfio process = machine.process("vm")) {
      int container = process.container();
      process.setContainer(process.group(function.name()), container);
      VfioException refused = refusal(() -> process.setIommu(container, 3));
      assertThat(refused.errno()).isEqualTo(Errno.EBUSY);
      assertThat(asked).as("asked while the call was under way").isZero();
      lookup = () -> machine.groupOf(function.name()).orElseThrow().ownership().who();
      assertThat(refused.refusal().call()).isEqualTo("VFIO_SET_IOMMU");
      assertThat(refused.refusal().holder()).map(Holder::name).hasValue("process 7");
      assertThat(asked).isEqualTo(1);
    }
  }

  /** Does not read the message, as AssertJ's would. */
  private static VfioException refusal(Runnable call) {
    try {
      call.run();
    } catch (VfioException refused) {
      return refused;
    }
    throw new AssertionError("nothing was refused");
  }

  private final class OpenElsewhere extends WatchedIommu {
    OpenElsewhere(Iommu real) {
      super(real);
    }

    @Override
    protected void before(Call call, Object on) {
      if (call == Call.OPEN) {
        throw VfioException.findingHolder(
            Refusal.of(Errno.EBUSY, Reason.GROUP_OPEN, on + " is open"),
            HolderLookupTest.this::stranger);
      }
    }
  }

  private Optional<Holder> stranger() {
    asked++;
    // From another thread: the locks are reentrant.
    CompletableFuture.supplyAsync(lookup).orTimeout(60, TimeUnit.SECONDS).join();
    return Optional.of(new Holder("process 7", List.of()));
  }
}
