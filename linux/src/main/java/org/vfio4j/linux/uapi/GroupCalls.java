// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import static org.vfio4j.linux.uapi.VfioConstants.VFIO_GROUP_FLAGS_CONTAINER_SET;
import static org.vfio4j.linux.uapi.VfioConstants.VFIO_GROUP_FLAGS_VIABLE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCalls;

/**
 * The calls of a group, {@code /dev/vfio/N}. Refusals are {@link org.vfio4j.error.VfioException}s
 * with the kernel's errno and change nothing. Thread-safe.
 */
public final class GroupCalls extends VfioFile {
  /** Takes a descriptor over. */
  public GroupCalls(Descriptor descriptor) {
    super(descriptor);
  }

  /**
   * Opens a group.
   *
   * @param id its number
   * @throws org.vfio4j.error.VfioException EBUSY if somebody has it open, ENOENT if no member has a
   *     VFIO driver, EACCES or EPERM for a user who may not
   */
  public static GroupCalls open(SystemCalls calls, int id) {
    String path = "/dev/vfio/" + id;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocateFrom(path);
      int fd;
      do {
        fd = calls.open(name, Constants.O_RDWR | Constants.O_CLOEXEC, 0);
      } while (fd == -ErrnoNames.EINTR);
      return new GroupCalls(new Descriptor(calls, KernelRefusal.check(fd, "open", path), path));
    }
  }

  /** VFIO_GROUP_GET_STATUS: {@code VFIO_GROUP_FLAGS_}. ENODEV once its last device is gone. */
  public int status() {
    try (Arena arena = Arena.ofConfined()) {
      Struct s = Struct.of(arena, Layouts.VFIO_GROUP_STATUS);
      s.u32("argsz", s.size());
      ioctl("VFIO_GROUP_GET_STATUS", Ioctls.VFIO_GROUP_GET_STATUS, s.memory());
      return s.u32("flags");
    }
  }

  /** Whether every member has a VFIO driver, none, or one that does no DMA. */
  public boolean viable() {
    return (status() & VFIO_GROUP_FLAGS_VIABLE) != 0;
  }

  /** Whether it is in a container. */
  public boolean inContainer() {
    return (status() & VFIO_GROUP_FLAGS_CONTAINER_SET) != 0;
  }

  /**
   * VFIO_GROUP_SET_CONTAINER. EPERM for a group that is not viable (5.19), EINVAL if it is in one,
   * EBUSY if somebody else holds its DMA; with a container that has its type set also what the
   * attach answers.
   */
  public void setContainer(ContainerCalls container) {
    int number = container.descriptor().enter();
    KernelRefusal.check(number, "VFIO_GROUP_SET_CONTAINER", container.descriptor().name());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment fd = arena.allocate(ValueLayout.JAVA_INT);
      fd.set(ValueLayout.JAVA_INT, 0, number);
      ioctl("VFIO_GROUP_SET_CONTAINER", Ioctls.VFIO_GROUP_SET_CONTAINER, fd);
    } finally {
      container.descriptor().leave();
    }
  }

  /** VFIO_GROUP_UNSET_CONTAINER. EINVAL without one, EBUSY while device descriptors are open. */
  public void unsetContainer() {
    ioctl("VFIO_GROUP_UNSET_CONTAINER", Ioctls.VFIO_GROUP_UNSET_CONTAINER, 0);
  }

  /**
   * VFIO_GROUP_GET_DEVICE_FD. ENODEV for a device that is not in the group or has no VFIO driver,
   * EINVAL while the group's container has no type, EACCES for a virtual function whose token is
   * missing.
   *
   * @param name a PCI address as in {@code 0000:02:01.0}, or the UUID of a mediated device
   */
  public DeviceCalls device(String name) {
    try (Arena arena = Arena.ofConfined()) {
      int fd =
          ioctl(
              "VFIO_GROUP_GET_DEVICE_FD",
              Ioctls.VFIO_GROUP_GET_DEVICE_FD,
              arena.allocateFrom(name));
      return new DeviceCalls(new Descriptor(calls(), fd, name));
    }
  }
}
