// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.iommu.Kernels;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.Environment;

/** What of back end {@code kernel} can be watched on a machine without VFIO. */
class KernelEnvironmentTest {
  @TempDir private Path folder = Path.of("");

  @Test
  void shouldTakeTheNewestProfileThatIsNotNewer() {
    assertThat(Kernels.profile("6.1.0-56-amd64")).isEqualTo(KernelProfile.LINUX_6_1);
    assertThat(Kernels.profile("5.10.262")).isEqualTo(KernelProfile.LINUX_5_10);
    assertThat(Kernels.profile("6.8.0-generic")).isEqualTo(KernelProfile.LINUX_6_1);
    assertThat(Kernels.profile("6.12.9+deb13")).isEqualTo(KernelProfile.LINUX_6_12);
    assertThat(Kernels.profile("7.2.13")).isEqualTo(KernelProfile.LINUX_7_2);
    assertThatThrownBy(() -> Kernels.profile("none")).hasMessageContaining("none");
  }

  @Test
  void shouldOpenAndCloseOnlyItsOwnDescriptors() {
    try (KernelVfio vfio = new KernelVfio(SystemCalls.libc())) {
      int fd = vfio.open("/dev/null");
      assertThat(vfio.descriptors()).containsExactly(fd);
      assertThatThrownBy(() -> vfio.groupStatus(fd, 8)).hasMessageContaining("ENOTTY");
      vfio.close(fd);
      assertThatThrownBy(() -> vfio.close(fd)).hasMessageContaining("EBADF");
      assertThatThrownBy(() -> vfio.close(2)).hasMessageContaining("EBADF");
      assertThatThrownBy(() -> vfio.group("0000:ff:1f.7")).hasMessageContaining("ENOENT");
      assertThatThrownBy(() -> vfio.group("../x")).hasMessageContaining("ENOENT");
    }
  }

  @Test
  void shouldHaveABufferWithItsEndFenced() {
    try (KernelEnvironment environment = new KernelEnvironment(SystemCalls.libc())) {
      assertThat(environment.buffer() & 0xfff).isZero();
      assertThat(environment.peek(0)).containsOnly(Environment.BUFFER_FILL);
      environment.poke(0x1000, (byte) 7, 4);
      assertThat(environment.peek(0x1000)).containsOnly(7);
      assertThatThrownBy(() -> environment.peek(Environment.BUFFER_SIZE - 3))
          .isInstanceOf(VfioException.class)
          .hasMessageContaining("EFAULT");
      assertThat(environment.lockedKib()).isZero();
    }
  }

  @Test
  void shouldReadAndWriteFiles() throws Exception {
    Path file = Files.writeString(folder.resolve("file"), "a\nb\n");
    SysfsWrites sysfs = new SysfsWrites(SystemCalls.libc(), Duration.ofSeconds(10));
    assertThat(sysfs.read(file.toString())).containsExactly("a", "b");
    assertThat(sysfs.write(file.toString(), "c")).isTrue();
    assertThat(Files.readString(file)).startsWith("c");
    String missing = folder.resolve("missing").toString();
    assertThatThrownBy(() -> sysfs.read(missing)).hasMessageContaining("ENOENT");
    assertThatThrownBy(() -> sysfs.write(missing, "x")).hasMessageContaining("ENOENT");
  }

  /** Opening a pipe for writing waits for a reader, as some writes to sysfs wait for a user. */
  @Test
  void shouldNotWaitForAWriteThatIsHeldBack() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    SysfsWrites sysfs = new SysfsWrites(SystemCalls.libc(), Duration.ofMillis(50));
    assertThat(sysfs.write(pipe.toString(), "late")).isFalse();
    CountDownLatch read = new CountDownLatch(1);
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                assertThat(Files.readString(pipe)).isEqualTo("late");
                read.countDown();
              } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
              }
            });
    assertThat(read.await(10, TimeUnit.SECONDS)).isTrue();
    sysfs.settle();
  }
}
