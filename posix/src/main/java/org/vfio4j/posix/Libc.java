// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * The system calls of the C library. Each leaves its errno in a segment that belongs to the calling
 * thread; it is read only after a failure, so that a call which succeeds allocates nothing.
 */
@SuppressWarnings("restricted")
final class Libc implements SystemCalls {
  static final Libc INSTANCE = new Libc();

  private static final Linker LINKER = Linker.nativeLinker();
  private static final Linker.Option CAPTURE = Linker.Option.captureCallState("errno");
  private static final MemoryLayout STATE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
  private static final ThreadLocal<MemorySegment> STATES =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(STATE));

  private static final MethodHandle OPEN =
      variadic("open", 2, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT);
  private static final MethodHandle CLOSE = function("close", JAVA_INT, JAVA_INT);
  private static final MethodHandle IOCTL =
      variadic("ioctl", 2, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle READ =
      function("read", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
  private static final MethodHandle WRITE =
      function("write", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
  private static final MethodHandle PREAD =
      function("pread", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle PWRITE =
      function("pwrite", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle MMAP =
      function("mmap", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle MUNMAP = function("munmap", JAVA_INT, JAVA_LONG, JAVA_LONG);
  private static final MethodHandle MADVISE =
      function("madvise", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
  private static final MethodHandle FLOCK = function("flock", JAVA_INT, JAVA_INT, JAVA_INT);

  /** The C library has no functions for asynchronous I/O of the kernel's. */
  private static final MethodHandle SYSCALL =
      variadic("syscall", 1, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS);

  private static final MethodHandle SYSCALL_EVENTS =
      variadic(
          "syscall", 1, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS);

  private static final MethodHandle SYSCALL_SUBMIT =
      variadic("syscall", 1, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS);

  private static final boolean ARM = System.getProperty("os.arch").equals("aarch64");
  private static final long SYS_IO_SETUP = ARM ? 0 : 206;
  private static final long SYS_IO_GETEVENTS = ARM ? 4 : 208;
  private static final long SYS_IO_SUBMIT = ARM ? 2 : 209;

  private static final MethodHandle MEMFD_CREATE =
      function("memfd_create", JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle FTRUNCATE =
      function("ftruncate", JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle STATX =
      function("statx", JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle FSTATFS = function("fstatfs", JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle PROCESS_VM_READV = processVm("process_vm_readv");
  private static final MethodHandle PROCESS_VM_WRITEV = processVm("process_vm_writev");
  private static final MethodHandle LSEEK =
      function("lseek", JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT);
  private static final MethodHandle PIPE2 = function("pipe2", JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle SPLICE =
      function("splice", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT);
  private static final MethodHandle EVENTFD = function("eventfd", JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle POLL = function("poll", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT);
  private static final MethodHandle FCNTL =
      variadic("fcntl", 2, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG);
  private static final MethodHandle SOCKET =
      function("socket", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle SOCKETPAIR =
      function("socketpair", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle BIND = function("bind", JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle LISTEN = function("listen", JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle ACCEPT4 =
      function("accept4", JAVA_INT, JAVA_INT, ADDRESS, ADDRESS, JAVA_INT);
  private static final MethodHandle CONNECT =
      function("connect", JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle SHUTDOWN = function("shutdown", JAVA_INT, JAVA_INT, JAVA_INT);
  private static final MethodHandle GETSOCKOPT =
      function("getsockopt", JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle SEND =
      function("send", JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT);
  private static final MethodHandle SENDMSG =
      function("sendmsg", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle RECVMSG =
      function("recvmsg", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle PRLIMIT =
      function("prlimit", JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle CAPGET = function("capget", JAVA_INT, ADDRESS, ADDRESS);
  private static final MethodHandle CAPSET = function("capset", JAVA_INT, ADDRESS, ADDRESS);

  private Libc() {}

  private static MethodHandle function(String name, ValueLayout result, MemoryLayout... arguments) {
    return bind(name, FunctionDescriptor.of(result, arguments), CAPTURE);
  }

  private static MethodHandle processVm(String name) {
    return function(name, JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
  }

  /** The first {@code fixed} arguments are declared, the others are C's "...". */
  private static MethodHandle variadic(
      String name, int fixed, ValueLayout result, MemoryLayout... arguments) {
    return bind(
        name,
        FunctionDescriptor.of(result, arguments),
        CAPTURE,
        Linker.Option.firstVariadicArg(fixed));
  }

  private static MethodHandle bind(
      String name, FunctionDescriptor descriptor, Linker.Option... options) {
    MemorySegment symbol =
        LINKER
            .defaultLookup()
            .find(name)
            .orElseThrow(() -> new UnsupportedOperationException("the C library has no " + name));
    return LINKER.downcallHandle(symbol, descriptor, options);
  }

  private static int checked(int result, MemorySegment state) {
    return result == -1 ? -(int) ERRNO.get(state, 0L) : result;
  }

  private static long checked(long result, MemorySegment state) {
    return result == -1 ? -(int) ERRNO.get(state, 0L) : result;
  }

  /** What a handle throws itself: a closed arena, or a signature that is a bug of this class. */
  private static RuntimeException unchecked(Throwable t) {
    if (t instanceof Error e) {
      throw e;
    }
    return t instanceof RuntimeException r ? r : new IllegalStateException(t);
  }

  @Override
  public int open(MemorySegment path, int flags, int mode) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) OPEN.invokeExact(state, path, flags, mode), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int close(int fd) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) CLOSE.invokeExact(state, fd), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int ioctl(int fd, int request, long argument) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) IOCTL.invokeExact(state, fd, (long) request, argument), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long read(int fd, MemorySegment buffer, long count) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) READ.invokeExact(state, fd, buffer, count), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long write(int fd, MemorySegment buffer, long count) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) WRITE.invokeExact(state, fd, buffer, count), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long pread(int fd, MemorySegment buffer, long count, long offset) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) PREAD.invokeExact(state, fd, buffer, count, offset), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long pwrite(int fd, MemorySegment buffer, long count, long offset) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) PWRITE.invokeExact(state, fd, buffer, count, offset), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long mmap(long address, long length, int protection, int flags, int fd, long offset) {
    MemorySegment state = STATES.get();
    try {
      return checked(
          (long) MMAP.invokeExact(state, address, length, protection, flags, fd, offset), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int munmap(long address, long length) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) MUNMAP.invokeExact(state, address, length), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int madvise(long address, long length, int advice) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) MADVISE.invokeExact(state, address, length, advice), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int flock(int fd, int operation) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) FLOCK.invokeExact(state, fd, operation), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int ioSetup(int events, MemorySegment context) {
    MemorySegment state = STATES.get();
    try {
      long result = (long) SYSCALL.invokeExact(state, SYS_IO_SETUP, (long) events, context);
      return (int) checked(result, state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int ioSubmit(long context, MemorySegment request) {
    MemorySegment state = STATES.get();
    try {
      long result = (long) SYSCALL_SUBMIT.invokeExact(state, SYS_IO_SUBMIT, context, 1L, request);
      return (int) checked(result, state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int ioGetEvents(long context, int most, MemorySegment events, MemorySegment timeout) {
    MemorySegment state = STATES.get();
    try {
      long result =
          (long)
              SYSCALL_EVENTS.invokeExact(
                  state, SYS_IO_GETEVENTS, context, 0L, (long) most, events, timeout);
      return (int) checked(result, state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int memfdCreate(MemorySegment name, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) MEMFD_CREATE.invokeExact(state, name, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int ftruncate(int fd, long length) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) FTRUNCATE.invokeExact(state, fd, length), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int statx(int folder, MemorySegment path, int flags, int mask, MemorySegment status) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) STATX.invokeExact(state, folder, path, flags, mask, status), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int fstatfs(int fd, MemorySegment status) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) FSTATFS.invokeExact(state, fd, status), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long processVmRead(int pid, MemorySegment local, MemorySegment remote) {
    MemorySegment state = STATES.get();
    try {
      return checked(
          (long) PROCESS_VM_READV.invokeExact(state, pid, local, 1L, remote, 1L, 0L), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long processVmWrite(int pid, MemorySegment local, MemorySegment remote) {
    MemorySegment state = STATES.get();
    try {
      return checked(
          (long) PROCESS_VM_WRITEV.invokeExact(state, pid, local, 1L, remote, 1L, 0L), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long lseek(int fd, long offset, int whence) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) LSEEK.invokeExact(state, fd, offset, whence), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int pipe(MemorySegment pair, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) PIPE2.invokeExact(state, pair, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long splice(int from, int to, long length, int flags) {
    MemorySegment state = STATES.get();
    MemorySegment none = MemorySegment.NULL;
    try {
      return checked((long) SPLICE.invokeExact(state, from, none, to, none, length, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int eventfd(int initial, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) EVENTFD.invokeExact(state, initial, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int poll(MemorySegment fds, int count, int timeoutMillis) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) POLL.invokeExact(state, fds, (long) count, timeoutMillis), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int fcntl(int fd, int command, long argument) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) FCNTL.invokeExact(state, fd, command, argument), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int socket(int domain, int type, int protocol) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) SOCKET.invokeExact(state, domain, type, protocol), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int socketpair(int domain, int type, int protocol, MemorySegment pair) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) SOCKETPAIR.invokeExact(state, domain, type, protocol, pair), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int bind(int fd, MemorySegment address, int length) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) BIND.invokeExact(state, fd, address, length), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int listen(int fd, int backlog) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) LISTEN.invokeExact(state, fd, backlog), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int accept(int fd, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked(
          (int) ACCEPT4.invokeExact(state, fd, MemorySegment.NULL, MemorySegment.NULL, flags),
          state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int connect(int fd, MemorySegment address, int length) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) CONNECT.invokeExact(state, fd, address, length), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int shutdown(int fd, int how) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) SHUTDOWN.invokeExact(state, fd, how), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int getsockopt(int fd, int level, int option, MemorySegment value, MemorySegment length) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) GETSOCKOPT.invokeExact(state, fd, level, option, value, length), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long send(int fd, long address, long length, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) SEND.invokeExact(state, fd, address, length, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long sendmsg(int fd, MemorySegment message, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) SENDMSG.invokeExact(state, fd, message, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public long recvmsg(int fd, MemorySegment message, int flags) {
    MemorySegment state = STATES.get();
    try {
      return checked((long) RECVMSG.invokeExact(state, fd, message, flags), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) PRLIMIT.invokeExact(state, 0, resource, newLimit, oldLimit), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int capget(MemorySegment header, MemorySegment data) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) CAPGET.invokeExact(state, header, data), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }

  @Override
  public int capset(MemorySegment header, MemorySegment data) {
    MemorySegment state = STATES.get();
    try {
      return checked((int) CAPSET.invokeExact(state, header, data), state);
    } catch (Throwable t) {
      throw unchecked(t);
    }
  }
}
