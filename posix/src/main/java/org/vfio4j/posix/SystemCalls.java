// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import java.lang.foreign.MemorySegment;

/**
 * The system calls this project makes, one method each. A result below zero is {@code -errno}, as
 * the kernel itself returns it; nothing is retried and nothing is thrown. Calls may block. Every
 * segment is off-heap. Thread-safe.
 *
 * <p>An interface, so that tests can count the calls and have each of them fail.
 */
public interface SystemCalls {
  /** Those of the C library of this process. */
  static SystemCalls libc() {
    return Libc.INSTANCE;
  }

  /**
   * {@code open(2)}.
   *
   * @param path ends with a zero byte
   * @param flags {@link Constants}' {@code O_}
   * @param mode permissions of a file it creates
   * @return a descriptor
   */
  int open(MemorySegment path, int flags, int mode);

  /** {@code close(2)}. The descriptor is gone whatever the answer is: never call it twice. */
  int close(int fd);

  /** {@code ioctl(2)} with an integer argument; returns what the driver returns. */
  int ioctl(int fd, int request, long argument);

  /** {@code ioctl(2)} with a pointer. */
  default int ioctl(int fd, int request, MemorySegment argument) {
    return ioctl(fd, request, argument.address());
  }

  /** {@code read(2)}: bytes read; 0 at the end. */
  long read(int fd, MemorySegment buffer, long count);

  /** {@code write(2)}: bytes written. */
  long write(int fd, MemorySegment buffer, long count);

  /** {@code pread(2)}: bytes read from an offset. */
  long pread(int fd, MemorySegment buffer, long count, long offset);

  /** {@code pwrite(2)}: bytes written at an offset. */
  long pwrite(int fd, MemorySegment buffer, long count, long offset);

  /** {@code mmap(2)}: the address; addresses of user space are above zero. */
  long mmap(long address, long length, int protection, int flags, int fd, long offset);

  /** {@code munmap(2)}. */
  int munmap(long address, long length);

  /** {@code madvise(2)}. */
  int madvise(long address, long length, int advice);

  /** {@code flock(2)}. */
  int flock(int fd, int operation);

  /**
   * {@code io_setup(2)}: a context of asynchronous I/O.
   *
   * @param context 8 bytes, zero; the context's number is written there
   */
  int ioSetup(int events, MemorySegment context);

  /**
   * {@code io_submit(2)} of one request: 1 if it was taken.
   *
   * @param request pointer to a {@code struct iocb} of 64 bytes
   */
  int ioSubmit(long context, MemorySegment request);

  /**
   * {@code io_getevents(2)}: how many requests are done, and forgets them. Does not wait.
   *
   * @param events {@code struct io_event} of 32 bytes each
   * @param timeout {@code struct timespec} of zero
   */
  int ioGetEvents(long context, int most, MemorySegment events, MemorySegment timeout);

  /** {@code memfd_create(2)}: a file that is memory only. */
  int memfdCreate(MemorySegment name, int flags);

  /** {@code ftruncate(2)}: sets the length of a file, in bytes. */
  int ftruncate(int fd, long length);

  /**
   * {@code statx(2)}: what is known of a file.
   *
   * @param path relative to {@code folder}; ends with a zero byte
   * @param status {@code struct statx} of 256 bytes
   */
  int statx(int folder, MemorySegment path, int flags, int mask, MemorySegment status);

  /** {@code fstatfs(2)}: the file system of a file; {@code struct statfs} of 120 bytes. */
  int fstatfs(int fd, MemorySegment status);

  /**
   * {@code process_vm_readv(2)} of one range: bytes read. Memory that is not there ends the call
   * with a short count or EFAULT, where an access would end in a signal.
   *
   * @param local one {@code struct iovec} of 16 bytes
   * @param remote one {@code struct iovec} of 16 bytes
   */
  long processVmRead(int pid, MemorySegment local, MemorySegment remote);

  /** {@code process_vm_writev(2)} of one range: bytes written; see {@link #processVmRead}. */
  long processVmWrite(int pid, MemorySegment local, MemorySegment remote);

  /** {@code pipe2(2)}; writes two descriptors of 4 bytes, to read from and to write to. */
  int pipe(MemorySegment pair, int flags);

  /** {@code splice(2)} from a pipe to a socket: bytes that have left the one for the other. */
  long splice(int from, int to, long length, int flags);

  /** {@code lseek(2)}: the new offset. */
  long lseek(int fd, long offset, int whence);

  /** {@code eventfd(2)}. */
  int eventfd(int initial, int flags);

  /**
   * {@code poll(2)}: descriptors that are ready.
   *
   * @param fds {@code struct pollfd} of 8 bytes each
   * @param timeoutMillis -1 waits for ever
   */
  int poll(MemorySegment fds, int count, int timeoutMillis);

  /** {@code fcntl(2)} with an integer argument. */
  int fcntl(int fd, int command, long argument);

  /** {@code socket(2)}. */
  int socket(int domain, int type, int protocol);

  /** {@code socketpair(2)}; writes two descriptors of 4 bytes. */
  int socketpair(int domain, int type, int protocol, MemorySegment pair);

  /** {@code bind(2)}. */
  int bind(int fd, MemorySegment address, int length);

  /** {@code listen(2)}. */
  int listen(int fd, int backlog);

  /** {@code accept4(2)}, without the peer's address. */
  int accept(int fd, int flags);

  /** {@code connect(2)}. */
  int connect(int fd, MemorySegment address, int length);

  /** {@code shutdown(2)}. */
  int shutdown(int fd, int how);

  /** {@code getsockopt(2)}. */
  int getsockopt(int fd, int level, int option, MemorySegment value, MemorySegment length);

  /** {@code send(2)}: bytes sent from an address. */
  long send(int fd, long address, long length, int flags);

  /** {@code sendmsg(2)}: bytes sent. */
  long sendmsg(int fd, MemorySegment message, int flags);

  /** {@code recvmsg(2)}: bytes received; 0 when the peer has closed. */
  long recvmsg(int fd, MemorySegment message, int flags);

  /** {@code prlimit(2)} of this process; a null pointer leaves out what is not wanted. */
  int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit);

  /** {@code capget(2)} of this thread: header of 8 bytes, data of two times 12. */
  int capget(MemorySegment header, MemorySegment data);

  /** {@code capset(2)} of this thread. */
  int capset(MemorySegment header, MemorySegment data);
}
