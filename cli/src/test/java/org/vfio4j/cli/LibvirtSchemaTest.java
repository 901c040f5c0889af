// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code --as libvirt} prints, before libvirt's own judge, where it is installed. */
class LibvirtSchemaTest {
  private static final Path VALIDATOR = Path.of("/usr/bin/virt-xml-validate");

  @TempDir Path folder;

  /** The judge asks a program of another package. */
  @BeforeAll
  static void requireValidator() {
    assumeThat(VALIDATOR).exists();
    assumeThat(Path.of("/usr/bin/xmllint")).exists();
  }

  /** Each domain of the output by itself: a file for virsh holds one. */
  private void assertValid(Path request, int domains) throws IOException, InterruptedException {
    Ran ran = Ran.vfio("check", request, "--as", "libvirt");
    assertThat(ran.status()).as(ran.err()).isZero();
    String[] all = ran.out().split("(?m)^(?=<domain )");
    assertThat(all).hasSize(domains);
    for (String domain : all) {
      assertThat(validate(domain)).as(domain).endsWith("validates");
    }
  }

  private String validate(String domain) throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("domain.xml"), domain);
    Process process =
        new ProcessBuilder(VALIDATOR.toString(), file.toString(), "domain")
            .redirectErrorStream(true)
            .start();
    process.getOutputStream().close();
    String said =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
    process.waitFor();
    return said;
  }

  @Test
  void shouldPrintTheTourAsDomainsOfLibvirt() throws Exception {
    assertValid(Ran.ROOT.resolve("examples/tour.yaml"), 3);
  }

  @Test
  void shouldPrintEveryKindOfRequestAsDomainsOfLibvirt() throws Exception {
    Path request =
        Files.writeString(
            folder.resolve("request.yaml"),
            """
            host: '%s'
            vms:
              "a b & <c>":
                memory: 8GiB
                viommu: true
                memlock: unlimited
                devices: [0000:05:00.0, 0000:04:00.0]
              second:
                memlock: 2GiB
                devices: [{mdev: f715f63c-0d00-4007-9c5a-b07b0c6c05de}]
              third:
                devices: []
            """
                .formatted(Ran.host("vgpu-server").toAbsolutePath()));
    assertValid(request, 3);
  }

  /** What is put into a domain is put where its comment says: behind the head that it names. */
  @Test
  void shouldPrintWhatUpServesAsPartOfADomain() throws Exception {
    Path request =
        Files.writeString(
            folder.resolve("own.yaml"),
            "vms: {lab: {memory: 256MiB, devices: [{device: edu}, {device: ioat}]}}");
    try (RunningCommand up =
        new RunningCommand("up", request, "--as", "libvirt", "--folder", folder.resolve("s"))) {
      up.await("Ctrl-C");
      String part = up.out().substring(up.out().indexOf("  <!--"), up.out().indexOf("\n\n"));
      String head = part.substring(part.indexOf("<domain"), part.indexOf(" -->"));
      String domain =
          head
              + "<name>lab</name><os><type arch='x86_64' machine='q35'>hvm</type></os>"
              + part
              + "</domain>";
      assertThat(domain).contains("vfio-user-pci", "memfd");
      assertThat(validate(domain)).as(domain).endsWith("validates");
    }
  }

  /** The judge refuses something. */
  @Test
  void shouldBeJudgedByTheSchema() throws Exception {
    assertThat(validate("<domain type='kvm'><name>a</name><hostdev/></domain>"))
        .doesNotEndWith(" validates");
  }
}
