// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.vfio4j.posix.testing.OpenDescriptors.number;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.SystemCalls;

/**
 * A FUSE file system of one file, of which every read, and every close, is left unanswered: what a
 * hostile client has who serves a mount of its own. Needs root and /dev/fuse. Closing it ends what
 * waits.
 */
final class FuseMount implements AutoCloseable {
  private static final SystemCalls CALLS = SystemCalls.libc();
  private static final Path DEVICE = Path.of("/dev/fuse");
  private static final int IN_HEADER = 40;
  private static final int OUT_HEADER = 16;
  private static final int ROOM = 1 << 20;
  private static final int NO_SUCH_CALL = -38;
  private static final int FORCE_AND_DETACH = 3;
  private static final int LOOKUP = 1;
  private static final int FORGET = 2;
  private static final int GETATTR = 3;
  private static final int OPEN = 14;
  private static final int READ = 15;
  private static final int RELEASE = 18;
  private static final int FLUSH = 25;
  private static final int INIT = 26;
  private static final int INTERRUPT = 36;
  private static final int BATCH_FORGET = 42;
  private static final int FILE_SIZE = 1 << 20;

  private final Path folder;
  private final Descriptor device;
  private final Thread daemon;
  private final Descriptor file;

  /** Mounts at a folder that is there. */
  FuseMount(Path folder) {
    this.folder = folder;
    device = Descriptor.open(CALLS, DEVICE.toString(), Constants.O_RDWR);
    String options = "fd=%d,rootmode=40000,user_id=0,group_id=0".formatted(number(device));
    int noSetuidNoDevices = 6;
    try (Arena arena = Arena.ofConfined()) {
      int result =
          (int)
              call(
                  "mount",
                  arena.allocateFrom("vfio4j-test"),
                  arena.allocateFrom(folder.toString()),
                  arena.allocateFrom("fuse"),
                  (long) noSetuidNoDevices,
                  arena.allocateFrom(options));
      if (result != 0) {
        device.close();
        throw new IllegalStateException("FUSE cannot be mounted at " + folder);
      }
    }
    daemon = Thread.ofPlatform().daemon().name("fuse").start(this::serve);
    file = Descriptor.open(CALLS, folder.resolve("file").toString(), Constants.O_RDWR);
  }

  /** Skips the test where there is no FUSE, or this is not root. */
  static void assumeHere() throws IOException {
    assumeTrue(Files.isWritable(DEVICE), "no /dev/fuse that can be used");
    assumeTrue((Integer) Files.getAttribute(Path.of("/proc/self"), "unix:uid") == 0, "not root");
  }

  @SuppressWarnings("restricted")
  private static Object call(String name, Object... arguments) {
    Linker linker = Linker.nativeLinker();
    FunctionDescriptor descriptor =
        name.equals("mount")
            ? FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS, JAVA_LONG, ADDRESS)
            : FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT);
    MethodHandle handle =
        linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), descriptor);
    try {
      return handle.invokeWithArguments(arguments);
    } catch (Throwable t) {
      throw new IllegalStateException(t);
    }
  }

  /** The file, open; it is closed with this, since before that it would wait for ever. */
  Descriptor file() {
    return file;
  }

  private void serve() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment in = arena.allocate(ROOM, 8);
      MemorySegment out = arena.allocate(256, 8);
      while (true) {
        long read = CALLS.read(number(device), in, ROOM);
        if (read == -4 || read == -2) {
          continue;
        }
        if (read < IN_HEADER) {
          // Unmounted.
          return;
        }
        answer(in, out.fill((byte) 0));
      }
    }
  }

  private void answer(MemorySegment in, MemorySegment out) {
    int size = 0;
    int error = 0;
    MemorySegment body = out.asSlice(OUT_HEADER);
    switch (in.get(JAVA_INT, 4)) {
      case READ, FLUSH, FORGET, BATCH_FORGET, INTERRUPT -> {
        return;
      }
      case INIT -> {
        size = 64;
        body.set(JAVA_INT, 0, 7);
        body.set(JAVA_INT, 4, 31);
        body.set(JAVA_INT, 20, 1 << 16);
      }
      case LOOKUP -> {
        size = 128;
        body.set(JAVA_LONG, 0, 2);
        attributes(body.asSlice(40), 2);
      }
      case GETATTR -> {
        size = 104;
        attributes(body.asSlice(16), in.get(JAVA_LONG, 16));
      }
      case OPEN -> size = 16;
      case RELEASE -> size = 0;
      default -> error = NO_SUCH_CALL;
    }
    out.set(JAVA_INT, 0, OUT_HEADER + size);
    out.set(JAVA_INT, 4, error);
    out.set(JAVA_LONG, 8, in.get(JAVA_LONG, 8));
    CALLS.write(number(device), out, OUT_HEADER + size);
  }

  private static void attributes(MemorySegment attributes, long inode) {
    boolean root = inode == 1;
    attributes.set(JAVA_LONG, 0, inode);
    attributes.set(JAVA_LONG, 8, root ? 0 : FILE_SIZE);
    attributes.set(JAVA_INT, 60, root ? 0040755 : 0100666);
    attributes.set(JAVA_INT, 64, 1);
    attributes.set(JAVA_INT, 80, 4096);
    attributes.set(JAVA_BYTE, 84, (byte) 0);
  }

  @Override
  public void close() {
    try (Arena arena = Arena.ofConfined()) {
      call("umount2", arena.allocateFrom(folder.toString()), FORCE_AND_DETACH);
    }
    try {
      daemon.join();
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
    }
    file.close();
    device.close();
  }
}
