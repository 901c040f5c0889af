// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.spi.ToolProvider;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.EventFd;
import org.vfio4j.user.TestClassPath;

/** The example that the package's Javadoc shows works: it is this very file's neighbour. */
class ExampleTest {
  private static final Path DOCUMENTED =
      Path.of("src/main/java/org/vfio4j/user/device/package-info.java");
  private static final Path FOLDER = Path.of("src/test/java/org/vfio4j/user/device");
  private static final Path EXAMPLE = FOLDER.resolve("ChecksumDevice.java");

  @Test
  void shouldWorkAsItsRegistersSay() {
    try (Plugged p = new Plugged(ChecksumDevice.create());
        EventFd done = p.connect(Pci.MSIX, 0)) {
      p.memory.segment().asSlice(100, 5000).fill((byte) 42);
      CRC32C expected = new CRC32C();
      expected.update(p.memory.segment().asSlice(100, 5000).asByteBuffer());
      p.write(0, 0x00, 8, 100);
      p.write(0, 0x08, 4, 5000);
      Plugged.await(done);
      assertThat(p.read(0, 0x14, 4)).isEqualTo(2);
      assertThat(p.read(0, 0x10, 4)).isEqualTo(expected.getValue());
      p.write(0, 0x00, 8, Plugged.MEMORY - 1);
      p.write(0, 0x08, 4, 2);
      Plugged.await(done);
      assertThat(p.read(0, 0x14, 4)).as("a fault").isEqualTo(3);
    }
  }

  /** What is computed when a reset comes was once stored after it, with its interrupt. */
  @Test
  void shouldGiveUpWhatIsUnderWayAtAReset() {
    ChecksumDevice model = new ChecksumDevice();
    EmulatedDevice device =
        EmulatedDevice.builder(0x1234, 0xc0de)
            .classCode(0x120000)
            .bar(0, 0x1000)
            .msix(1, 0, 0x800, 0xc00)
            .express()
            .build(model);
    try (Plugged p = new Plugged(device);
        EventFd done = p.connect(Pci.MSIX, 0)) {
      // As long as this is held, the computation cannot end.
      synchronized (model) {
        model.write(0, 0x08, 4, 5000);
        model.reset();
      }
      // Waits for the computation's end.
      model.detached();
      assertThat(done.take()).as("interrupts").isZero();
    }
  }

  @Test
  void shouldBeWhatTheJavadocShows(@TempDir Path folder) throws Exception {
    StringWriter said = new StringWriter();
    int status =
        ToolProvider.findFirst("javadoc")
            .orElseThrow()
            .run(
                new PrintWriter(said),
                new PrintWriter(said),
                "-quiet",
                "-Xdoclint:none",
                "--ignore-source-errors",
                "-classpath",
                TestClassPath.all(),
                "-d",
                folder.toString(),
                "--snippet-path",
                FOLDER.toString(),
                DOCUMENTED.toString(),
                DOCUMENTED.resolveSibling("PciModel.java").toString());
    assertThat(status).as(said.toString()).isZero();
    String page = Files.readString(folder.resolve("org/vfio4j/user/device/package-summary.html"));
    String shown =
        page.replaceAll("<[^>]*>", "")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
    String code = Files.readString(EXAMPLE);
    int from = code.indexOf('\n', code.indexOf("// @start")) + 1;
    assertThat(shown.replaceAll("\\s+", " "))
        .contains(code.substring(from, code.indexOf("// @end")).strip().replaceAll("\\s+", " "));
  }
}
