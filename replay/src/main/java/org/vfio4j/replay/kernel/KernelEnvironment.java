// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import org.vfio4j.linux.uapi.KernelRefusal;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.replay.Environment;
import org.vfio4j.replay.ScriptBuffer;

/**
 * Back end {@code kernel}: this process on this machine. Limits are the process's; capabilities are
 * the calling thread's, so that one thread must make all calls. Needs root for most of what it
 * does.
 */
public final class KernelEnvironment implements Environment {
  private static final Duration PATIENCE = Duration.ofSeconds(2);
  private static final int CAP_SYS_RESOURCE = 24;
  private static final int GUARD = 0x10000;
  private static final int RLIMIT_BYTES = 16;

  private final SystemCalls calls;
  private final KernelVfio vfio;
  private final SysfsWrites sysfs;
  private final ThreadCapabilities capabilities;
  private final MappedMemory memory;
  private final ScriptBuffer script;
  private final long[] limitBefore;
  private final boolean ipcLockBefore;

  /**
   * With no descriptor open, a buffer in memory, and a limit of locked memory of its size, or what
   * the process may have at most.
   */
  public KernelEnvironment(SystemCalls calls) {
    this(calls, PATIENCE);
  }

  /**
   * The same.
   *
   * @param patience after which a write to sysfs is taken for one that waits for a user
   */
  public KernelEnvironment(SystemCalls calls, Duration patience) {
    this.calls = calls;
    this.vfio = new KernelVfio(calls);
    this.sysfs = new SysfsWrites(calls, patience);
    this.capabilities = new ThreadCapabilities(calls);
    this.memory = MappedMemory.anonymous(calls, BUFFER_SIZE + GUARD);
    this.script = new ScriptBuffer(memory());
    SystemCallException.check(guard(), "mmap");
    this.limitBefore = limit();
    this.ipcLockBefore = capabilities.has(Constants.CAP_IPC_LOCK);
    long hard = limitBefore[1];
    boolean raises = hard != -1 && hard < BUFFER_SIZE;
    memlock(raises && !capabilities.has(CAP_SYS_RESOURCE) ? hard : BUFFER_SIZE);
  }

  /** Nothing is mapped behind the buffer, so that what reaches past its end is a bad address. */
  private long guard() {
    int flags = Constants.MAP_PRIVATE | Constants.MAP_ANONYMOUS | Constants.MAP_FIXED;
    long end = memory.address() + BUFFER_SIZE;
    return calls.mmap(end, GUARD, Constants.PROT_NONE, flags, -1, 0);
  }

  @Override
  public KernelVfio vfio() {
    return vfio;
  }

  @Override
  public long buffer() {
    return memory.address();
  }

  /** The buffer. */
  public MemorySegment memory() {
    return memory.segment().asSlice(0, BUFFER_SIZE);
  }

  @Override
  public void poke(long offset, byte value, long length) {
    script.poke(offset, value, length);
  }

  @Override
  public byte[] peek(long offset) {
    return script.peek(offset);
  }

  @Override
  public void memlock(long bytes) {
    setLimit(bytes, Math.max(bytes, limit()[1]));
  }

  private long[] limit() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment old = arena.allocate(RLIMIT_BYTES, 8);
      int result = calls.prlimit(Constants.RLIMIT_MEMLOCK, MemorySegment.NULL, old);
      SystemCallException.check(result, "prlimit");
      return old.toArray(ValueLayout.JAVA_LONG);
    }
  }

  /** RLIM_INFINITY is -1, above all others. */
  private void setLimit(long soft, long hard) {
    try (Arena arena = Arena.ofConfined()) {
      long most = limit()[1] == -1 ? -1 : hard;
      MemorySegment limit = arena.allocateFrom(ValueLayout.JAVA_LONG, soft, most);
      int result = calls.prlimit(Constants.RLIMIT_MEMLOCK, limit, MemorySegment.NULL);
      KernelRefusal.check(result, "prlimit", "RLIMIT_MEMLOCK of %d bytes".formatted(soft));
    }
  }

  @Override
  public void capability(int number, boolean on) {
    capabilities.set(number, on);
  }

  @Override
  public long lockedKib() {
    return sysfs.read("/proc/thread-self/status").stream()
        .filter(line -> line.startsWith("VmLck:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .findFirst()
        .orElseThrow();
  }

  @Override
  public String driver(String device) {
    return sysfs.driver(device);
  }

  @Override
  public boolean bind(String device, String driver) {
    return sysfs.bind(device, driver);
  }

  @Override
  public boolean write(String path, String text) {
    return sysfs.write(path, text);
  }

  @Override
  public List<String> cat(String path) {
    return sysfs.read(path);
  }

  @Override
  public void eduDma(int deviceFd, long from, long to) {
    new EduDevice(vfio, deviceFd).copy(from, to);
  }

  @Override
  public void closeAll() {
    vfio.close();
    sysfs.settle();
  }

  /** Also gives the process back its limit, and the calling thread its capability. */
  @Override
  public void close() {
    closeAll();
    capabilities.set(Constants.CAP_IPC_LOCK, ipcLockBefore);
    setLimit(limitBefore[0], limitBefore[1]);
    memory.close();
  }
}
