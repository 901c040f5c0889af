// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.vfio4j.error.Errno;
import org.vfio4j.linux.uapi.Ioctls;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.posix.testing.MortalCalls;

/**
 * The system calls of a process of which one fails, by its kind and by how many of that kind there
 * were since {@link #begin}: so the same one fails again whatever the threads do. The thread that
 * writes down that the process lives does so when it is time, and is left alone; so are calls that
 * cannot fail, and those that wait.
 */
final class FaultyCalls extends MortalCalls {
  private static final int ENOBUFS = 105;

  private static final Map<String, List<Integer>> ERRORS =
      Map.ofEntries(
          Map.entry("open", List.of(errno(Errno.EMFILE), errno(Errno.ENOMEM))),
          Map.entry("close", List.of(errno(Errno.EIO), errno(Errno.EINTR))),
          Map.entry("mmap", List.of(errno(Errno.ENOMEM))),
          Map.entry("munmap", List.of(errno(Errno.ENOMEM))),
          Map.entry("madvise", List.of(errno(Errno.ENOMEM))),
          Map.entry("memfdCreate", List.of(errno(Errno.EMFILE), errno(Errno.ENOMEM))),
          Map.entry("ftruncate", List.of(errno(Errno.EINTR), errno(Errno.ENOMEM))),
          Map.entry("statx", List.of(errno(Errno.ENOMEM))),
          Map.entry("fcntl", List.of(errno(Errno.EMFILE))),
          Map.entry("accept", List.of(errno(Errno.EMFILE), errno(Errno.EINTR))),
          Map.entry("getsockopt", List.of(ENOBUFS)),
          Map.entry("recvmsg", List.of(errno(Errno.EINTR), errno(Errno.ENOMEM))),
          Map.entry("send", List.of(errno(Errno.EINTR), ENOBUFS)),
          Map.entry("sendmsg", List.of(errno(Errno.EINTR), ENOBUFS)),
          Map.entry("pread", List.of(errno(Errno.EIO), errno(Errno.EINTR))),
          Map.entry("pwrite", List.of(errno(Errno.EIO), errno(Errno.ENOSPC))),
          Map.entry("socket", List.of(errno(Errno.EMFILE))),
          Map.entry("bind", List.of(errno(Errno.ENOMEM))),
          Map.entry("listen", List.of(errno(Errno.ENOMEM))),
          Map.entry("flock", List.of(errno(Errno.EINTR), errno(Errno.ENOMEM))),
          Map.entry("keep", List.of(errno(Errno.ENOSPC))));

  private static final Map<Integer, List<Integer>> OF_REQUESTS =
      Map.of(
          Ioctls.VFIO_GROUP_SET_CONTAINER, List.of(errno(Errno.EPERM), errno(Errno.ENOMEM)),
          Ioctls.VFIO_GROUP_UNSET_CONTAINER, List.of(errno(Errno.EINTR), errno(Errno.EINVAL)),
          Ioctls.VFIO_SET_IOMMU, List.of(errno(Errno.EBUSY), errno(Errno.ENOMEM)),
          Ioctls.VFIO_GROUP_GET_DEVICE_FD, List.of(errno(Errno.EMFILE), errno(Errno.EIO)),
          Ioctls.VFIO_DEVICE_SET_IRQS, List.of(errno(Errno.ENOMEM)),
          Ioctls.VFIO_IOMMU_MAP_DMA, List.of(errno(Errno.ENOMEM), errno(Errno.EFAULT)),
          Ioctls.VFIO_IOMMU_UNMAP_DMA, List.of(errno(Errno.EFAULT), errno(Errno.EINTR)));

  private static final List<Integer> OTHERWISE = List.of(errno(Errno.ENOMEM));

  private static final Set<Integer> NEVER_FAIL =
      Set.of(Ioctls.VFIO_CHECK_EXTENSION, Ioctls.VFIO_GET_API_VERSION, 0x541B);

  /**
   * What is to fail.
   *
   * @param kind a call's name, of an ioctl with its request
   * @param number the first is 1
   * @param times how many fail, one after the other
   */
  record Fault(String kind, int number, int errno, int times) {
    static final Fault NONE = new Fault("", 0, 0, 0);

    boolean hits(String made, int nth) {
      return made.equals(kind) && nth >= number && nth < number + times;
    }
  }

  private final Map<String, Integer> made = new TreeMap<>();
  private Fault fault = Fault.NONE;
  private boolean hit;
  private long total;

  /** A process that lives until it is killed. */
  FaultyCalls(SystemCalls kernel) {
    super(kernel, Long.MAX_VALUE);
  }

  private static int errno(Errno errno) {
    return errno.number();
  }

  /**
   * A fault among calls as some were made before.
   *
   * @param persistent whether a write may fail as often as it is tried
   */
  static Fault draw(Map<String, Integer> like, boolean persistent, Random random) {
    List<String> kinds = List.copyOf(like.keySet());
    String kind = kinds.get(random.nextInt(kinds.size()));
    int number = 1 + random.nextInt(like.getOrDefault(kind, 1));
    List<Integer> errors =
        kind.startsWith("ioctl")
            ? OF_REQUESTS.getOrDefault(Integer.decode(kind.substring(6)), OTHERWISE)
            : ERRORS.getOrDefault(kind, OTHERWISE);
    int times = persistent && kind.equals("pwrite") && random.nextBoolean() ? 3 : 1;
    return new Fault(kind, number, errors.get(random.nextInt(errors.size())), times);
  }

  /** Counts anew, and has one call fail. */
  synchronized void begin(Fault next) {
    made.clear();
    fault = next;
    hit = false;
  }

  /** Nothing fails any more; whether something has. */
  synchronized boolean end() {
    fault = Fault.NONE;
    return hit;
  }

  /** How many calls of each kind could have failed since {@link #begin}. */
  synchronized Map<String, Integer> made() {
    return new TreeMap<>(made);
  }

  /** All calls there ever were. */
  synchronized long total() {
    return total;
  }

  @Override
  protected boolean opens(int request) {
    return request == Ioctls.VFIO_GROUP_GET_DEVICE_FD;
  }

  @Override
  protected int before(String call, int request) {
    int dead = super.before(call, request);
    boolean own = Thread.currentThread().getName().startsWith("broker asks");
    boolean fails = call.equals("ioctl") ? !NEVER_FAIL.contains(request) : ERRORS.containsKey(call);
    synchronized (this) {
      total++;
      if (dead < 0 || own || !fails) {
        return dead;
      }
      String kind = call.equals("ioctl") ? "ioctl 0x%x".formatted(request) : call;
      boolean now = fault.hits(kind, made.merge(kind, 1, Integer::sum));
      hit |= now;
      return now ? -fault.errno : 0;
    }
  }

  /** Calls of each kind that there are in either. */
  static Map<String, Integer> most(Map<String, Integer> one, Map<String, Integer> other) {
    Map<String, Integer> most = new HashMap<>(one);
    other.forEach((kind, n) -> most.merge(kind, n, Math::max));
    return new TreeMap<>(most);
  }
}
