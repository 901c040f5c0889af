// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix.testing;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.DescriptorStore;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/** A descriptor store beside processes that can be killed. */
public final class LastingStore {
  private final SystemCalls kernel;
  private final Map<String, Integer> kept = new TreeMap<>();

  public LastingStore(SystemCalls kernel) {
    this.kernel = kernel;
  }

  /** What is there, by its names. */
  public synchronized Map<String, Integer> kept() {
    return new TreeMap<>(kept);
  }

  /** The store, and what is there, as a process has them that is started now. */
  public synchronized KeptDescriptors process(MortalCalls process) {
    Map<String, Descriptor> given = new HashMap<>();
    kept.forEach(
        (name, fd) -> {
          int copy = process.given(kernel.fcntl(fd, Constants.F_DUPFD_CLOEXEC, 0));
          given.put(name, new Descriptor(process, copy, name));
        });
    return new KeptDescriptors(
        new DescriptorStore() {
          @Override
          public void keep(String name, Descriptor file) {
            int refused = process.before("keep", 0);
            SystemCallException.check(refused, "keep " + name);
            LastingStore.this.keep(name, file);
          }

          @Override
          public void forget(String name) {
            process.step();
            LastingStore.this.forget(name);
          }
        },
        given);
  }

  /** Something goes, as it does where a store is full. */
  public void lose(String name) {
    forget(name);
  }

  /** Changes a word of a file. */
  public synchronized void write(String name, long at, int value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment word = arena.allocateFrom(ValueLayout.JAVA_INT, value);
      kernel.pwrite(Objects.requireNonNull(kept.get(name)), word, Integer.BYTES, at);
    }
  }

  private synchronized void keep(String name, Descriptor file) {
    if (!name.matches("[a-z0-9.]{1,%d}".formatted(DescriptorStore.MAX_NAME))) {
      throw new IllegalArgumentException(name);
    }
    if (kept.containsKey(name)) {
      throw new IllegalStateException(name + " is kept already");
    }
    try (Descriptor.Use use = file.use()) {
      kept.put(name, kernel.fcntl(use.number(), Constants.F_DUPFD_CLOEXEC, 0));
    }
  }

  private synchronized void forget(String name) {
    Integer fd = kept.remove(name);
    if (fd != null) {
      kernel.close(fd);
    }
  }
}
