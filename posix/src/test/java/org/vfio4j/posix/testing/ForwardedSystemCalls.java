// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import java.lang.foreign.MemorySegment;
import org.vfio4j.posix.SystemCalls;

/** System calls that go on to others unless a subclass answers them itself. */
public abstract class ForwardedSystemCalls implements SystemCalls {
  private final SystemCalls calls;

  /** In front of those that do the work. */
  protected ForwardedSystemCalls(SystemCalls calls) {
    this.calls = calls;
  }

  @Override
  public int open(MemorySegment path, int flags, int mode) {
    return calls.open(path, flags, mode);
  }

  @Override
  public int close(int fd) {
    return calls.close(fd);
  }

  @Override
  public int ioctl(int fd, int request, long argument) {
    return calls.ioctl(fd, request, argument);
  }

  @Override
  public long read(int fd, MemorySegment buffer, long count) {
    return calls.read(fd, buffer, count);
  }

  @Override
  public long write(int fd, MemorySegment buffer, long count) {
    return calls.write(fd, buffer, count);
  }

  @Override
  public long pread(int fd, MemorySegment buffer, long count, long offset) {
    return calls.pread(fd, buffer, count, offset);
  }

  @Override
  public long pwrite(int fd, MemorySegment buffer, long count, long offset) {
    return calls.pwrite(fd, buffer, count, offset);
  }

  @Override
  public long mmap(long address, long length, int protection, int flags, int fd, long offset) {
    return calls.mmap(address, length, protection, flags, fd, offset);
  }

  @Override
  public int munmap(long address, long length) {
    return calls.munmap(address, length);
  }

  @Override
  public int memfdCreate(MemorySegment name, int flags) {
    return calls.memfdCreate(name, flags);
  }

  @Override
  public int ftruncate(int fd, long length) {
    return calls.ftruncate(fd, length);
  }

  @Override
  public long lseek(int fd, long offset, int whence) {
    return calls.lseek(fd, offset, whence);
  }

  @Override
  public int eventfd(int initial, int flags) {
    return calls.eventfd(initial, flags);
  }

  @Override
  public int poll(MemorySegment fds, int count, int timeoutMillis) {
    return calls.poll(fds, count, timeoutMillis);
  }

  @Override
  public int fcntl(int fd, int command, long argument) {
    return calls.fcntl(fd, command, argument);
  }

  @Override
  public int socket(int domain, int type, int protocol) {
    return calls.socket(domain, type, protocol);
  }

  @Override
  public int socketpair(int domain, int type, int protocol, MemorySegment pair) {
    return calls.socketpair(domain, type, protocol, pair);
  }

  @Override
  public int bind(int fd, MemorySegment address, int length) {
    return calls.bind(fd, address, length);
  }

  @Override
  public int listen(int fd, int backlog) {
    return calls.listen(fd, backlog);
  }

  @Override
  public int accept(int fd, int flags) {
    return calls.accept(fd, flags);
  }

  @Override
  public int connect(int fd, MemorySegment address, int length) {
    return calls.connect(fd, address, length);
  }

  @Override
  public int shutdown(int fd, int how) {
    return calls.shutdown(fd, how);
  }

  @Override
  public int getsockopt(int fd, int level, int option, MemorySegment value, MemorySegment length) {
    return calls.getsockopt(fd, level, option, value, length);
  }

  @Override
  public long send(int fd, long address, long length, int flags) {
    return calls.send(fd, address, length, flags);
  }

  @Override
  public long sendmsg(int fd, MemorySegment message, int flags) {
    return calls.sendmsg(fd, message, flags);
  }

  @Override
  public long recvmsg(int fd, MemorySegment message, int flags) {
    return calls.recvmsg(fd, message, flags);
  }

  @Override
  public int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit) {
    return calls.prlimit(resource, newLimit, oldLimit);
  }

  @Override
  public int capget(MemorySegment header, MemorySegment data) {
    return calls.capget(header, data);
  }

  @Override
  public int capset(MemorySegment header, MemorySegment data) {
    return calls.capset(header, data);
  }

  @Override
  public int statx(int folder, MemorySegment path, int flags, int mask, MemorySegment status) {
    return calls.statx(folder, path, flags, mask, status);
  }

  @Override
  public int fstatfs(int fd, MemorySegment status) {
    return calls.fstatfs(fd, status);
  }

  @Override
  public long processVmRead(int pid, MemorySegment local, MemorySegment remote) {
    return calls.processVmRead(pid, local, remote);
  }

  @Override
  public long processVmWrite(int pid, MemorySegment local, MemorySegment remote) {
    return calls.processVmWrite(pid, local, remote);
  }

  @Override
  public int flock(int fd, int operation) {
    return calls.flock(fd, operation);
  }
}
