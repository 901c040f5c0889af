// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import java.lang.foreign.MemorySegment;
import org.vfio4j.posix.SystemCalls;

/**
 * System calls with somebody in between who sees each of them, may have it fail, or answers it
 * himself. What gives something back is done before it fails, as the kernel does it.
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
  protected int before(String call, int request) {
    return 0;
  }

  @Override
  public int open(MemorySegment path, int flags, int mode) {
    int refused = before("open", 0);
    return refused < 0 ? refused : calls.open(path, flags, mode);
  }

  @Override
  public int close(int fd) {
    int refused = before("close", 0);
    int result = calls.close(fd);
    return refused < 0 ? refused : result;
  }

  @Override
  public int ioctl(int fd, int request, long argument) {
    int refused = before("ioctl", request);
    return refused < 0 ? refused : calls.ioctl(fd, request, argument);
  }

  @Override
  public long read(int fd, MemorySegment buffer, long count) {
    int refused = before("read", 0);
    return refused < 0 ? refused : calls.read(fd, buffer, count);
  }

  @Override
  public long write(int fd, MemorySegment buffer, long count) {
    int refused = before("write", 0);
    return refused < 0 ? refused : calls.write(fd, buffer, count);
  }

  @Override
  public long pread(int fd, MemorySegment buffer, long count, long offset) {
    int refused = before("pread", 0);
    return refused < 0 ? refused : calls.pread(fd, buffer, count, offset);
  }

  @Override
  public long pwrite(int fd, MemorySegment buffer, long count, long offset) {
    int refused = before("pwrite", 0);
    return refused < 0 ? refused : calls.pwrite(fd, buffer, count, offset);
  }

  @Override
  public long mmap(long address, long length, int protection, int flags, int fd, long offset) {
    int refused = before("mmap", 0);
    return refused < 0 ? refused : calls.mmap(address, length, protection, flags, fd, offset);
  }

  @Override
  public int munmap(long address, long length) {
    int refused = before("munmap", 0);
    int result = calls.munmap(address, length);
    return refused < 0 ? refused : result;
  }

  @Override
  public int madvise(long address, long length, int advice) {
    int refused = before("madvise", 0);
    return refused < 0 ? refused : calls.madvise(address, length, advice);
  }

  @Override
  public int flock(int fd, int operation) {
    int refused = before("flock", 0);
    return refused < 0 ? refused : calls.flock(fd, operation);
  }

  @Override
  public int ioSetup(int events, MemorySegment context) {
    int refused = before("ioSetup", 0);
    return refused < 0 ? refused : calls.ioSetup(events, context);
  }

  @Override
  public int ioSubmit(long context, MemorySegment request) {
    int refused = before("ioSubmit", 0);
    return refused < 0 ? refused : calls.ioSubmit(context, request);
  }

  @Override
  public int ioGetEvents(long context, int most, MemorySegment events, MemorySegment timeout) {
    int refused = before("ioGetEvents", 0);
    return refused < 0 ? refused : calls.ioGetEvents(context, most, events, timeout);
  }

  @Override
  public int memfdCreate(MemorySegment name, int flags) {
    int refused = before("memfdCreate", 0);
    return refused < 0 ? refused : calls.memfdCreate(name, flags);
  }

  @Override
  public int ftruncate(int fd, long length) {
    int refused = before("ftruncate", 0);
    return refused < 0 ? refused : calls.ftruncate(fd, length);
  }

  @Override
  public long lseek(int fd, long offset, int whence) {
    int refused = before("lseek", 0);
    return refused < 0 ? refused : calls.lseek(fd, offset, whence);
  }

  @Override
  public int pipe(MemorySegment pair, int flags) {
    int refused = before("pipe", 0);
    return refused < 0 ? refused : calls.pipe(pair, flags);
  }

  @Override
  public long splice(int from, int to, long length, int flags) {
    int refused = before("splice", 0);
    return refused < 0 ? refused : calls.splice(from, to, length, flags);
  }

  @Override
  public int eventfd(int initial, int flags) {
    int refused = before("eventfd", 0);
    return refused < 0 ? refused : calls.eventfd(initial, flags);
  }

  @Override
  public int poll(MemorySegment fds, int count, int timeoutMillis) {
    int refused = before("poll", 0);
    return refused < 0 ? refused : calls.poll(fds, count, timeoutMillis);
  }

  @Override
  public int fcntl(int fd, int command, long argument) {
    int refused = before("fcntl", 0);
    return refused < 0 ? refused : calls.fcntl(fd, command, argument);
  }

  @Override
  public int socket(int domain, int type, int protocol) {
    int refused = before("socket", 0);
    return refused < 0 ? refused : calls.socket(domain, type, protocol);
  }

  @Override
  public int socketpair(int domain, int type, int protocol, MemorySegment pair) {
    int refused = before("socketpair", 0);
    return refused < 0 ? refused : calls.socketpair(domain, type, protocol, pair);
  }

  @Override
  public int bind(int fd, MemorySegment address, int length) {
    int refused = before("bind", 0);
    return refused < 0 ? refused : calls.bind(fd, address, length);
  }

  @Override
  public int listen(int fd, int backlog) {
    int refused = before("listen", 0);
    return refused < 0 ? refused : calls.listen(fd, backlog);
  }

  @Override
  public int accept(int fd, int flags) {
    int refused = before("accept", 0);
    return refused < 0 ? refused : calls.accept(fd, flags);
  }

  @Override
  public int connect(int fd, MemorySegment address, int length) {
    int refused = before("connect", 0);
    return refused < 0 ? refused : calls.connect(fd, address, length);
  }

  @Override
  public int shutdown(int fd, int how) {
    int refused = before("shutdown", 0);
    return refused < 0 ? refused : calls.shutdown(fd, how);
  }

  @Override
  public int getsockopt(int fd, int level, int option, MemorySegment value, MemorySegment length) {
    int refused = before("getsockopt", 0);
    return refused < 0 ? refused : calls.getsockopt(fd, level, option, value, length);
  }

  @Override
  public long send(int fd, long address, long length, int flags) {
    int refused = before("send", 0);
    return refused < 0 ? refused : calls.send(fd, address, length, flags);
  }

  @Override
  public long sendmsg(int fd, MemorySegment message, int flags) {
    int refused = before("sendmsg", 0);
    return refused < 0 ? refused : calls.sendmsg(fd, message, flags);
  }

  @Override
  public long recvmsg(int fd, MemorySegment message, int flags) {
    int refused = before("recvmsg", 0);
    return refused < 0 ? refused : calls.recvmsg(fd, message, flags);
  }

  @Override
  public int prlimit(int resource, MemorySegment newLimit, MemorySegment oldLimit) {
    int refused = before("prlimit", 0);
    return refused < 0 ? refused : calls.prlimit(resource, newLimit, oldLimit);
  }

  @Override
  public int capget(MemorySegment header, MemorySegment data) {
    int refused = before("capget", 0);
    return refused < 0 ? refused : calls.capget(header, data);
  }

  @Override
  public int capset(MemorySegment header, MemorySegment data) {
    int refused = before("capset", 0);
    return refused < 0 ? refused : calls.capset(header, data);
  }

  @Override
  public int statx(int folder, MemorySegment path, int flags, int mask, MemorySegment status) {
    int refused = before("statx", 0);
    return refused < 0 ? refused : calls.statx(folder, path, flags, mask, status);
  }

  @Override
  public int fstatfs(int fd, MemorySegment status) {
    int refused = before("fstatfs", 0);
    return refused < 0 ? refused : calls.fstatfs(fd, status);
  }

  @Override
  public long processVmRead(int pid, MemorySegment local, MemorySegment remote) {
    int refused = before("processVmRead", 0);
    return refused < 0 ? refused : calls.processVmRead(pid, local, remote);
  }

  @Override
  public long processVmWrite(int pid, MemorySegment local, MemorySegment remote) {
    int refused = before("processVmWrite", 0);
    return refused < 0 ? refused : calls.processVmWrite(pid, local, remote);
  }
}
