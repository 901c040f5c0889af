// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TopologyRulesTest {

  private static final PciAddress A = PciAddress.parse("01:00.0");
  private static final PciAddress B = PciAddress.parse("02:00.0");

  private static void refuse(String message, List<PciFunction> functions, List<HostGroup> groups) {
    assertThatIllegalArgumentException()
        .isThrownBy(
            () ->
                new HostTopology(
                    "host",
                    Origin.MANUAL,
                    Optional.empty(),
                    false,
                    functions,
                    groups,
                    List.of(),
                    List.of(),
                    IommuFacts.UNKNOWN,
                    Roles.UNKNOWN))
        .withMessageContaining(message);
  }

  private static HostGroup group(int id, PciAddress... members) {
    return new HostGroup(id, List.of(members), List.of(), Optional.empty(), Optional.empty());
  }

  private static PciFunction.Builder function(PciAddress address) {
    return PciFunction.builder(address);
  }

  @Test
  void shouldRefuseADeviceInTwoGroups() {
    refuse(
        "in two groups: 1 and 2",
        List.of(function(A).group(Fact.known(1)).build()),
        List.of(group(1, A), group(2, A)));
  }

  @Test
  void shouldRefuseAGroupThatTheFunctionDoesNotName() {
    refuse("the groups say 1", List.of(function(A).build()), List.of(group(1, A)));
    refuse("the groups say none", List.of(function(A).group(Fact.known(1)).build()), List.of());
    refuse("member of group 1 is missing", List.of(), List.of(group(1, A)));
  }

  @Test
  void shouldRefuseACycleOfBridges() {
    refuse(
        "form a cycle",
        List.of(
            function(A).parent(Fact.known(B)).build(), function(B).parent(Fact.known(A)).build()),
        List.of());
  }

  @Test
  void shouldRefuseTheVfOfAVf() {
    refuse(
        "which is a VF itself",
        List.of(
            function(A).physicalFunction(Fact.known(B)).build(),
            function(B).physicalFunction(Fact.known(A)).build()),
        List.of());
  }

  @Test
  void shouldRefuseTheSameAddressTwice() {
    refuse("two functions", List.of(function(A).build(), function(A).build()), List.of());
  }
}
