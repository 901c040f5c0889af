// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vfio4j.error.Errno;
import org.vfio4j.host.HostTopology;
import org.vfio4j.profile.KernelProfile;

/** Each kind of refusal, on a host made for it; the engine gives it, and the fixes are tried. */
class RefusalTest {
  private static final String A = "0000:01:00.0";
  private static final String B = "0000:01:00.1";
  private static final String C = "0000:02:00.0";

  private static SmallHost oneNic() {
    return new SmallHost().function(A, 1, "igb").reserved(1);
  }

  private static Verdict check(HostTopology host, String vms) {
    return check(host, vms, Options.DEFAULT);
  }

  private static Verdict check(HostTopology host, String vms, Options options) {
    return Check.verdict(RequestReader.read("t.yaml", "host: x\nvms:\n" + vms), host, options);
  }

  private static DeviceRefusal only(Verdict verdict) {
    List<DeviceVerdict> refused = verdict.devices().filter(DeviceVerdict::refused).toList();
    assertThat(refused).hasSize(1);
    return refused.getFirst().refusal().orElseThrow();
  }

  private static List<String> fixes(DeviceRefusal refusal) {
    return refusal.fixes().stream().map(Fix::sentence).toList();
  }

  private static String vm(String name, String body, String... devices) {
    StringBuilder text = new StringBuilder("  " + name + ":\n" + body + "    devices:\n");
    for (String device : devices) {
      text.append("      - ").append(device).append('\n');
    }
    return text.toString();
  }

  @Test
  void shouldNameTheMemberAndItsDriverThatMakeAGroupNotViable() {
    HostTopology host =
        new SmallHost().function(A, 1, "igb").function(B, 1, "snd").reserved(1).build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(refusal.errno()).contains(Errno.EPERM);
    assertThat(refusal.code().name()).isEqualTo("GROUP_NOT_VIABLE");
    assertThat(refusal.message()).contains(B).contains("snd");
    assertThat(fixes(refusal))
        .containsExactly("unbind " + B + " from snd", "give " + B + " to web too");
  }

  /** B12: such a function in no group ended in "a mistake of this program", exit 70. */
  @Test
  void shouldAnswerWhereAVariantOfVfioPciHasAFunctionWithoutGroup() {
    for (String driver : List.of("vfio-pci", "mlx5_vfio_pci", "pds-vfio-pci", "virtio_vfio_pci")) {
      String free = "{\"address\":\"%s\",\"header\":\"normal\",\"driver\":\"%s\",\"group\":null}";
      HostTopology host =
          new SmallHost().function(A, 1, "igb").reserved(1).raw(free.formatted(C, driver)).build();
      assertThat(check(host, vm("web", "", A)).admitted()).isTrue();
      assertThat(only(check(host, vm("web", "", C))).code().name()).isEqualTo("NO_IOMMU_GROUP");
    }
  }

