// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import java.lang.foreign.MemorySegment;
import org.vfio4j.posix.SystemCalls;

/**
 * System calls with somebody in between who sees each of them and may have it fail. What gives
 * something back is done before it fails, as the kernel does it.
 */
public abstract class WatchedSystemCalls implements SystemCalls {
  private final SystemCalls calls;

  /** In front of those that do the work. */
  protected WatchedSystemCalls(SystemCalls calls) {
    this.calls = calls;
  }

  /**
   * Told before each call.
   *
   * @param call its name
   * @param request the request of an ioctl, else 0
   * @return 0, or below zero the {@code -errno} that it is to answer
   */
  protected abstract int before(String call, int request);

  @Override
  public final int open(MemorySegment path, int flags, int mode) {
    int refused = before("open", 0);
    return refused < 0 ? refused : calls.open(path, flags, mode);
  }

  @Override
  public final int close(int fd) {
    int refused = before("close", 0);
    int result = calls.close(fd);
    return refused < 0 ? refused : result;
  }

  @Override
  public final int ioctl(int fd, int request, long argument) {
    int refused = before("ioctl", request);
    return refused < 0 ? refused : calls.ioctl(fd, request, argument);
  }

  @Override
  public final long read(int fd, MemorySegment buffer, long count) {
    int refused = before("read", 0);
    return refused < 0 ? refused : calls.read(fd, buffer, count);
  }

  @Override
  public final long write(int fd, MemorySegment buffer, long count) {
    int refused = before("write", 0);
    return refused < 0 ? refused : calls.write(fd, buffer, count);
  }

  @Override
  public final long pread(int fd, MemorySegment buffer, long count, long offset) {
    int refused = before("pread", 0);
    return refused < 0 ? refused : calls.pread(fd, buffer, count, offset);
  }

  @Override
  public final long pwrite(int fd, MemorySegment buffer, long count, long offset) {
    int refused = before("pwrite", 0);
    return refused < 0 ? refused : calls.pwrite(fd, buffer, count, offset);
  }

  @Override
  public final long mmap(
      long address, long length, int protection, int flags, int fd, long offset) {
    int refused = before("mmap", 0);
    return refused < 0 ? refused : calls.mmap(address, length, protection, flags, fd, offset);
  }

  @Override
  public final int munmap(long address, long length) {
    int refused = before("munmap", 0);
    int result = calls.munmap(address, length);
    return refused < 0 ? refused : result;
  }

  @Override
  public final int memfdCreate(MemorySegment name, int flags) {
    int refused = before("memfdCreate", 0);
    return refused < 0 ? refused : calls.memfdCreate(name, flags);
  }

  @Override
  public final int ftruncate(int fd, long length) {
    int refused = before("ftruncate", 0);
    return refused < 0 ? refused : calls.ftruncate(fd, length);
  }

  @Override
  public final long lseek(int fd, long offset, int whence) {
    int refused = before("lseek", 0);
    return refused < 0 ? refused : calls.lseek(fd, offset, whence);
  }

  @Override
  public final int eventfd(int initial, int flags) {
    int refused = before("eventfd", 0);
    return refused < 0 ? refused : calls.eventfd(initial, flags);
  }

  @Override
  public final int poll(MemorySegment fds, int count, int timeoutMillis) {
    int refused = before("poll", 0);
    return refused < 0 ? refused : calls.poll(fds, count, timeoutMillis);
  }

  @Override
  public final int fcntl(int fd, int command, long argument) {
    int refused = before("fcntl", 0);
    return refused < 0 ? refused : calls.fcntl(fd, command, argument);
  }

  @Override
  public final int socket(int domain, int type, int protocol) {
    int refused = before("socket", 0);
    return refused < 0 ? refused : calls.socket(domain, type, protocol);
  }

  @Override
  public final int socketpair(int domain, int type, int protocol, MemorySegment pair) {
    int refused = before("socketpair", 0);
    return refused < 0 ? refused : calls.socketpair(domain, type, protocol, pair);
  }

  @Override
  public final int bind(int fd, MemorySegment address, int length) {
    int refused = before("bind", 0);
    return refused < 0 ? refused : calls.bind(fd, address, length);
  }

  @Override
  public final int listen(int fd, int backlog) {
    int refused = before("listen", 0);
    return refused < 0 ? refused : calls.listen(fd, backlog);
  }

  @Override
  public final int accept(int fd, int flags) {
    int refused = before("accept", 0);
    return refused < 0 ? refused : calls.accept(fd, flags);
  }

  @Override
  public final int connect(int fd, MemorySegment address, int length) {
    int refused = before("connect", 0);
    return refused < 0 ? refused : calls.connect(fd, address, length);
  }

  @Override
  public final int shutdown(int fd, int how) {
    int refused = before("shutdown", 0);
    return refused < 0 ? refused : calls.shutdown(fd, how);
  }

  @Override
  public final int getsockopt(
      int fd, int level, int option, MemorySegment value, MemorySegment length) {
    int refused = before("getsockopt", 0);
    return refused < 0 ? refused : calls.getsockopt(fd, level, option, value, length);
  }

  @Override
  public final long send(int fd, long address, long length, int flags) {
    int refused = before("send", 0);
    return refused < 0 ? refused : calls.send(fd, address, length, flags);
  }

  @Override
  public final long sendmsg(int fd, MemorySegment message, int flags) {
    int refused = before("sendmsg", 0);
    return refused < 0 ? refused : calls.sendmsg(fd, message, flags);
  }

  @Override
  public final long recvmsg(int fd, MemorySegment message, int flags) {
    int refused = before("recvmsg", 0);
    return refused < 0 ? refused : calls.recvmsg(fd, message, flags);
  }

  @Override
  public final int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit) {
    int refused = before("prlimit", 0);
    return refused < 0 ? refused : calls.prlimit(resource, newLimit, oldLimit);
  }

  @Override
  public final int capget(MemorySegment header, MemorySegment data) {
    int refused = before("capget", 0);
    return refused < 0 ? refused : calls.capget(header, data);
  }

  @Override
  public final int capset(MemorySegment header, MemorySegment data) {
    int refused = before("capset", 0);
    return refused < 0 ? refused : calls.capset(header, data);
  }

  @Override
  public final int statx(
      int folder, MemorySegment path, int flags, int mask, MemorySegment status) {
    int refused = before("statx", 0);
    return refused < 0 ? refused : calls.statx(folder, path, flags, mask, status);
  }

  @Override
  public final int fstatfs(int fd, MemorySegment status) {
    int refused = before("fstatfs", 0);
    return refused < 0 ? refused : calls.fstatfs(fd, status);
  }

  @Override
  public final long processVmRead(int pid, MemorySegment local, MemorySegment remote) {
    int refused = before("processVmRead", 0);
    return refused < 0 ? refused : calls.processVmRead(pid, local, remote);
  }

  @Override
  public final long processVmWrite(int pid, MemorySegment local, MemorySegment remote) {
    int refused = before("processVmWrite", 0);
    return refused < 0 ? refused : calls.processVmWrite(pid, local, remote);
  }
}
