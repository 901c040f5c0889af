// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CheckCommandTest {
  private static final Path EXAMPLES = Path.of("..", "examples");

  @TempDir private Path folder = Path.of("");

  private static Ran example(String name, String... more) {
    Object[] arguments = new Object[more.length + 2];
    arguments[0] = "check";
    arguments[1] = EXAMPLES.resolve(name).toString();
    System.arraycopy(more, 0, arguments, 2, more.length);
    return Ran.vfio(arguments);
  }

  private Ran written(String text) throws IOException {
    Path file = folder.resolve("vms.yaml");
    Files.writeString(file, text);
    return Ran.vfio("check", file.toString());
  }

  @ParameterizedTest
  @CsvSource({
    "tour.yaml,0",
    "matrix/0.yaml,0",
    "matrix/1.yaml,1",
    "matrix/2.yaml,1",
    "matrix/3.yaml,0",
    "matrix/4.yaml,1",
    "matrix/5.yaml,1",
    "matrix/extra.yaml,1"
  })
  void shouldExitWithTheVerdict(String file, int status) {
    assertThat(example(file).status()).isEqualTo(status);
  }

  @Test
  void shouldSayWhoHoldsTheGroupAndWhatHelps() {
    assertThat(example("matrix/4.yaml").out())
        .contains("web has it through 0000:01:00.0")
        .contains("EBUSY from VFIO_SET_IOMMU (BACKING_GROUP_HELD)")
        .contains("give 0000:01:00.1 to web, which has the group")
        .contains("bind 0000:01:00.1 to vfio-pci (now igb)")
        .endsWith("refused: 1 of 2 devices for 2 VMs on two-nics, kernel 6.1\n");
  }

  @Test
  void shouldPrintEveryFieldOfARefusalAsJson() {
    assertThat(example("matrix/4.yaml", "--json").out())
        .startsWith(
            "{\n  \"vfio4j-verdict\": 1,\n  \"admitted\": false,\n  \"host\": \"two-nics\",")
        .contains("\"kernel\": \"6.1\"", "\"basis\": \"default\"")
        .contains("\"mode\": \"wrapped\"", "\"users\": 1", "\"outcome\": \"attached\"")
        .contains("\"errno\": \"EBUSY\"", "\"call\": \"VFIO_SET_IOMMU\"")
        .contains("\"vm\": \"web\"", "\"fixes\": [")
        .doesNotContain("null");
  }

  @Test
  void shouldListAssumptionsAndRefuseThemWhenStrict() {
    assertThat(example("tour.yaml").out()).contains("interrupt remapping unknown, taken as: on");
    Ran strict = example("tour.yaml", "--strict", "--json");
    assertThat(strict.status()).isEqualTo(1);
    assertThat(strict.out()).contains("\"assumed\": [");
  }

  @Test
  void shouldAnswerAsTheChosenKernel() {
    assertThat(example("matrix/1.yaml", "--kernel", "5.10").out()).endsWith("kernel 5.10\n");
    assertThat(example("matrix/1.yaml", "--kernel", "6.1.0-18").out())
        .contains("answered as Linux 6.1, as 6.1.0-18 was asked for")
        .endsWith("kernel 6.1\n");
    assertThat(example("matrix/1.yaml", "--kernel", "6.8").out()).endsWith("kernel 6.8\n");
    Ran unknown = example("matrix/1.yaml", "--kernel", "new");
    assertThat(unknown.status()).isEqualTo(2);
    assertThat(unknown.err()).contains("6.8").hasLineCount(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "host: nope.json\nvms:\n  web:\n    devices: [\"0000:01:00.0\"]\n",
        "host: [\n",
        "host: vms.yaml\nvms:\n  web:\n    devices: [\"0000:01:00.0\"]\n",
        "host: vms.yaml\ncolour: red\n",
        "\u0000\u0001",
      })
  void shouldRefuseBadInputInOneLine(String text) throws IOException {
    Ran ran = written(text);
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err()).startsWith("vfio: ").hasLineCount(1).doesNotContain("\tat ");
  }

  @Test
  void shouldNameFileLineAndFieldOfADeviceThatIsNotThere() throws IOException {
    Path host = EXAMPLES.resolve("hosts/two-nics.json").toAbsolutePath();
    Ran ran = written("host: " + host + "\nvms:\n  web:\n    devices:\n      - 0000:0f:00.0\n");
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.out().replaceAll("\\s+", " "))
        .contains("vms.yaml:5: vms.web.devices[0]: ")
        .contains("0000:0f:00.0")
        .contains("bad input (NO_SUCH_DEVICE)");
  }

  /** One that does not end is read no further than a request can be long. */
  @Test
  void shouldRefuseAFileThatDoesNotEnd() {
    Ran ran = Ran.vfio("check", "/dev/zero");
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.err()).hasLineCount(1).contains("bigger than 16 MiB");
  }

  @Test
  void shouldRefuseACaptureWhoseIommuHasNoPages() throws IOException {
    Path capture = folder.resolve("odd.json");
    Files.writeString(
        capture,
        "{\"vfio4j-capture\":1,\"name\":\"odd\",\"iommu\":{\"pageSizes\":[4095]},\"functions\":[]}");
    Ran ran = written("host: odd.json\nvms:\n  web:\n    devices: []\n");
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.err()).hasLineCount(1).contains("odd.json:1: iommu.pageSizes[0]");
  }

  @Test
  void shouldTakeAHostByItsNameAndAFileWithAHashInItsName() throws IOException {
    Path host = EXAMPLES.resolve("hosts/two-nics.json");
    Files.copy(host, folder.resolve("a#b.json"));
    Ran file = written("host: \"a#b.json\"\nvms:\n  web:\n    devices: []\n");
    assertThat(file.status()).as(file.err()).isZero();
    Ran named = written("host: \"a#b.json#two-nics\"\nvms:\n  web:\n    devices: []\n");
    assertThat(named.status()).as(named.err()).isZero();
    Ran other = written("host: \"a#b.json#three\"\nvms:\n  web:\n    devices: []\n");
    assertThat(other.status()).isEqualTo(2);
    assertThat(other.err()).contains("two-nics");
  }

  @Test
  void shouldReadDomainsOfLibvirtForAHostThatIsNamed() throws IOException {
    Path xml = folder.resolve("win10.xml");
    Files.writeString(
        xml,
        """
        <domain><name>win10</name><memory unit='GiB'>4</memory><devices>
        <hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0'
        function='0'/></source></hostdev>
        <hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0'
        function='1'/></source></hostdev></devices></domain>
        """);
    Path host = EXAMPLES.resolve("hosts/two-nics.json");
    Ran ran = Ran.vfio("check", xml, "--host", host);
    assertThat(ran.status()).as(ran.out() + ran.err()).isZero();
    assertThat(Ran.vfio("check", xml, "--host", host, "--as", "qemu").out())
        .contains("-m 4096M", "-device vfio-pci,host=0000:01:00.1");
    Ran without = Ran.vfio("check", xml);
    assertThat(without.status()).isEqualTo(2);
    assertThat(without.err()).contains("--host").hasLineCount(1);
  }

  /** B12: it was "a mistake of this program", exit 70, for any request on such a host. */
  @Test
  void shouldAnswerOnAHostWithAVariantDriverAndNoGroups() throws IOException {
    Path host = folder.resolve("host.json");
    Files.writeString(
        host,
        "{\"vfio4j-capture\":1,\"functions\":[{\"address\":\"0000:01:00.0\",\"header\":\"normal\","
            + "\"driver\":\"mlx5_vfio_pci\",\"group\":null}]}");
    Ran ran = written("host: host.json\nvms:\n  web:\n    devices: [\"0000:01:00.0\"]\n");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out()).contains("NO_IOMMU_GROUP");
  }

  @Test
  void shouldSayWhichRunningVmHasTheGroup() throws IOException {
    Path host = EXAMPLES.resolve("hosts/two-nics.json").toAbsolutePath();
    Ran ran =
        written(
            "host: "
                + host
                + "\nvms:\n  web:\n    devices: [\"0000:01:00.1\"]\n"
                + "running:\n  db: {pid: 812, holds: [\"0000:01:00.0\"]}\n");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.out())
        .contains("db (running, process 812) has it through 0000:01:00.0")
        .endsWith("on two-nics, beside 1 running VM, kernel 6.1\n");
  }

  @Test
  void shouldTakeNothingTheHostNeedsUnlessForced() throws IOException {
    Path host = EXAMPLES.resolve("hosts/two-nics.json").toAbsolutePath();
    String disk = "host: " + host + "\nvms:\n  web:\n    devices:\n      - 0000:00:17.0\n";
    Ran refused = written(disk);
    assertThat(refused.status()).isEqualTo(1);
    assertThat(refused.out()).contains("HOST_BOOT_DISK");
    Ran forced =
        Ran.vfio("check", folder.resolve("vms.yaml").toString(), "--force", "0000:00:17.0");
    assertThat(forced.status()).isZero();
  }
}
