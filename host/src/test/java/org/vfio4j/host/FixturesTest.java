// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The hosts that the repository ships in examples/hosts. */
class FixturesTest {

  static Stream<Path> fixtures() throws IOException {
    try (Stream<Path> files = Files.list(Folders.fixtures())) {
      return files.filter(p -> p.toString().endsWith(".json")).sorted().toList().stream();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "arm64-d05-1, 17, 8, 12, 3",
    "arm64-d05-2, 12, 6, 12, 5",
    "asm1812, 11, 11, 11, 1",
    "b450m-mortar, 33, 13, 33, 8",
    "b450m-mortar-max, 41, 13, 41, 10",
    "b550m-mortar, 38, 20, 38, 8",
    "dl388-gen8, 160, 65, 156, 8",
    "fujitsu-c236, 21, 15, 21, 3",
    "genoa, 149, 81, 133, 9",
    "isa-reserved, 5, 1, 5, 5",
    "pex8748, 47, 17, 47, 26",
    "pn51, 34, 24, 32, 8",
    "renoir-b450, 43, 35, 43, 8",
    "ryzen-x370, 38, 20, 38, 10",
    "spr-4socket, 483, 462, 483, 8",
    "t440, 281, 142, 281, 8",
    "titan-ridge, 16, 11, 16, 4",
    "vgpu-server, 226, 106, 226, 8",
    "x670e, 62, 27, 62, 14",
    "x99-5.8, 94, 45, 94, 8",
    "x99-5.9, 94, 36, 94, 11",
    "xeon-e5-multiseat, 148, 53, 148, 8",
    "xeon-v4-no-groups, 201, 0, 0, 0",
    "z170-itx, 20, 14, 20, 4"
  })
  void shouldHoldAllFunctionsAndGroups(
      String name, int functions, int groups, int members, int largest) {
    HostTopology host = HostSource.read(Folders.fixtures().resolve(name + ".json")).getFirst();
    assertThat(host.name()).isEqualTo(name);
    assertThat(host.functions()).hasSize(functions);
    List<Integer> sizes =
        host.groups().stream().map(g -> g.members().size()).filter(n -> n > 0).toList();
    assertThat(sizes).hasSize(groups);
    assertThat(sizes.stream().mapToInt(n -> n).sum()).isEqualTo(members);
    assertThat(sizes.stream().mapToInt(n -> n).max().orElse(0)).isEqualTo(largest);
  }

  @ParameterizedTest
  @MethodSource("fixtures")
  void shouldSurviveWritingAndReading(Path file) throws IOException {
    HostTopology host = HostSource.read(file).getFirst();
    String written = CaptureWriter.write(host);
    assertThat(HostSource.parse("again", "again", written.getBytes(StandardCharsets.UTF_8)))
        .containsExactly(host);
  }

  @ParameterizedTest
  @MethodSource("fixtures")
  void shouldFollowThePublishedSchema(Path file) throws IOException {
    assertThat(CaptureSchema.errors(Files.readString(file))).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("fixtures")
  void shouldNotCarryDescriptionsOfOthers(Path file) throws IOException {
    // What we wrote by hand has our own words.
    boolean ours = HostSource.read(file).getFirst().origin() == Origin.MANUAL;
    assertThat(ours || !Files.readString(file).contains("\"description\"")).isTrue();
  }

  @Test
  void shouldKnowWhatTheVgpuServerSays() {
    HostTopology host = HostSource.read(Folders.fixtures().resolve("vgpu-server.json")).getFirst();
    PciAddress gpu = PciAddress.parse("0000:08:00.0");
    assertThat(host.virtualFunctions(gpu)).hasSize(16);
    assertThat(host.function(gpu).orElseThrow().numVfs()).contains(16);
    assertThat(host.mdevs()).hasSize(3);
    assertThat(host.rolesOf(PciAddress.parse("0000:03:00.0"))).containsExactly(Role.BOOT_DISK);
    assertThat(host.rolesOf(PciAddress.parse("0000:01:00.1"))).containsExactly(Role.CONSOLE);
    assertThat(host.roles().of(Role.MANAGEMENT_NETWORK)).isEmpty();
    assertThat(host.iommu().addressWidth()).contains(48);
    assertThat(host.iommu().interruptRemapping()).isEmpty();
  }

  @Test
  void shouldShowHowAKernelUpgradeJoinsGroups() {
    HostTopology before = HostSource.read(Folders.fixtures().resolve("x99-5.8.json")).getFirst();
    HostTopology after = HostSource.read(Folders.fixtures().resolve("x99-5.9.json")).getFirst();
    PciAddress nic = PciAddress.parse("09:00.0");
    PciAddress sata = PciAddress.parse("0c:00.0");
    assertThat(before.groupOf(nic).orElseThrow().members()).doesNotContain(sata);
    assertThat(after.groupOf(nic).orElseThrow().members()).contains(sata);
  }

  @Test
  void shouldKeepTheRmrrsOfTheGen8() {
    HostTopology host = HostSource.read(Folders.fixtures().resolve("dl388-gen8.json")).getFirst();
    assertThat(host.iommu().rmrrs().orElseThrow()).hasSize(9);
    assertThat(host.function(PciAddress.parse("07:00.1")).orElseThrow().identityMaps()).hasSize(6);
    assertThat(host.function(PciAddress.parse("3f:0b.0")).orElseThrow().group().isUnknown())
        .isTrue();
  }
}