  @Test
  void shouldTakeAFunctionOnAVariantAsItIs() {
    HostTopology host = new SmallHost().function(A, 1, "mlx5_vfio_pci").reserved(1).build();
    Verdict verdict = check(host, vm("web", "", A));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.devices().flatMap(d -> d.steps().stream())).isEmpty();
  }

  /** B13: a sibling that is on VFIO already may be another VM's, and need not move. */
  @Test
  void shouldNotOfferToUnbindASiblingThatAVariantHas() {
    HostTopology host =
        new SmallHost()
            .function(A, 1, "igb")
            .function(B, 1, "mlx5_vfio_pci")
            .function("0000:01:00.2", 1, "igb")
            .reserved(1)
            .build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(refusal.message()).contains("0000:01:00.2 on igb").doesNotContain(B);
    assertThat(fixes(refusal))
        .containsExactly("unbind 0000:01:00.2 from igb", "give 0000:01:00.2 to web too");
  }

  @Test
  void shouldNotOfferToReleaseWhatTheHostNeeds() {
    HostTopology host =
        new SmallHost()
            .function(A, 1, "igb")
            .function(B, 1, "nvme")
            .reserved(1)
            .roles("\"bootDisk\":[\"" + B + "\"],\"managementNetwork\":[],\"console\":[]")
            .build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(fixes(refusal)).containsExactly("leave " + A + " out of web");
  }

  @Test
  void shouldFindANonViableGroupAtTheDeviceOn510() {
    HostTopology host =
        new SmallHost().function(A, 1, "igb").function(B, 1, "snd").reserved(1).build();
    DeviceRefusal refusal =
        only(check(host, vm("web", "", A), new Options(KernelProfile.LINUX_5_10, false, Set.of())));
    assertThat(refusal.errno()).contains(Errno.EINVAL);
    assertThat(refusal.call()).isEqualTo("VFIO_GROUP_GET_DEVICE_FD");
  }

  @Test
  void shouldRefuseFirmwareMappings() {
    HostTopology host =
        new SmallHost()
            .function(A, 1, "igb")
            .reserved(1, "0xe0000", "0xfffff", "direct")
            .function(C, 2, "igb")
            .reserved(2)
            .build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(refusal.code().name()).isEqualTo("RMRR_LOCKED");
    assertThat(refusal.errno()).contains(Errno.EPERM);
    assertThat(refusal.call()).isEqualTo("VFIO_SET_IOMMU");
    assertThat(fixes(refusal))
        .containsExactly("ask for " + C + " instead, the same model in group 2");
  }

  @Test
  void shouldRefuseFirmwareMappingsAtTheClaimOnLaterKernels() {
    HostTopology host =
        new SmallHost().function(A, 1, "igb").reserved(1, "0xe0000", "0xfffff", "direct").build();
    DeviceRefusal refusal =
        only(check(host, vm("web", "", A), new Options(KernelProfile.LINUX_6_12, false, Set.of())));
    assertThat(refusal.errno()).contains(Errno.EINVAL);
    assertThat(refusal.call()).isEqualTo("VFIO_GROUP_SET_CONTAINER");
  }

  @Test
  void shouldRefuseWithoutInterruptRemappingAndSayWhatHelps() {
    HostTopology host = oneNic().iommu("\"interruptRemapping\":false").build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(refusal.code().name()).isEqualTo("INTERRUPTS_NOT_ISOLATED");
    assertThat(refusal.errno()).contains(Errno.EPERM);
    assertThat(fixes(refusal)).hasSize(2);
    assertThat(fixes(refusal).getFirst()).startsWith("turn interrupt remapping on");
    assertThat(fixes(refusal).getLast()).contains("allow_unsafe_interrupts=1");
  }

  @Test
  void shouldRefuseRamOnAReservedRegion() {
    HostTopology host = oneNic().build();
    HostTopology reserving =
        new SmallHost()
            .function(A, 1, "igb")
            .reserved(1, "0x40000000", "0x40ffffff", "reserved")
            .build();
    assertThat(check(host, vm("web", "    memory: 4GiB\n", A)).admitted()).isTrue();
    DeviceRefusal refusal = only(check(reserving, vm("web", "    memory: 4GiB\n", A)));
    assertThat(refusal.code().name()).isEqualTo("IOVA_NOT_AVAILABLE");
    assertThat(refusal.call()).isEqualTo("VFIO_IOMMU_MAP_DMA");
  }

  @Test
  void shouldRefuseRamBeyondTheWidth() {
    HostTopology host = oneNic().iommu("\"interruptRemapping\":true,\"addressWidth\":39").build();
    DeviceRefusal refusal = only(check(host, vm("web", "    memory: 768GiB\n", A)));
    assertThat(refusal.code().name()).isEqualTo("IOVA_NOT_AVAILABLE");
    assertThat(fixes(refusal)).containsExactly("give web at most 508GiB of RAM");
  }

  @Test
  void shouldCountLockedMemoryOnceWithoutViommuAndPerDeviceWithIt() {
    HostTopology host = oneNic().function(C, 2, "igb").reserved(2).build();
    String limit = "    memory: 4GiB\n    memlock: 5GiB\n";
    Verdict shared = check(host, vm("web", limit, A, C));
    assertThat(shared.admitted()).isTrue();
    assertThat(shared.vms().getFirst().lockedBytes())
        .isEqualTo((4L << 30) - (0xc0000 - 0xa0000) + GuestMemory.BESIDE_RAM);
    DeviceRefusal refusal = only(check(host, vm("web", limit + "    viommu: true\n", A, C)));
    assertThat(refusal.code().name()).isEqualTo("LOCKED_MEMORY");
    assertThat(refusal.errno()).contains(Errno.ENOMEM);
    assertThat(fixes(refusal)).first().asString().startsWith("raise memlock to 10GiB for web");
  }

  @Test
  void shouldRefuseMoreMappingsThanTheLimit() {
    HostTopology host =
        oneNic()
            .iommu("\"interruptRemapping\":true,\"addressWidth\":48,\"dmaEntryLimit\":2")
            .build();
    DeviceRefusal refusal = only(check(host, vm("web", "    memory: 8GiB\n", A)));
    assertThat(refusal.code().name()).isEqualTo("ENTRY_LIMIT");
    assertThat(refusal.errno()).contains(Errno.ENOSPC);
    assertThat(fixes(refusal)).first().asString().contains("dma_entry_limit");
  }

  @Test
  void shouldRefuseWhatTheHostItselfNeedsUnlessForced() {
    for (String role : List.of("bootDisk", "managementNetwork", "console", "storage", "network")) {
      HostTopology host = oneNic().roles("\"" + role + "\":[\"" + A + "\"]").build();
      DeviceRefusal refusal = only(check(host, vm("web", "", A)));
      assertThat(refusal.code().name()).startsWith("HOST_");
      assertThat(refusal.errno()).isEmpty();
      Options forced = new Options(KernelProfile.DEFAULT, false, Set.of(A));
      assertThat(check(host, vm("web", "", A), forced).admitted()).isTrue();
    }
  }

  @Test
  void shouldRefuseWhenInstancesAreUsedUp() {
    HostTopology host =
        oneNic()
            .mdevs(
                "\"mdevParents\":[{\"device\":\""
                    + A
                    + "\",\"isolation\":\"plain\",\"types\":[{\"id\":\"t\",\"availableInstances\":1}]}]")
            .build();
    Verdict verdict = check(host, vm("web", "", "emulated: " + A, "emulated: " + A));
    DeviceRefusal refusal = only(verdict);
    assertThat(refusal.code().name()).isEqualTo("MDEV_INSTANCES");
    assertThat(refusal.errno()).contains(Errno.ENOSPC);
  }

  @Test
  void shouldRefuseAFunctionWithVirtualFunctions() {
    HostTopology host = new SmallHost().function(A, 1, "igb", "\"numVfs\":2").reserved(1).build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(refusal.code().name()).isEqualTo("DEVICE_BUSY");
    assertThat(fixes(refusal)).first().asString().contains("sriov_numvfs");
  }

  @Test
  void shouldRefuseAFunctionWithoutOrOfUnknownGroup() {
    HostTopology none =
        new SmallHost()
            .raw("{\"address\":\"" + A + "\",\"driver\":null,\"group\":null,\"header\":\"normal\"}")
            .build();
    HostTopology unknown =
        new SmallHost()
            .raw("{\"address\":\"" + A + "\",\"driver\":null,\"header\":\"normal\"}")
            .build();
    DeviceRefusal off = only(check(none, vm("web", "", A)));
    assertThat(off.code().name()).isEqualTo("NO_IOMMU_GROUP");
    assertThat(off.message()).contains("the host's IOMMU is off");
    assertThat(fixes(off)).hasSize(1).first().asString().contains("VT-d", "AMD-Vi", "intel_iommu");
    DeviceRefusal silent = only(check(unknown, vm("web", "", A)));
    assertThat(silent.code().name()).isEqualTo("GROUP_UNKNOWN");
    assertThat(fixes(silent)).hasSize(1).first().asString().contains("vfio capture");
  }

  @Test
  void shouldNotSwitchOnAnIommuThatServesOthers() {
    HostTopology host =
        new SmallHost()
            .raw("{\"address\":\"" + A + "\",\"driver\":null,\"group\":null,\"header\":\"normal\"}")
            .function(B, 1, "igb")
            .reserved(1)
            .build();
    DeviceRefusal refusal = only(check(host, vm("web", "", A)));
    assertThat(refusal.message()).contains("the host's IOMMU is on", "does not serve it");
    assertThat(fixes(refusal)).containsExactly("leave " + A + " out of web");
  }

  @Test
  void shouldReportEveryRefusalOfTheFile() {
    HostTopology host =
        new SmallHost().function(A, 1, "igb").function(B, 1, "igb").reserved(1).build();
    Verdict verdict = check(host, vm("a", "", A) + vm("b", "", B) + vm("c", "", A));
    assertThat(verdict.devices().filter(DeviceVerdict::refused)).hasSize(2);
  }

  @Test
  void shouldListWhatItAssumesAndRefuseItWhenStrict() {
    HostTopology host = new SmallHost().function(A, 1, "igb").iommu("").roles("").build();
    Verdict verdict = check(host, vm("web", "", A));
    assertThat(verdict.admitted()).isTrue();
    assertThat(verdict.assumed())
        .extracting(Assumption::unknown)
        .contains("interrupt remapping", "reserved regions");
    Verdict strict =
        check(host, vm("web", "", A), new Options(KernelProfile.DEFAULT, true, Set.of()));
    assertThat(strict).isInstanceOf(Verdict.Refused.class);
    assertThat(check(oneNic().build(), vm("web", "", A)).assumed()).isEmpty();
  }

  @Test
  void shouldTakeAnUnknownDriverOfASiblingForOneOfTheHosts() {
    HostTopology host =
        new SmallHost()
            .function(A, 1, "igb")
            .raw("{\"address\":\"" + B + "\",\"group\":1,\"header\":\"normal\"}")
            .reserved(1)
            .build();
    Verdict verdict = check(host, vm("web", "", A));
    assertThat(only(verdict).code().name()).isEqualTo("GROUP_NOT_VIABLE");
    assertThat(verdict.assumed()).extracting(Assumption::subject).contains(B);
  }

  @Test
  void shouldLetAuxDevicesOfOneParentServeTwoVms() {
    HostTopology host =
        oneNic()
            .mdevs(
                "\"mdevParents\":[{\"device\":\""
                    + A
                    + "\",\"isolation\":\"aux\",\"types\":[{\"id\":\"wq\",\"availableInstances\":8}]}]")
            .build();
    assertThat(check(host, vm("a", "", "aux: " + A) + vm("b", "", "aux: " + A)).admitted())
        .isTrue();
  }
}
