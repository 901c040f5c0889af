// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import java.lang.foreign.MemorySegment;
import org.vfio4j.linux.posix.SystemCalls;

/**
 * The real system calls, of which one fails without being made. Calls that give something back
 * ({@code close}, {@code munmap}) are not among those that fail: their answer changes nothing.
 * Counts what is mapped.
 */
final class OneFailingCall implements SystemCalls {
  private final SystemCalls real = SystemCalls.libc();
  private final int failing;
  private final int errno;
  private int made;
  private String failed = "nothing";
  private int mappings;

  /**
   * The calls.
   *
   * @param failing which one fails, from 1; 0 for none
   * @param errno what it answers, positive
   */
  OneFailingCall(int failing, int errno) {
    this.failing = failing;
    this.errno = errno;
  }

  /** How many calls there were that could have failed. */
  int made() {
    return made;
  }

  /** The call that failed. */
  String failed() {
    return failed;
  }

  /** How many mappings of memory there are. */
  int mappings() {
    return mappings;
  }

  private boolean fails(String call) {
    made++;
    if (made == failing) {
      failed = call;
      return true;
    }
    return false;
  }

  @Override
  public int open(MemorySegment path, int flags, int mode) {
    return fails("open") ? -errno : real.open(path, flags, mode);
  }

  @Override
  public int close(int fd) {
    return real.close(fd);
  }

  @Override
  public int ioctl(int fd, int request, long argument) {
    return fails("ioctl 0x%x".formatted(request)) ? -errno : real.ioctl(fd, request, argument);
  }

  @Override
  public long read(int fd, MemorySegment buffer, long count) {
    return fails("read") ? -errno : real.read(fd, buffer, count);
  }

  @Override
  public long write(int fd, MemorySegment buffer, long count) {
    return fails("write") ? -errno : real.write(fd, buffer, count);
  }

  @Override
  public long pread(int fd, MemorySegment buffer, long count, long offset) {
    return fails("pread") ? -errno : real.pread(fd, buffer, count, offset);
  }

  @Override
  public long pwrite(int fd, MemorySegment buffer, long count, long offset) {
    return fails("pwrite") ? -errno : real.pwrite(fd, buffer, count, offset);
  }

  @Override
  public long mmap(long address, long length, int protection, int flags, int fd, long offset) {
    if (fails("mmap")) {
      return -errno;
    }
    long mapped = real.mmap(address, length, protection, flags, fd, offset);
    mappings += mapped > 0 ? 1 : 0;
    return mapped;
  }

  @Override
  public int munmap(long address, long length) {
    mappings--;
    return real.munmap(address, length);
  }

  @Override
  public int memfdCreate(MemorySegment name, int flags) {
    return fails("memfdCreate") ? -errno : real.memfdCreate(name, flags);
  }

  @Override
  public int ftruncate(int fd, long length) {
    return fails("ftruncate") ? -errno : real.ftruncate(fd, length);
  }

  @Override
  public long lseek(int fd, long offset, int whence) {
    return fails("lseek") ? -errno : real.lseek(fd, offset, whence);
  }

  @Override
  public int eventfd(int initial, int flags) {
    return fails("eventfd") ? -errno : real.eventfd(initial, flags);
  }

  @Override
  public int poll(MemorySegment fds, int count, int timeoutMillis) {
    return fails("poll") ? -errno : real.poll(fds, count, timeoutMillis);
  }

  @Override
  public int fcntl(int fd, int command, long argument) {
    return fails("fcntl") ? -errno : real.fcntl(fd, command, argument);
  }

  @Override
  public int socket(int domain, int type, int protocol) {
    return fails("socket") ? -errno : real.socket(domain, type, protocol);
  }

  @Override
  public int socketpair(int domain, int type, int protocol, MemorySegment pair) {
    return fails("socketpair") ? -errno : real.socketpair(domain, type, protocol, pair);
  }

  @Override
  public int bind(int fd, MemorySegment address, int length) {
    return fails("bind") ? -errno : real.bind(fd, address, length);
  }

  @Override
  public int listen(int fd, int backlog) {
    return fails("listen") ? -errno : real.listen(fd, backlog);
  }

  @Override
  public int accept(int fd, int flags) {
    return fails("accept") ? -errno : real.accept(fd, flags);
  }

  @Override
  public int connect(int fd, MemorySegment address, int length) {
    return fails("connect") ? -errno : real.connect(fd, address, length);
  }

  @Override
  public int shutdown(int fd, int how) {
    return fails("shutdown") ? -errno : real.shutdown(fd, how);
  }

  @Override
  public int getsockopt(int fd, int level, int option, MemorySegment value, MemorySegment length) {
    return fails("getsockopt") ? -errno : real.getsockopt(fd, level, option, value, length);
  }

  @Override
  public long sendmsg(int fd, MemorySegment message, int flags) {
    return fails("sendmsg") ? -errno : real.sendmsg(fd, message, flags);
  }

  @Override
  public long recvmsg(int fd, MemorySegment message, int flags) {
    return fails("recvmsg") ? -errno : real.recvmsg(fd, message, flags);
  }

  @Override
  public int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit) {
    return fails("prlimit") ? -errno : real.prlimit(resource, newLimit, oldLimit);
  }

  @Override
  public int capget(MemorySegment header, MemorySegment data) {
    return fails("capget") ? -errno : real.capget(header, data);
  }

  @Override
  public int capset(MemorySegment header, MemorySegment data) {
    return fails("capset") ? -errno : real.capset(header, data);
  }
}
