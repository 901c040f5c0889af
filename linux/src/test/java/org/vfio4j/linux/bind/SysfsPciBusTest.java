// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.posix.SystemCalls;

/** Which driver a function has, by its link (B14). */
class SysfsPciBusTest {
  private static final String FUNCTION = "0000:01:00.0";

  @TempDir private Path pci = Path.of("");

  private SysfsPciBus bus() {
    return new SysfsPciBus(SystemCalls.libc(), pci);
  }

  private Path device() throws IOException {
    return Files.createDirectories(pci.resolve("devices").resolve(FUNCTION));
  }

  @Test
  void shouldFindNoDriverWhereThereIsNoLink() throws IOException {
    device();
    assertThat(bus().driver(FUNCTION)).isEmpty();
  }

  /** The link says who the driver is, whether or not its target can be looked at. */
  @Test
  void shouldNameTheDriverOfALinkThatLeadsNowhere() throws IOException {
    Files.createSymbolicLink(device().resolve("driver"), Path.of("../../drivers/nvme"));
    assertThat(bus().driver(FUNCTION)).contains("nvme");
  }

  @Test
  void shouldNotTakeWhatCannotBeReadForMissing() throws IOException {
    Files.createDirectories(pci.resolve("devices"));
    Files.writeString(pci.resolve("devices").resolve(FUNCTION), "no folder");
    assertThatExceptionOfType(UncheckedIOException.class).isThrownBy(() -> bus().driver(FUNCTION));
    Files.delete(pci.resolve("devices").resolve(FUNCTION));
    Files.writeString(device().resolve("driver"), "no link");
    assertThatExceptionOfType(UncheckedIOException.class).isThrownBy(() -> bus().driver(FUNCTION));
  }
}
