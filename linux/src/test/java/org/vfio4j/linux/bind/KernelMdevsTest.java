// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.bind.KernelMdevs.Setting;
import org.vfio4j.linux.bind.KernelMdevs.Wanted;
import org.vfio4j.posix.SystemCallException;

/** Mediated devices on a tree that answers as a kernel does. */
class KernelMdevsTest {
  private static final String GPU = "0000:01:00.0";
  private static final UUID ONE = UUID.fromString("c0ffee00-0000-4000-8000-000000000001");
  private static final int ENOSPC = 28;
  private static final int EINVAL = 22;

  @TempDir private Path sys;

  private final List<String> written = new ArrayList<>();
  private final List<String> users = new ArrayList<>();
  private int left = 1;
  private String refused = "";

  @BeforeEach
  void build() throws IOException {
    Files.createDirectories(sys.resolve("class/mdev_bus/" + GPU + "/mdev_supported_types/small"));
    Files.createDirectories(sys.resolve("bus/mdev/devices"));
  }

  /** The driver: one device, with a file for each attribute, until it is removed. */
  private void kernel(Path file, String text) {
    String name = file.getFileName().toString();
    written.add(name + "=" + text);
    try {
      switch (name) {
        case "create" -> {
          SystemCallException.check(left-- > 0 ? 0 : -ENOSPC, "write to " + file);
          Path device = Files.createDirectory(sys.resolve("bus/mdev/devices/" + text));
          Files.createSymbolicLink(device.resolve("iommu_group"), Path.of("/groups/9"));
        }
        case "remove" -> {
          Files.delete(file.resolveSibling("iommu_group"));
          Files.delete(file.getParent());
        }
        default -> SystemCallException.check(name.equals(refused) ? -EINVAL : 0, "write " + name);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private KernelMdevs mdevs() {
    return new KernelMdevs(
        this::kernel, sys, group -> group.equals("9") ? List.copyOf(users) : List.of());
  }

  private static Wanted wanted(String type, Setting... settings) {
    return new Wanted(GPU, type, ONE, List.of(settings));
  }

  @Test
  void shouldMakeADeviceAndThenWriteItsAttributesInOrder() {
    mdevs()
        .start(
            wanted("small", new Setting("a", "1"), new Setting("b/c", "2"), new Setting("a", "3")));
    assertThat(written).containsExactly("create=" + ONE, "a=1", "c=2", "a=3");
    assertThat(mdevs().isThere(ONE)).isTrue();
    mdevs().stop(ONE);
    assertThat(mdevs().isThere(ONE)).isFalse();
    assertThat(written).endsWith("remove=1");
    mdevs().stop(ONE);
  }

  @Test
  void shouldStopADeviceWhoseAttributeIsRefused() {
    refused = "b";
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(
            () ->
                mdevs()
                    .start(
                        wanted(
                            "small",
                            new Setting("a", "1"),
                            new Setting("b", "2"),
                            new Setting("c", "3"))))
        .withMessageContaining("attribute b of mdev " + ONE)
        .withMessageEndingWith("it is stopped again");
    assertThat(written).containsExactly("create=" + ONE, "a=1", "b=2", "remove=1");
  }

  @Test
  void shouldSayWhatIsLeftWhereTheKernelMakesNone() {
    left = 0;
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> mdevs().start(wanted("small")))
        .withMessageContaining("a small on " + GPU + ", is not made")
        .withMessageContaining("mdevctl types");
  }

  @Test
  void shouldRefuseBeforeAnythingIsWritten() {
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> mdevs().start(wanted("big")))
        .withMessageContaining("offers no type big, only small");
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> mdevs().start(new Wanted("matrix", "small", ONE, List.of())))
        .withMessageContaining("matrix offers no mediated devices");
    for (String name : List.of("../../x", "/etc/passwd", "a/../../b", "./a")) {
      assertThatExceptionOfType(BindingException.class)
          .isThrownBy(() -> mdevs().start(wanted("small", new Setting(name, "1"))))
          .withMessageContaining("is no file of it");
    }
    assertThat(written).isEmpty();
  }

  @Test
  void shouldRefuseWhatIsThereAlready() {
    mdevs().start(wanted("small"));
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> mdevs().start(wanted("small")))
        .withMessage("mdev %s is there already", ONE);
  }

  @Test
  void shouldNotWaitForWhoUsesIt() {
    mdevs().start(wanted("small"));
    users.add("812 (qemu-system-x86)");
    assertThatExceptionOfType(BindingException.class)
        .isThrownBy(() -> mdevs().stop(ONE))
        .withMessageContaining("in use by 812 (qemu-system-x86)");
    assertThat(written).doesNotContain("remove=1");
  }
}
