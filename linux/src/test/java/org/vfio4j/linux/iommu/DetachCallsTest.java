// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCalls;

/** What a detach asks of the kernel (B29), here one that agrees to everything. */
class DetachCallsTest {
  private final List<String> asked = new ArrayList<>();
  private int opened = 1000;

  private final SystemCalls agreeing =
      (SystemCalls)
          Proxy.newProxyInstance(
              SystemCalls.class.getClassLoader(),
              new Class<?>[] {SystemCalls.class},
              (proxy, method, arguments) ->
                  switch (method.getName()) {
                    case "open" -> told("open", opened++);
                    case "close" -> told("close " + arguments[0], 0);
                    case "ioctl" -> told("ioctl 0x%x".formatted((int) arguments[1]), 0);
                    default -> throw new AssertionError("not expected: " + method);
                  });

  private int told(String call, int answer) {
    asked.add(call);
    return answer;
  }

  /**
   * It opened a container and entered it, only for the claim to be given back a moment later: four
   * calls too many.
   */
  @Test
  void shouldLeaveTheContainerAndNoMore() {
    LinuxGroup group =
        new LinuxGroup(
            7,
            new Sysfs(Path.of("/nowhere")),
            agreeing,
            file -> Optional.empty(),
            new KeptFiles(KeptDescriptors.NONE));
    LinuxDomain domain = new LinuxDomain(new ArrayList<>());
    group.claim();
    group.attach(domain);
    asked.clear();
    group.detach(domain);
    assertThat(asked)
        .containsExactly("ioctl 0x%x".formatted(Ioctls.VFIO_GROUP_UNSET_CONTAINER), "close 1000");
    asked.clear();
    group.unclaim();
    assertThat(asked).containsExactly("close 1001");
  }

  /** The claim is renewed by the attach itself, where somebody attaches again. */
  @Test
  void shouldAttachAgainAfterADetach() {
    LinuxGroup group =
        new LinuxGroup(
            7,
            new Sysfs(Path.of("/nowhere")),
            agreeing,
            file -> Optional.empty(),
            new KeptFiles(KeptDescriptors.NONE));
    group.claim();
    LinuxDomain first = new LinuxDomain(new ArrayList<>());
    group.attach(first);
    group.detach(first);
    asked.clear();
    LinuxDomain second = new LinuxDomain(new ArrayList<>());
    group.attach(second);
    assertThat(asked).contains("ioctl 0x%x".formatted(Ioctls.VFIO_GROUP_SET_CONTAINER));
    group.detach(second);
    group.unclaim();
    assertThat(asked).last().isEqualTo("close 1001");
  }
}
