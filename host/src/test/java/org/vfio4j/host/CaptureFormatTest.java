// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.iommu.ReservedRegion;

class CaptureFormatTest {

  private static final ReservedRegion MSI =
      new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI);
  private static final ReservedRegion HIGH =
      new ReservedRegion(0xfffffffffff00000L, -1L, ReservedRegion.Type.RESERVED);

  /** A host with every field there is. */
  private static HostTopology everything() {
    PciAddress port = PciAddress.parse("0000:00:01.0");
    PciAddress pf = PciAddress.parse("0000:01:00.0");
    PciFunction bridge =
        PciFunction.builder(port)
            .classCode(Optional.of(PciClass.of24(0x060400)))
            .headerType(Optional.of(HeaderType.BRIDGE))
            .pcieType(Optional.of(PcieType.ROOT_PORT))
            .driver(Fact.known("pcieport"))
            .group(Fact.known(0))
            .numaNode(Fact.none())
            .acs(
                Fact.known(new Acs(Set.of(Acs.Feature.SV, Acs.Feature.RR), Set.of(Acs.Feature.SV))))
            .parent(Fact.none())
            .buses(Optional.of(new BusRange(1, 2)))
            .description(Optional.of("An \"imagined\" port\n\u00fc"))
            .build();
    PciFunction physical =
        PciFunction.builder(pf)
            .id(Optional.of(new PciId(0x1af4, 0x0201)))
            .subsystem(Optional.of(new PciId(0x1af4, 1)))
            .classCode(Optional.of(PciClass.of16(0x0200)))
            .driver(Fact.none())
            .group(Fact.known(1))
            .physicalFunction(Fact.none())
            .numVfs(Optional.of(1))
            .totalVfs(Optional.of(8))
            .resetMethods(Optional.of(List.of("flr", "bus")))
            .numaNode(Fact.known(1))
            .acs(Fact.none())
            .parent(Fact.known(port))
            .iommuUnit(Optional.of("dmar0"))
            .identityMaps(List.of(new ReservedRegion(0, 0xfff, ReservedRegion.Type.DIRECT)))
            .rmrrLocked(Optional.of(true))
            .driverOverride(Fact.known("vfio-pci"))
            .build();
    PciFunction virtual =
        PciFunction.builder(PciAddress.parse("0000:01:00.1"))
            .group(Fact.none())
            .physicalFunction(Fact.known(pf))
            .resettable(Optional.of(false))
            .build();
    MdevType type =
        new MdevType(
            "one",
            Optional.of("One"),
            Optional.of("vfio-pci"),
            Optional.of(2),
            Optional.of("text"));
    return new HostTopology(
        "everything",
        Origin.MANUAL,
        Optional.of("6.1.0"),
        false,
        List.of(bridge, physical, virtual),
        List.of(
            new HostGroup(0, List.of(port), List.of(), Optional.of("DMA"), Optional.of(List.of())),
            new HostGroup(
                1,
                List.of(pf),
                List.of("acpi.0"),
                Optional.empty(),
                Optional.of(List.of(MSI, HIGH))),
            new HostGroup(7, List.of(), List.of("acpi.1"), Optional.empty(), Optional.empty())),
        List.of(
            new MdevOffers(pf.toString(), List.of(type), Optional.of(MdevIsolation.BACKED)),
            new MdevOffers("mtty", List.of(), Optional.empty())),
        List.of(
            new Mdev(
                UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"),
                pf.toString(),
                Optional.of("one"),
                Optional.of(9),
                Fact.known("vfio_mdev"))),
        List.of(
            MdevDefinition.wrapped(
                UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"),
                PciAddress.parse("0a:00.0"))),
        new IommuFacts(
            Optional.of(true),
            Optional.of(false),
            Optional.of(48),
            Optional.of(List.of(4096L, 2097152L)),
            Optional.of(false),
            Optional.of(65535L),
            Optional.of(List.of(MSI))),
        new Roles(
            Map.of(
                Role.CONSOLE,
                List.of(),
                Role.MANAGEMENT_NETWORK,
                List.of(pf),
                Role.STORAGE,
                List.of(pf),
                Role.NETWORK,
                List.of()),
            Set.of(Role.STORAGE),
            Map.of(pf, List.of("sda2 is mounted on /var"))),
        new HostSetup(
            Optional.of("ro quiet intel_iommu=on"),
            new TreeMap<>(Map.of("vfio_pci.ids", "1af4:0201")),
            Set.of(IommuSign.VTD_ACTIVE)),
        List.of(new Loss(7, "02:00.0 what", Loss.Reason.NOT_READ)));
  }

  @Test
  void shouldReadBackEveryFieldThatItWrites() {
    HostTopology host = everything();
    assertThat(Samples.only(CaptureWriter.write(host))).isEqualTo(host);
  }

  @Test
  void shouldWriteWhatTheSchemaDescribes() {
    assertThat(CaptureSchema.errors(CaptureWriter.write(everything()))).isEmpty();
  }

  @Test
  void shouldRefuseBySchemaWhatTheReaderRefuses() {
    assertThat(
            CaptureSchema.errors("{\"vfio4j-capture\": 1, \"functions\": [{\"adress\": \"x\"}]}"))
        .isNotEmpty();
  }

  @Test
  void shouldWriteOneFunctionPerLine() {
    assertThat(CaptureWriter.write(everything()).lines().filter(l -> l.contains("\"address\"")))
        .hasSize(3)
        .allMatch(l -> l.strip().startsWith("{\"address\":\"0000:"));
  }

  @Test
  void shouldLeaveUnknownWhatIsNotSaid() {
    HostTopology host =
        Samples.only("{\"vfio4j-capture\": 1, \"functions\": [{\"address\": \"01:00.0\"}]}");
    assertThat(host.name()).isEqualTo("file");
    assertThat(host.functions())
        .containsExactly(PciFunction.builder(PciAddress.parse("01:00.0")).build());
    assertThat(host.functions().getFirst().driver().isUnknown()).isTrue();
    assertThat(host.functions().getFirst().isBridge()).isEmpty();
    assertThat(host.iommu()).isEqualTo(IommuFacts.UNKNOWN);
    assertThat(host.roles()).isEqualTo(Roles.UNKNOWN);
    assertThat(host.kernel()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"address\":\"01:00.0\"},{\"address\":\"0000:01:00.0\"}|functions[1].address|two"
            + " functions",
        "{\"address\":\"01:00.0\",\"physfn\":\"02:00.0\"}|functions[0].physfn|missing physical",
        "{\"address\":\"01:00.0\",\"parent\":\"01:00.0\"}|functions[0].parent|form a cycle",
        "{\"address\":\"01:00.0\",\"parent\":\"00:01.0\"}|functions[0].parent|missing parent",
        "{\"address\":\"1:0\"}|functions[0].address|no PCI address",
        "{\"address\":\"01:00.0\",\"grop\":1}|functions[0].grop|unknown field",
        "{\"address\":\"01:00.0\",\"group\":-1}|functions[0].group|out of range",
        "{\"address\":\"01:00.0\",\"group\":\"1\"}|functions[0].group|must be a whole number",
        "{\"address\":\"01:00.0\",\"driver\":1}|functions[0].driver|must be a text",
        "{\"address\":\"01:00.0\",\"id\":\"10de\"}|functions[0].id|no PCI id",
        "{\"address\":\"01:00.0\",\"class\":\"06\"}|functions[0].class|no PCI class",
        "{\"address\":\"01:00.0\",\"header\":\"odd\"}|functions[0].header|is none of",
        "{\"address\":\"01:00.0\",\"buses\":[2,1]}|functions[0].buses|the second not below",
        "{\"address\":\"01:00.0\",\"acs\":{\"cap\":[\"XX\"],\"ctl\":[]}}|functions[0].acs.cap[0]|is"
            + " none",
        "{\"address\":\"01:00.0\",\"numVfs\":2,\"totalVfs\":1}|functions[0].numVfs|more VFs",
        "{\"address\":\"01:00.0\",\"address\":\"01:00.1\"}|functions[0].address|given twice",
        "{\"group\":1}|functions[0]|missing field 'address'",
        "{\"address\":\"01:00.0\",\"header\":\"bridge\"},{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\"}|functions[1].physfn|is"
            + " a bridge",
        "{\"address\":\"01:00.0\",\"class\":\"0600\"},{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\"}|functions[1].physfn|is"
            + " a bridge",
        "{\"address\":\"01:00.0\",\"physfn\":\"01:00.0\"}|functions[0].physfn|a VF of itself",
        "{\"address\":\"01:00.1\"},{\"address\":\"01:00.0\",\"physfn\":\"01:00.1\"}|functions[1].physfn|lies"
            + " behind its PF",
        "{\"address\":\"01:00.0\"},{\"address\":\"0001:01:00.1\",\"physfn\":\"01:00.0\"}|functions[1].physfn|in"
            + " the same domain",
        "{\"address\":\"01:00.0\"},{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\",\"header\":\"bridge\"}|functions[1].physfn|a"
            + " VF is no bridge",
        "{\"address\":\"01:00.0\"},{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\",\"totalVfs\":2}|functions[1].totalVfs|no"
            + " VFs of its own",
        "{\"address\":\"01:00.0\",\"numVfs\":0},{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\"}|functions[0].numVfs|1"
            + " VF listed",
        "{\"address\":\"01:00.0\",\"totalVfs\":1},{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\"},{\"address\":\"01:00.2\",\"physfn\":\"01:00.0\"}|functions[0].totalVfs|2"
            + " VFs listed",
        "{\"address\":\"00:01.0\",\"header\":\"normal\"},{\"address\":\"01:00.0\",\"parent\":\"00:01.0\"}|functions[1].parent|0000:00:01.0"
            + " is no bridge",
        "{\"address\":\"00:01.0\",\"class\":\"0200\"},{\"address\":\"01:00.0\",\"parent\":\"00:01.0\"}|functions[1].parent|0000:00:01.0"
            + " is no bridge",
        "{\"address\":\"00:01.0\",\"buses\":[2,3]},{\"address\":\"01:00.0\",\"parent\":\"00:01.0\"}|functions[1].parent|bus"
            + " 01 is not behind",
        "{\"address\":\"00:01.0\"},{\"address\":\"0001:01:00.0\",\"parent\":\"00:01.0\"}|functions[1].parent|is"
            + " not behind",
        "{\"address\":\"00:01.0\",\"buses\":[1,1]},{\"address\":\"01:00.0\",\"parent\":null}|functions[1].parent|bus"
            + " 01 is behind",
        "{\"address\":\"00:01.0\",\"buses\":[1,1]},{\"address\":\"00:02.0\",\"buses\":[1,2]}|functions[1].buses|is"
            + " behind 0000:00:01.0",
        "{\"address\":\"00:01.0\",\"class\":\"0300\",\"buses\":[1,1]}|functions[0].buses|only a"
            + " bridge",
        "{\"address\":\"00:01.0\",\"class\":\"060400\",\"header\":\"normal\"}|functions[0].header|the"
            + " class",
        "{\"address\":\"00:01.0\",\"class\":\"0300\",\"header\":\"bridge\"}|functions[0].header|the"
            + " class",
        "{\"address\":\"00:01.0\",\"reset\":[],\"resettable\":true}|functions[0].resettable|says"
            + " otherwise",
        "{\"address\":\"00:01.0\",\"reset\":[\"\"]}|functions[0].reset[0]|empty",
        "{\"address\":\"00:01.0\",\"driver\":\"\"}|functions[0].driver|empty",
        "{\"address\":\"00:01.0\",\"numVfs\":-1}|functions[0].numVfs|out of range",
        "{\"address\":\"00:01.0\",\"signs\":[\"no-answer\",\"odd\"]}|functions[0].signs[1]|no sign",
        "7|functions[0]|must be a map"
      })
  void shouldNameThePlaceOfAMistake(String functions, String field, String message) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(
            () -> Samples.parse("{\"vfio4j-capture\": 1,\n\"functions\": [" + functions + "]}"))
        .satisfies(e -> assertThat(e.field()).isEqualTo(field))
        .satisfies(e -> assertThat(e.line()).isEqualTo(2))
        .withMessageStartingWith("file:2: " + field + ": ")
        .withMessageContaining(message)
        .withMessageNotContaining("\n");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"groups\":[{\"id\":1},{\"id\":1}]|two groups have the number 1",
        "\"groups\":[{\"id\":1,\"others\":[\"a\"]},{\"id\":2,\"others\":[\"a\"]}]|in two groups",
        "\"groups\":[{\"id\":1,\"others\":[\"01:00.0\"]}]|names its group itself",
        "\"groups\":[{\"id\":1,\"reserved\":[{\"start\":\"0x2\",\"last\":\"0x1\",\"type\":\"msi\"}]}]|ends"
            + " before",
        "\"mdevs\":[{\"uuid\":\"x\",\"parent\":\"mtty\"}]|no UUID",
        "\"groups\":[{\"id\":5}]|groups[0]: group 5 has no members",
        "\"groups\":[{\"id\":5,\"others\":[\"a\",\"a\"]}]|groups[0].others[1]: named twice",
        "\"mdevParents\":[{\"device\":\"mtty\",\"types\":[{\"id\":\"a\"}]}],\"mdevs\":[{\"uuid\":\"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\",\"parent\":\"mtty\",\"type\":\"b\"}]|mdevs[0].type:"
            + " no type that mtty offers",
        "\"mdevParents\":[],\"mdevs\":[{\"uuid\":\"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\",\"parent\":\"mtty\"}]|mdevs[0].parent:"
            + " none of 'mdevParents'",
        "\"mdevParents\":[{\"device\":\"\"}]|mdevParents[0].device: empty",
        "\"mdevs\":[{\"uuid\":\"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\",\"parent\":\"09:00.0\"}]|missing"
            + " parent",
        "\"mdevParents\":[{\"device\":\"09:00.0\"}]|no function of this host",
        "\"roles\":{\"console\":[\"09:00.0\"]}|roles.console[0]: no function of this host",
        "\"roles\":{\"desk\":[]}|unknown field",
        "\"iommu\":{\"addressWidth\":65}|iommu.addressWidth: out of range",
        "\"partial\":\"yes\"|must be true or false",
        "\"vendor\":1|unknown field"
      })
  void shouldRejectWhatCannotBe(String part, String message) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(
            () ->
                Samples.parse(
                    "{\"vfio4j-capture\":1,\"functions\":[{\"address\":\"01:00.0\"}],"
                        + part
                        + "}"))
        .withMessageMatching("file:1: [^\\n]*")
        .withMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"vfio4j-capture\": 4, \"functions\": []}",
        "{\"vfio4j-capture\": 0, \"functions\": []}",
        "{\"vfio4j-capture\": 1}",
        "{\"vfio4j-capture\": 1, \"functions\": [",
        "{\"vfio4j-capture\": 1, \"functions\": []} {}",
        "{\"vfio4j-capture\": 1, \"functions\": nothing}",
        "{"
      })
  void shouldRejectWhatIsNoCapture(String text) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> Samples.parse(text))
        .withMessageMatching("file:1: [^\\n]*");
  }

  @Test
  void shouldRejectEveryTruncation() {
    String whole = CaptureWriter.write(everything()).strip();
    for (int length = 1; length < whole.length(); length++) {
      String cut = whole.substring(0, length);
      assertThatExceptionOfType(BadInputException.class)
          .isThrownBy(() -> Samples.parse(cut))
          .withMessageMatching("file:[0-9]+: [^\\n]*");
    }
  }

  @Test
  void shouldAllowWhatIsMissingInAPartialCapture() {
    HostTopology host =
        Samples.only(
            "{\"vfio4j-capture\":1,\"partial\":true,\"functions\":"
                + "[{\"address\":\"01:00.1\",\"physfn\":\"01:00.0\",\"parent\":\"00:01.0\"}]}");
    assertThat(host.partial()).isTrue();
    assertThat(Samples.only(CaptureWriter.write(host))).isEqualTo(host);
  }
}
