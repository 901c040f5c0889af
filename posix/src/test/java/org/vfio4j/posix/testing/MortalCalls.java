// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.SystemCalls;

/**
 * The system calls of a process that can be killed in front of any of them: whatever its threads do
 * afterwards reaches no kernel, and what it had open is closed, as the kernel does it.
 */
public class MortalCalls extends WatchedSystemCalls {
  private static final int NAP_MILLIS = 20;

  /** What a thread of a process that is dead meets at its next call. */
  public static final class Killed extends Error {
    private static final long serialVersionUID = 1L;

    Killed() {
      super("killed", null, false, false);
    }
  }

  private final SystemCalls kernel;
  private final Set<Integer> open = ConcurrentHashMap.newKeySet();
  private final Map<Long, Long> mapped = new ConcurrentHashMap<>();

  /** Threads that wait for a descriptor, and for which. */
  private final Map<Thread, Integer> waiting = new ConcurrentHashMap<>();

  private final AtomicLong left;
  private final AtomicLong replies = new AtomicLong(Long.MAX_VALUE);
  private final CountDownLatch death = new CountDownLatch(1);
  private int inside;

  /**
   * A process.
   *
   * @param life how many calls it makes before it is killed
   */
  public MortalCalls(SystemCalls kernel, long life) {
    super(kernel);
    this.kernel = kernel;
    left = new AtomicLong(life);
  }

  /**
   * The process sends so many replies, and is killed in front of the next: its client waits for it.
   */
  public void replies(long count) {
    replies.set(count);
  }

  private void reply() {
    if (replies.decrementAndGet() < 0) {
      kill();
    }
  }

  /** How many descriptors it has open. */
  public int open() {
    return open.size();
  }

  /** How many mappings of memory it has. */
  public int mappings() {
    return mapped.size();
  }

  /** Which of its threads wait in the kernel, and for which descriptor. */
  public Map<Thread, Integer> waiting() {
    return waiting;
  }

  /** Calls it could still make. */
  public long left() {
    return left.get();
  }

  public boolean dead() {
    return death.getCount() == 0;
  }

  /** Kills it now. */
  public void kill() {
    left.set(0);
    death.countDown();
  }

  /** Waits until it is killed; then nothing of it is left. */
  public void bury() throws InterruptedException {
    death.await();
    synchronized (this) {
      while (inside > 0) {
        wait();
      }
    }
    open.forEach(kernel::close);
    open.clear();
  }

  /**
   * Unmaps what it had mapped. Not when it dies: a kernel keeps the pages that devices reach, and a
   * fake one has only the process's addresses of them.
   */
  public void unmap() {
    mapped.forEach(kernel::munmap);
    mapped.clear();
  }

  /** One more call, of the kernel or of the store. */
  void step() {
    if (death.getCount() == 0) {
      throw new Killed();
    }
    if (left.decrementAndGet() < 0) {
      death.countDown();
      throw new Killed();
    }
  }

  @Override
  protected int before(String call, int request) {
    step();
    return 0;
  }

  /** A call that is being made when the process is killed is made to its end. */
  private interface Call {
    long make();
  }

  private long made(Call call) {
    synchronized (this) {
      if (death.getCount() == 0) {
        throw new Killed();
      }
      inside++;
    }
    try {
      return call.make();
    } finally {
      synchronized (this) {
        inside--;
        notifyAll();
      }
    }
  }

  private int opened(Call call) {
    return (int)
        made(
            () -> {
              long fd = call.make();
              if (fd >= 0) {
                open.add((int) fd);
              }
              return fd;
            });
  }

  /** Something was handed to this process. */
  int given(int fd) {
    open.add(fd);
    return fd;
  }

  @Override
  public int open(MemorySegment path, int flags, int mode) {
    return opened(() -> super.open(path, flags, mode));
  }

  @Override
  public int close(int fd) {
    return (int)
        made(
            () -> {
              int refused = before("close", 0);
              open.remove(fd);
              int result = kernel.close(fd);
              return refused < 0 ? refused : result;
            });
  }

  /** Whether an ioctl gives a descriptor. */
  protected boolean opens(int request) {
    return false;
  }

  @Override
  public int ioctl(int fd, int request, long argument) {
    return opens(request)
        ? opened(() -> super.ioctl(fd, request, argument))
        : (int) made(() -> super.ioctl(fd, request, argument));
  }

  @Override
  public long pwrite(int fd, MemorySegment buffer, long count, long offset) {
    return made(() -> super.pwrite(fd, buffer, count, offset));
  }

