// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.sysfs;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.ErrnoNames;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * The kernel's uevents as they come, by netlink. Only the kernel, and who administers the network
 * namespace, can send them. For one thread; {@link #close} may be another's.
 */
public final class KernelEvents implements AutoCloseable {
  private static final Logger LOG = System.getLogger(KernelEvents.class.getName());

  /** The kernel writes 2 KiB of variables at most. */
  private static final int MOST = 8192;

  private static final int ADDRESS = 12;
  private static final int GROUPS = 8;

  /** The kernel's own group; what udev makes of it goes to another. */
  private static final int KERNEL = 1;

  /** More came than the socket holds: some are lost. */
  private static final int ENOBUFS = 105;

  private final Descriptor socket;

  private KernelEvents(Descriptor socket) {
    this.socket = socket;
  }

  /**
   * Those from now on.
   *
   * @throws SystemCallException where a sandbox, or a kernel, has no such socket
   */
  public static KernelEvents open(SystemCalls calls) {
    int type = Constants.SOCK_RAW | Constants.SOCK_CLOEXEC | Constants.SOCK_NONBLOCK;
    int fd = calls.socket(Constants.AF_NETLINK, type, Constants.NETLINK_KOBJECT_UEVENT);
    SystemCallException.check(fd, "socket for the kernel's events");
    Descriptor socket = new Descriptor(calls, fd, "the kernel's events");
    int result;
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = socket.use()) {
      MemorySegment address = arena.allocate(ADDRESS, Integer.BYTES);
      address.set(ValueLayout.JAVA_SHORT, 0, (short) Constants.AF_NETLINK);
      address.set(ValueLayout.JAVA_INT, GROUPS, KERNEL);
      result = calls.bind(use.number(), address, ADDRESS);
    }
    if (result < 0) {
      socket.close();
      throw new SystemCallException("bind for the kernel's events", -result);
    }
    return new KernelEvents(socket);
  }

  /** Can be read when something has come. It stays this object's. */
  public Descriptor descriptor() {
    return socket;
  }

  /** What has come of functions since the last of these. Does not wait. */
  public List<KernelEvent> take() {
    List<KernelEvent> events = new ArrayList<>();
    try (Arena arena = Arena.ofConfined();
        Descriptor.Use use = socket.use()) {
      MemorySegment buffer = arena.allocate(MOST);
      while (true) {
        long read = socket.calls().read(use.number(), buffer, MOST);
        if (read == -ErrnoNames.EAGAIN || read == 0) {
          return events;
        }
        if (read == -ENOBUFS) {
          LOG.log(Level.WARNING, "more came from the kernel than could be read: some is lost");
          continue;
        }
        if (read == -ErrnoNames.EINTR) {
          continue;
        }
        SystemCallException.check(read, "read of the kernel's events");
        byte[] message = buffer.asSlice(0, read).toArray(ValueLayout.JAVA_BYTE);
        KernelEvent.of(message).ifPresent(events::add);
      }
    }
  }

  @Override
  public void close() {
    socket.close();
  }
}
