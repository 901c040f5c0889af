// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.testing.WatchedIommu;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;
import org.vfio4j.vfio.PciFunction;

/** What of the review is not behaviour but shape. */
class StructureTest {
  private static final Map<String, String> SOURCES =
      PatchedEngine.sources(Path.of(System.getProperty("basedir", "."), "src/main/java"));

  private static Stream<Map.Entry<String, String>> type1() {
    return SOURCES.entrySet().stream().filter(e -> e.getKey().startsWith("org/vfio4j/type1/"));
  }

  private static List<String> filesWith(String regex) {
    Pattern pattern = Pattern.compile(regex);
    return type1()
        .filter(e -> pattern.matcher(e.getValue()).find())
        .map(e -> e.getKey().substring("org/vfio4j/type1/".length()))
        .toList();
  }

  /** R1: one class owns the list of entries; nobody else adds to it or takes from it. */
  @Test
  void shouldChangeTheListOfEntriesInOneClassOnly() {
    assertThat(filesWith("\\.entries\\.(add|remove|clear)")).containsExactly("Attachments.java");
    assertThat(filesWith("(Set|List|Map<[^>]*|Collection)<[^>]*Attachment>.* = new"))
        .containsExactlyInAnyOrder("Attachments.java", "Domain.java");
  }

  /** R4, R9: giving back cannot fail, so it tells nothing. */
  @Test
  void shouldReturnNothingFromWhatGivesBack() {
    List<String> back = List.of("detach", "detachAux", "release", "giveBack", "unclaim", "close");
    for (Class<?> type :
        List.of(Container.class, Iommu.class, IommuDomain.class, Ownership.class)) {
      for (Method method : type.getDeclaredMethods()) {
        if (back.contains(method.getName())) {
          assertThat(method.getReturnType()).as("%s", method).isEqualTo(void.class);
        }
      }
    }
    assertThat(filesWith("(?i)pr_warn|getLogger|System\\.err")).isEmpty();
  }

  /** R6: the container's lock covers every count, so none is atomic. */
  @Test
  void shouldUseNoAtomics() {
    assertThat(filesWith("java\\.util\\.concurrent\\.atomic")).isEmpty();
  }

  /** D11: an entry is classified once, and before anything is looked up by its backing group. */
  @Test
  void shouldClassifyOnceAndFirst() {
    String tracking = SOURCES.get("org/vfio4j/type1/Tracking.java");
    assertThat(tracking.split("classify\\(group\\);", -1)).hasSize(2);
    assertThat(tracking.indexOf("classify(group);")).isLessThan(tracking.indexOf("firstUser"));
  }

  /** D14: members that disagree count as plain, without an error, as in the kernel. */
  @Test
  void shouldTreatAMixedGroupAsPlain() {
    Machine machine = new Machine();
    IommuGroup mixed = machine.iommu.addGroup(9, IommuUnit.NONE, List.of());
    machine.iommu.addDevice(mixed, machine.wrapped("w0", machine.function));
    machine.iommu.addDevice(mixed, machine.wrapped("w1", machine.other));
    machine.container.attach(mixed);
    assertThat(machine.container.hasEmulated()).isTrue();
    assertThat(machine.iommu.census().domains()).isZero();
    assertThat(machine.iommu.census().references()).isZero();
  }

  /** D15: no domain is asked for where none is needed. */
  @Test
  void shouldAllocateADomainOnlyForTheFirstUser() {
    Machine machine = new Machine();
    machine.container.attach(machine.group);
    for (int i = 0; i < 3; i++) {
      IommuGroup own = machine.iommu.addGroup(10 + i, IommuUnit.NONE, List.of());
      machine.iommu.addDevice(own, machine.wrapped("w" + i, machine.function));
      machine.container.attach(own);
    }
    IommuGroup plain = machine.iommu.addGroup(20, IommuUnit.NONE, List.of());
    machine.iommu.addDevice(
        plain, new MediatedDevice("p", "plain", machine.function, Isolation.PLAIN));
    machine.container.attach(plain);
    assertThat(machine.between.seen())
        .containsEntry(WatchedIommu.Call.ALLOCATE, 1)
        .containsEntry(WatchedIommu.Call.ATTACH, 1);
    assertThat(machine.container.useCount(machine.group)).isEqualTo(4);
  }

  private static final class Machine {
    final SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
    final FaultyIommu between = new FaultyIommu(iommu);
    final PciFunction function = PciFunction.endpoint("0000:00:03.0", 1, 1);
    final PciFunction other = PciFunction.endpoint("0000:00:04.0", 1, 1);
    final IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    final Container container =
        new Container("c", between, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters());

    Machine() {
      iommu.addDevice(group, function);
      iommu.addDevice(iommu.addGroup(2, IommuUnit.VT_D, List.of()), other);
    }

    MediatedDevice wrapped(String name, PciFunction by) {
      return new MediatedDevice(name, "backed", by, new Isolation.Backed(by));
    }
  }
}