  @Override
  public long mmap(long address, long length, int protection, int flags, int fd, long offset) {
    return made(
        () -> {
          long at = super.mmap(address, length, protection, flags, fd, offset);
          if (at > 0) {
            mapped.put(at, length);
          }
          return at;
        });
  }

  @Override
  public int munmap(long address, long length) {
    return (int)
        made(
            () -> {
              int refused = before("munmap", 0);
              mapped.remove(address);
              int result = kernel.munmap(address, length);
              return refused < 0 ? refused : result;
            });
  }

  @Override
  public int memfdCreate(MemorySegment name, int flags) {
    return opened(() -> super.memfdCreate(name, flags));
  }

  @Override
  public int eventfd(int initial, int flags) {
    return opened(() -> super.eventfd(initial, flags));
  }

  @Override
  public int pipe(MemorySegment pair, int flags) {
    return (int)
        made(
            () -> {
              int result = super.pipe(pair, flags);
              if (result == 0) {
                open.add(pair.getAtIndex(ValueLayout.JAVA_INT, 0));
                open.add(pair.getAtIndex(ValueLayout.JAVA_INT, 1));
              }
              return result;
            });
  }

  @Override
  public long write(int fd, MemorySegment buffer, long count) {
    return made(() -> super.write(fd, buffer, count));
  }

  @Override
  public long splice(int from, int to, long length, int flags) {
    reply();
    return made(() -> super.splice(from, to, length, flags));
  }

  @Override
  public int ioSubmit(long context, MemorySegment request) {
    return (int) made(() -> super.ioSubmit(context, request));
  }

  @Override
  public int fcntl(int fd, int command, long argument) {
    return command == Constants.F_DUPFD_CLOEXEC
        ? opened(() -> super.fcntl(fd, command, argument))
        : (int) made(() -> super.fcntl(fd, command, argument));
  }

  @Override
  public int socket(int domain, int type, int protocol) {
    return opened(() -> super.socket(domain, type, protocol));
  }

  @Override
  public int accept(int fd, int flags) {
    await(fd);
    return opened(() -> super.accept(fd, flags));
  }

  @Override
  public long sendmsg(int fd, MemorySegment message, int flags) {
    reply();
    return made(() -> super.sendmsg(fd, message, flags));
  }

  @Override
  public long send(int fd, long address, long length, int flags) {
    reply();
    return made(() -> super.send(fd, address, length, flags));
  }

  @Override
  public long recvmsg(int fd, MemorySegment message, int flags) {
    await(fd);
    return made(
        () -> {
          long bytes = super.recvmsg(fd, message, flags);
          if (bytes > 0) {
            descriptors(message);
          }
          return bytes;
        });
  }

  /** A thread that waits must not be in the kernel when the next process waits there. */
  private void await(int fd) {
    waiting.put(Thread.currentThread(), fd);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment poll = arena.allocate(8, 4);
      poll.set(ValueLayout.JAVA_INT, 0, fd);
      poll.set(ValueLayout.JAVA_SHORT, 4, (short) Constants.POLLIN);
      while (kernel.poll(poll, 1, NAP_MILLIS) == 0) {
        if (dead()) {
          throw new Killed();
        }
      }
    } finally {
      waiting.remove(Thread.currentThread());
    }
  }

  @Override
  public int poll(MemorySegment fds, int count, int timeoutMillis) {
    step();
    if (timeoutMillis != 0) {
      waiting.put(Thread.currentThread(), fds.get(ValueLayout.JAVA_INT, 0));
    }
    try {
      return polled(fds, count, timeoutMillis);
    } finally {
      waiting.remove(Thread.currentThread());
    }
  }

  private int polled(MemorySegment fds, int count, int timeoutMillis) {
    int waited = 0;
    while (true) {
      int nap = timeoutMillis < 0 ? NAP_MILLIS : Math.min(NAP_MILLIS, timeoutMillis - waited);
      int ready = kernel.poll(fds, count, Math.max(nap, 0));
      waited += nap;
      if (ready != 0 || (timeoutMillis >= 0 && waited >= timeoutMillis)) {
        return ready;
      }
      if (dead()) {
        throw new Killed();
      }
    }
  }

  @SuppressWarnings("restricted")
  private void descriptors(MemorySegment message) {
    long length = message.get(ValueLayout.JAVA_LONG, 40);
    if (length < 16) {
      return;
    }
    MemorySegment control =
        MemorySegment.ofAddress(message.get(ValueLayout.JAVA_LONG, 32)).reinterpret(length);
    long size = control.get(ValueLayout.JAVA_LONG, 0);
    for (long at = 16; at + 4 <= size; at += 4) {
      open.add(control.get(ValueLayout.JAVA_INT, at));
    }
  }
}
