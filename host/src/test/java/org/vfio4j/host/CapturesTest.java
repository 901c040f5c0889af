// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The captures as people published them, which lie beside the repository and not in it. What the
 * readers find is compared with a count that shares no code with them.
 */
class CapturesTest {

  private static final String FULL = "([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7])";
  private static final String ANY = "((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7])";

  private static Path capture(String name) {
    assumeTrue(
        Folders.captures().isPresent(), "put the folder shared/captures beside the repository");
    return Folders.captures().orElseThrow().resolve(name);
  }

  private static String text(String name) {
    try {
      return new String(Files.readAllBytes(capture(name)), StandardCharsets.UTF_8)
          .replace('\u00a0', ' ');
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static HostTopology only(String name) {
    List<HostTopology> hosts = HostSource.read(capture(name));
    assertThat(hosts).hasSize(1);
    return hosts.getFirst();
  }

  private static String full(String address) {
    return address.length() == 7 ? "0000:" + address : address;
  }

  /** Group to members, as the reader has them. */
  private static Map<Integer, Set<String>> read(HostTopology host) {
    Map<Integer, Set<String>> groups = new TreeMap<>();
    for (PciFunction function : host.functions()) {
      function
          .group()
          .value()
          .ifPresent(
              g ->
                  groups
                      .computeIfAbsent(g, k -> new TreeSet<>())
                      .add(function.address().toString()));
    }
    return groups;
  }

  /** Group to members, by a pattern with two groups: the number and the address. */
  private static Map<Integer, Set<String>> scan(String text, String pattern, boolean addressFirst) {
    Map<Integer, Set<String>> groups = new TreeMap<>();
    Matcher m =
        Pattern.compile(pattern, Pattern.MULTILINE | Pattern.CASE_INSENSITIVE).matcher(text);
    while (m.find()) {
      int group = Integer.parseInt(m.group(addressFirst ? 2 : 1));
      String address = full(m.group(addressFirst ? 1 : 2));
      groups.computeIfAbsent(group, k -> new TreeSet<>()).add(address);
    }
    return groups;
  }

  /** Group to members where a heading names the group and the addresses follow it. */
  private static Map<Integer, Set<String>> scanBelowHeadings(String text) {
    Map<Integer, Set<String>> groups = new TreeMap<>();
    Pattern pattern =
        Pattern.compile(
            "(?im)^\\s*(?:IOMMU )?group:? (\\d+):?|^[^\\n"
                + "\\[]*?(?:\\[\\w{4}:\\w{4}\\] *(?:\\[R\\])? *)?"
                + ANY
                + " ");
    Matcher m = pattern.matcher(text);
    int group = -1;
    while (m.find()) {
      group = m.group(1) == null ? group : Integer.parseInt(m.group(1));
      if (m.group(2) != null) {
        groups.computeIfAbsent(group, k -> new TreeSet<>()).add(full(m.group(2)));
      }
    }
    return groups;
  }

  @ParameterizedTest
  @CsvSource({
    "01-4gamers1pc-threadripper-148.txt, 53, 148",
    "07-eduxstad.txt, 20, 38",
    "14-asokolsky-fuji.txt, 15, 21"
  })
  void shouldReadListingsWithTheGroupInEachLine(String name, int groups, int functions) {
    HostTopology host = only(name);
    Map<Integer, Set<String>> scanned = scan(text(name), "^IOMMU Group (\\d+) " + ANY + " ", false);
    assertThat(read(host)).isEqualTo(scanned).hasSize(groups);
    assertThat(host.functions()).hasSize(functions);
    assertThat(host.functions()).allMatch(f -> f.id().isPresent() && f.classCode().isPresent());
    assertThat(host.functions()).allMatch(f -> f.driver().isUnknown());
  }

  @ParameterizedTest
  @CsvSource({"05-ozzyhelix.txt, 35, 43", "02-asus-x670e-i.txt, 27, 62"})
  void shouldReadListingsWithHeadings(String name, int groups, int functions) {
    HostTopology host = only(name);
    String body = text(name).replaceAll("(?m)^#.*", "").replaceAll("(?m)^USB:.*", "");
    body = body.replaceAll("(?m)^Group (\\d+):", "Group $1:\n");
    Map<Integer, Set<String>> scanned = new TreeMap<>();
    int group = -1;
    for (String line : body.split("\n")) {
      Matcher heading = Pattern.compile("(?:IOMMU )?Group (\\d+):\\s*").matcher(line);
      Matcher address = Pattern.compile("\\b([0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]) ").matcher(line);
      if (heading.matches()) {
        group = Integer.parseInt(heading.group(1));
      } else if (address.find()) {
        scanned.computeIfAbsent(group, k -> new TreeSet<>()).add("0000:" + address.group(1));
      }
    }
    assertThat(read(host)).isEqualTo(scanned).hasSize(groups);
    assertThat(host.functions()).hasSize(functions);
    assertThat(host.functions()).allMatch(f -> f.id().isPresent() && f.classCode().isPresent());
  }

  @Test
  void shouldReadTheResetFlag() {
    HostTopology host = only("02-asus-x670e-i.txt");
    long flags =
        Pattern.compile("\\] \\[R\\] ").matcher(text("02-asus-x670e-i.txt")).results().count();
    assertThat(host.functions().stream().filter(f -> f.resettable().orElseThrow()).count())
        .isEqualTo(flags);
  }

  @Test
  void shouldReadSeveralBoardsAsSeveralHosts() {
    List<HostTopology> hosts = HostSource.read(capture("11-sample-z170-x399-x570.txt"));
    assertThat(hosts)
        .extracting(HostTopology::name)
        .containsExactly(
            "asrock-mini-itx-fatal1ty-z170-gaming-itx-ac",
            "msi-b450m-mortar",
            "msi-b450m-mortar-max",
            "msi-mag-b550m-mortar");
    String[] parts = text("11-sample-z170-x399-x570.txt").split("(?m)^## (?!Gigabyte)");
    assertThat(parts).hasSize(5);
    for (int i = 0; i < 4; i++) {
      assertThat(read(hosts.get(i))).isEqualTo(scanBelowHeadings(parts[i + 1]));
    }
    assertThat(hosts).extracting(h -> h.functions().size()).containsExactly(20, 33, 41, 38);
    assertThat(hosts).extracting(h -> h.groups().size()).containsExactly(14, 13, 13, 20);
  }

  @Test
  void shouldReadTheTreeWithRepeatedMembers() {
    String name = "12-intel-spr-dsa-qat-4socket.txt";
    HostTopology host = only(name);
    Map<Integer, Set<String>> scanned = new TreeMap<>();
    int group = -1;
    for (String line : text(name).split("\n")) {
      group = line.contains("Group: ") ? Integer.parseInt(line.split(": ")[1].strip()) : group;
      if (line.contains("Group Device: ")) {
        String address = line.strip().substring(14, 26);
        scanned.computeIfAbsent(group, k -> new TreeSet<>()).add(address);
      }
    }
    assertThat(read(host)).isEqualTo(scanned).hasSize(462);
    assertThat(host.functions()).hasSize(483).allMatch(f -> f.iommuUnit().isPresent());
  }

  @ParameterizedTest
  @CsvSource({
    "17-supermicro-genoa-dmesg.txt, 81, 133",
    "33-hp-dl388-gen8-rmrr-dmesg.txt, 65, 156",
    "34-dell-t440-281-devices-dmesg.txt, 142, 281"
  })
  void shouldReadKernelLogs(String name, int groups, int members) {
    HostTopology host = only(name);
    Map<Integer, Set<String>> scanned =
        scan(text(name), FULL + ": Adding to iommu group (\\d+)", true);
    assertThat(read(host)).isEqualTo(scanned).hasSize(groups);
    assertThat(scanned.values().stream().mapToInt(Set::size).sum()).isEqualTo(members);
    Set<String> named = new HashSet<>();
    Matcher m = Pattern.compile("pci " + FULL + ": \\[\\w{4}:\\w{4}\\]").matcher(text(name));
    while (m.find()) {
      named.add(m.group(1));
    }
    assertThat(host.functions()).extracting(f -> f.address().toString()).containsAll(named);
    assertThat(host.iommu().interruptRemapping()).contains(true);
    assertThat(host.kernel()).isPresent();
  }

  @Test
  void shouldReadTheRecordingOf226FunctionsAtOnce() throws IOException {
    String name = "21-harvester-vgpu-node.umockdev";
    HostTopology host = only(name);
    Map<Integer, Set<String>> scanned = new TreeMap<>();
    Map<String, String> drivers = new HashMap<>();
    String address = "";
    for (String line : Files.readAllLines(capture(name))) {
      if (line.startsWith("P: ")) {
        String last = line.substring(line.lastIndexOf('/') + 1);
        address = last.matches(FULL) ? last : "";
      } else if (line.startsWith("L: iommu_group=") && !address.isEmpty()) {
        int group = Integer.parseInt(line.substring(line.lastIndexOf('/') + 1));
        scanned.computeIfAbsent(group, k -> new TreeSet<>()).add(address);
      } else if (line.startsWith("E: DRIVER=") && !address.isEmpty()) {
        drivers.put(address, line.substring(10));
      }
    }
    assertThat(read(host)).isEqualTo(scanned).hasSize(106);
    assertThat(host.functions()).hasSize(226).noneMatch(f -> f.driver().isUnknown());
    Map<String, String> readDrivers = new HashMap<>();
    host.functions()
        .forEach(
            f -> f.driver().value().ifPresent(d -> readDrivers.put(f.address().toString(), d)));
    assertThat(readDrivers).isEqualTo(drivers);
    assertThat(host.mdevs()).extracting(m -> m.group().orElseThrow()).contains(106, 107, 108);
  }

  @Test
  void shouldReadTwoKernelsAsTwoHosts() {
    String name = "23-x99-asmedia-5.8-vs-5.9-groups.txt";
    List<HostTopology> hosts = HostSource.read(capture(name));
    assertThat(hosts).extracting(HostTopology::name).containsExactly("kernel-5.8", "kernel-5.9");
    String[] parts = text(name).split("(?m)^Kernel 5\\.[89].*$");
    assertThat(parts).hasSize(3);
    assertThat(read(hosts.get(0))).isEqualTo(scanBelowHeadings(parts[1])).hasSize(45);
    assertThat(read(hosts.get(1))).isEqualTo(scanBelowHeadings(parts[2])).hasSize(36);
    for (HostTopology host : hosts) {
      // lspci itself cut the lines of these three, and their ids with them.
      assertThat(host.functions()).hasSize(94);
      assertThat(host.functions().stream().filter(f -> f.id().isEmpty()))
          .extracting(f -> f.address().toString())
          .containsExactly("0000:ff:13.0", "0000:ff:13.1", "0000:ff:16.0");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "24-pex8748-lspci-vvv-groups.txt, 1, 17, 42, 47, 20",
    "25-asus-pn51-lspci-vvv-groups.txt, 2, 24, 34, 34, 16",
    "28-titan-ridge-lspci-groups.txt, 1, 11, 16, 16, 4",
    "41-asm1812-switch-lspci.txt, 1, 11, 11, 11, 6",
    "19-xeon-v4-lspci-vvv-acs.txt, 1, 0, 201, 201, 9"
  })
  void shouldReadVerboseLspci(
      String name, int copies, int groups, int headers, int functions, int acs) {
    // The same machine listed twice is one host.
    List<HostTopology> read = List.of(only(name));
    List<String> blocks = new ArrayList<>();
    for (String block : text(name).split("\\n(?=" + ANY + " [A-Z0-9][^\\n]*: )")) {
      blocks.add(block);
    }
    assertThat(blocks.size() - 1).isEqualTo(copies * headers);
    Function<HostTopology, Map<Integer, Set<String>>> scanned =
        host -> {
          Map<Integer, Set<String>> all = new TreeMap<>();
          for (String block : blocks.subList(1, headers + 1)) {
            Matcher m = Pattern.compile("\\n\\s+IOMMU group: (\\d+)").matcher(block);
            if (m.find()) {
              all.computeIfAbsent(Integer.parseInt(m.group(1)), k -> new TreeSet<>())
                  .add(full(block.substring(0, block.indexOf(' '))));
            }
          }
          scan(text(name), FULL + ": Adding to iommu group (\\d+)", true)
              .forEach((g, a) -> all.computeIfAbsent(g, k -> new TreeSet<>()).addAll(a));
          return all;
        };
    for (HostTopology host : read) {
      assertThat(read(host)).isEqualTo(scanned.apply(host)).hasSize(groups);
      assertThat(host.functions()).hasSize(functions);
      assertThat(host.functions().stream().filter(f -> f.acs().value().isPresent())).hasSize(acs);
      long drivers =
          blocks.subList(1, headers + 1).stream()
              .filter(b -> b.contains("Kernel driver in use: "))
              .count();
      assertThat(host.functions().stream().filter(f -> f.driver().value().isPresent()).count())
          .isEqualTo(drivers);
    }
  }

  @Test
  void shouldReadReservedRegionsOutOfAReport() {
    List<HostTopology> hosts =
        HostSource.read(capture("39-vfio-map-dma-einval-reserved-regions.txt"));
    // Who asks shows his machine, and who answers his.
    assertThat(hosts).hasSize(2);
    HostTopology host = hosts.get(1);
    assertThat(read(host))
        .isEqualTo(
            scan(
                text("39-vfio-map-dma-einval-reserved-regions.txt"),
                "iommu_groups/(\\d+)/devices/" + FULL,
                false));
    assertThat(host.group(9).orElseThrow().reservedRegions().orElseThrow()).hasSize(2);
    assertThat(host.functions()).hasSize(5).allMatch(f -> f.id().isPresent());
  }

  @Test
  void shouldReadTwoBootsAsTwoHosts() {
    String name = "40-arm64-iommu-groups-issue.txt";
    List<HostTopology> hosts = HostSource.read(capture(name));
    assertThat(hosts).extracting(HostTopology::name).containsExactly("boot-1", "boot-2");
    String[] parts = text(name).split("For the PCI devices in question");
    for (int i = 0; i < 2; i++) {
      assertThat(read(hosts.get(i)))
          .isEqualTo(scan(parts[i], FULL + ": Adding to iommu group (\\d+)", true));
      assertThat(hosts.get(i).groups().stream().mapToInt(g -> g.otherMembers().size()).sum())
          .isEqualTo(3);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "01-4gamers1pc-threadripper-148.txt, 0, xeon-e5-multiseat",
    "02-asus-x670e-i.txt, 0, x670e",
    "05-ozzyhelix.txt, 0, renoir-b450",
    "07-eduxstad.txt, 0, ryzen-x370",
    "11-sample-z170-x399-x570.txt, 0, z170-itx",
    "11-sample-z170-x399-x570.txt, 1, b450m-mortar",
    "11-sample-z170-x399-x570.txt, 2, b450m-mortar-max",
    "11-sample-z170-x399-x570.txt, 3, b550m-mortar",
    "12-intel-spr-dsa-qat-4socket.txt, 0, spr-4socket",
    "14-asokolsky-fuji.txt, 0, fujitsu-c236",
    "17-supermicro-genoa-dmesg.txt, 0, genoa",
    "19-xeon-v4-lspci-vvv-acs.txt, 0, xeon-v4-no-groups",
    "21-harvester-vgpu-node.umockdev, 0, vgpu-server",
    "23-x99-asmedia-5.8-vs-5.9-groups.txt, 0, x99-5.8",
    "23-x99-asmedia-5.8-vs-5.9-groups.txt, 1, x99-5.9",
    "24-pex8748-lspci-vvv-groups.txt, 0, pex8748",
    "25-asus-pn51-lspci-vvv-groups.txt, 0, pn51",
    "28-titan-ridge-lspci-groups.txt, 0, titan-ridge",
    "33-hp-dl388-gen8-rmrr-dmesg.txt, 0, dl388-gen8",
    "34-dell-t440-281-devices-dmesg.txt, 0, t440",
    "39-vfio-map-dma-einval-reserved-regions.txt, 1, isa-reserved",
    "40-arm64-iommu-groups-issue.txt, 0, arm64-d05-1",
    "40-arm64-iommu-groups-issue.txt, 1, arm64-d05-2",
    "41-asm1812-switch-lspci.txt, 0, asm1812"
  })
  void shouldBeWhatTheFixturesSay(String name, int index, String fixture) throws IOException {
    HostTopology host = HostSource.read(capture(name)).get(index);
    assertThat(CaptureWriter.write(host.named(fixture).withoutDescriptions()))
        .isEqualTo(Files.readString(Folders.fixtures().resolve(fixture + ".json")));
  }
}
