// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** Signals to this process. */
@SuppressWarnings("restricted")
public final class Signals {
  /** Asks a process to end, as who types Ctrl-C does. */
  public static final int SIGINT = 2;

  /** Asks a process to end. */
  public static final int SIGTERM = 15;

  private static final MethodHandle SIGNAL =
      Linker.nativeLinker()
          .downcallHandle(
              Linker.nativeLinker().defaultLookup().findOrThrow("signal"),
              FunctionDescriptor.of(ADDRESS, JAVA_INT, ADDRESS));

  private Signals() {}

  /** From now on the signal ends this process at once, with no shutdown hook run. */
  public static void endAtOnce(int number) {
    try {
      MemorySegment _ = (MemorySegment) SIGNAL.invokeExact(number, MemorySegment.NULL);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable t) {
      throw new IllegalStateException(t);
    }
  }
}
