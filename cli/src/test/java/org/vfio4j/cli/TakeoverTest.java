// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.vfio4j.host.Fact;
import org.vfio4j.host.HostGroup;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.IommuFacts;
import org.vfio4j.host.Origin;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciClass;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.Role;
import org.vfio4j.host.Roles;
import org.vfio4j.host.Vgpu;

/** What is taken, and what is not taken without being asked by name. */
class TakeoverTest {
  private static final PciAddress BRIDGE = PciAddress.parse("0000:01:00.0");
  private static final PciAddress NIC = PciAddress.parse("0000:02:01.0");
  private static final PciAddress SOUND = PciAddress.parse("0000:02:02.0");
  private static final PciAddress IDLE = PciAddress.parse("0000:02:03.0");
  private static final PciAddress ALONE = PciAddress.parse("0000:03:00.0");
  private static final PciAddress NOWHERE = PciAddress.parse("0000:04:00.0");

  private static PciFunction function(
      PciAddress address, int classCode, Fact<String> driver, Fact<Integer> group) {
    return PciFunction.builder(address)
        .classCode(Optional.of(PciClass.of16(classCode)))
        .driver(driver)
        .group(group)
        .build();
  }

  @Test
  void shouldLeaveAVirtualGpuWithItsVendorUnlessForced() {
    PciFunction vgpu =
        function(ALONE, 0x0302, Fact.known("nvidia"), Fact.known(2)).toBuilder()
            .vgpu(Optional.of(new Vgpu(Fact.known(7), Optional.empty())))
            .build();
    HostTopology host = host(Map.of(Role.CONSOLE, List.of())).with(vgpu);
    assertThat(Takeover.of(host, List.of(ALONE), Set.of(), false).refusals())
        .anyMatch(r -> r.contains("is a virtual GPU, which nvidia gives to VMs itself"));
    assertThat(Takeover.of(host, List.of(ALONE), Set.of(ALONE), false).refusals()).isEmpty();
  }

  private static HostTopology host(Map<Role, List<PciAddress>> roles) {
    return host(new Roles(roles));
  }

  private static HostTopology host(Roles roles) {
    Fact<Integer> one = Fact.known(1);
    return new HostTopology(
        "test",
        Origin.SYSFS,
        Optional.empty(),
        false,
        List.of(
            function(BRIDGE, 0x0604, Fact.known("pcieport"), one),
            function(NIC, 0x0200, Fact.known("e1000"), one),
            function(SOUND, 0x0403, Fact.known("snd"), one),
            function(IDLE, 0x0200, Fact.none(), one),
            function(ALONE, 0x0108, Fact.known("nvme"), Fact.known(2)),
            function(NOWHERE, 0x0108, Fact.known("nvme"), Fact.none())),
        List.of(
            new HostGroup(
                1,
                List.of(BRIDGE, NIC, SOUND, IDLE),
                List.of(),
                Optional.empty(),
                Optional.empty()),
            new HostGroup(2, List.of(ALONE), List.of(), Optional.empty(), Optional.empty())),
        List.of(),
        List.of(),
        IommuFacts.UNKNOWN,
        roles);
  }

  /** All roles told, with the given carriers. */
  private static HostTopology told(Map<Role, List<PciAddress>> roles) {
    Map<Role, List<PciAddress>> all = new EnumMap<>(Role.class);
    for (Role role : Role.values()) {
      all.put(role, roles.getOrDefault(role, List.of()));
    }
    return host(all);
  }

  private static Takeover takeover(List<PciAddress> named, List<PciAddress> forced, boolean group) {
    return Takeover.of(told(Map.of(Role.BOOT_DISK, List.of(ALONE))), named, forced, group);
  }

  /** B11: what cannot be told was let go without a word. */
  @Test
  void shouldRefuseWhatMayHaveARoleThatCannotBeToldUnlessForced() {
    for (Role role : Role.values()) {
      Map<Role, List<PciAddress>> roles = new EnumMap<>(told(Map.of()).roles().carriers());
      roles.remove(role);
      HostTopology host = host(roles);
      List<PciAddress> named = List.of(ALONE, NIC, SOUND);
      List<String> refusals = Takeover.of(host, named, List.of(), false).refusals();
      List<String> expected =
          named.stream()
              .filter(a -> role.isPossibleFor(host.function(a).orElseThrow()))
              .map(PciAddress::toString)
              .toList();
      assertThat(refusals).as(role.word()).hasSameSizeAs(expected);
      for (String address : expected) {
        assertThat(refusals).anySatisfy(r -> assertThat(r).contains("--force " + address));
      }
      assertThat(Takeover.of(host, named, named, false).refusals()).isEmpty();
    }
  }

  @Test
  void shouldSayWhatTheHostUsesOfIt() {
    Roles roles =
        new Roles(
            told(Map.of(Role.STORAGE, List.of(ALONE))).roles().carriers(),
            Set.of(),
            Map.of(ALONE, List.of("nvme0n1p2 is mounted on /var")));
    assertThat(Takeover.of(host(roles), List.of(ALONE), List.of(), false).refusals())
        .containsExactly(
            "0000:03:00.0 carries the storage in use of this host (nvme0n1p2 is mounted on /var):"
                + " to take it all the same, add --force 0000:03:00.0");
  }

  @Test
  void shouldRefuseAPartOfAGroupThatTheHostUsesAndNameTheRest() {
    assertThat(takeover(List.of(NIC), List.of(), false).refusals())
        .containsExactly(
            "a group goes as a whole, and the host uses 0000:02:02.0 (snd) of it: name it too, or"
                + " add --group");
  }

  @Test
  void shouldTakeWhatIsNamedIfNothingElseStandsInTheWay() {
    Takeover takeover = takeover(List.of(SOUND, NIC), List.of(), false);
    assertThat(takeover.refusals()).isEmpty();
    assertThat(takeover.functions()).containsExactly(NIC, SOUND);
  }

  @Test
  void shouldTakeSiblingsOnlyThatTheHostUses() {
    Takeover takeover = takeover(List.of(NIC), List.of(), true);
    assertThat(takeover.refusals()).isEmpty();
    assertThat(takeover.functions()).containsExactly(NIC, SOUND);
  }

  @Test
  void shouldTakeTheBootDiskOnlyIfForcedByName() {
    assertThat(takeover(List.of(ALONE), List.of(), true).refusals())
        .containsExactly(
            "0000:03:00.0 carries the boot disk of this host: to take it all the same, add --force"
                + " 0000:03:00.0");
    assertThat(takeover(List.of(ALONE), List.of(NIC), true).refusals()).hasSize(1);
    assertThat(takeover(List.of(ALONE), List.of(ALONE), false).refusals()).isEmpty();
  }

  @Test
  void shouldNotTakeASiblingThatTheHostLivesOnWithTheGroup() {
    HostTopology host = told(Map.of(Role.CONSOLE, List.of(SOUND)));
    assertThat(Takeover.of(host, List.of(NIC), List.of(), true).refusals())
        .singleElement()
        .asString()
        .contains("0000:02:02.0 carries the console");
  }

  @Test
  void shouldRefuseBridgesAndWhatHasNoGroup() {
    assertThat(takeover(List.of(BRIDGE), List.of(), true).refusals())
        .singleElement()
        .asString()
        .contains("is a bridge");
    assertThat(takeover(List.of(NOWHERE), List.of(), false).refusals())
        .singleElement()
        .asString()
        .contains("is in no IOMMU group");
  }
}
