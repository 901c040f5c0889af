// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.vfio.EngineVfio;
import org.vfio4j.vfio.Vfio;

/** B27: a file of sysfs that takes long keeps nobody waiting but who wants what it says. */
class SlowSysfsTest {
  private static final int TYPE1_V2 = 3;

  @TempDir Path folder;

  private FakeHost host;
  private LinuxMachine machine;
  private Path slow;

  @BeforeEach
  void boot() throws IOException {
    host = new FakeHost(folder);
    Sysfs sysfs = new Sysfs(host.sys());
    machine = new LinuxMachine(KernelProfile.LINUX_6_1, new LinuxIommu(host.kernel(), sysfs));
    Path parameters = host.sys().resolve("module/vfio_iommu_type1/parameters");
    Files.createDirectories(parameters);
    slow = parameters.resolve("dma_entry_limit");
  }

  private static <T> CompletableFuture<T> elsewhere(Callable<T> call) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              try {
                answer.complete(call.call());
              } catch (Exception | AssertionError failed) {
                answer.completeExceptionally(failed);
              }
            });
    return answer.orTimeout(60, TimeUnit.SECONDS);
  }

  /** Whoever reads the file now waits until something is written. */
  private void stall() throws IOException, InterruptedException {
    Files.deleteIfExists(slow);
    assertThat(new ProcessBuilder("mkfifo", slow.toString()).start().waitFor()).isZero();
  }

  private boolean use(EngineVfio vm, int container, int group, int device) {
    try (MappedMemory buffer = MappedMemory.anonymous(host.kernel(), 4096)) {
      vm.map(container, Vfio.MapRequest.of(buffer.address(), 0, 4096));
      assertThat(vm.info(container, 4096).pageSizes()).isNotZero();
      vm.unmap(container, Vfio.UnmapRequest.of(0, 4096));
    }
    vm.deviceInfo(device);
    vm.close(device);
    vm.close(group);
    return vm.container() > 0;
  }

  @Test
  void shouldGoOnWhileSysfsIsReadForAnotherVm() throws IOException, InterruptedException {
    EngineVfio vm = machine.process("vm");
    int container = vm.container();
    int group = vm.group(FakeHost.A);
    vm.setContainer(group, container);
    vm.setIommu(container, TYPE1_V2);
    int device = vm.deviceFd(group, Optional.of(FakeHost.A));
    EngineVfio other = machine.process("other");
    stall();
    CompletableFuture<Integer> open = elsewhere(() -> other.group(FakeHost.B));
    try (OutputStream answer = elsewhere(() -> Files.newOutputStream(slow)).join()) {
      assertThat(elsewhere(() -> use(vm, container, group, device)).join()).isTrue();
      assertThat(open).as("the open that reads").isNotDone();
      answer.write("65535\n".getBytes(StandardCharsets.US_ASCII));
    }
    assertThat(open.join()).isPositive();
    vm.close();
    other.close();
    host.shouldBeAsNew();
  }
}
