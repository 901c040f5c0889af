// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.UnixSocket.Credentials;

/**
 * Whether a VM may start: what its VMM has announced by GET_INFO is all of its memory, and is the
 * memory that its guest sees. A VM that is refused here ends with a message; later its device would
 * silently read and write something else.
 */
final class Admission {
  /**
   * Firmware, video memory and option ROMs have no descriptor, and are no RAM of {@code memory}.
   */
  static final long SLACK = 2 << 20;

  private Admission() {}

  /**
   * Checks what one connection has announced.
   *
   * @param vmm the process at its other end
   * @throws VfioException ENOMEM with a sentence that says what to change
   */
  static void check(VmSettings settings, Credentials vmm, List<RamPiece> announced) {
    checkShared(settings, Path.of("/proc", String.valueOf(vmm.pid())), announced);
    long there = announced.stream().mapToLong(p -> p.size).sum();
    if (there + SLACK < settings.memory()) {
      throw refused(
          settings,
          ("%d MiB of its %d MiB came with a descriptor: give QEMU all of its memory as"
                  + " -object memory-backend-memfd,id=mem,size=%dM,share=on"
                  + " with -machine memory-backend=mem")
              .formatted(there >> 20, settings.memory() >> 20, settings.memory() >> 20));
    }
  }

  private static void checkShared(VmSettings settings, Path vmm, List<RamPiece> announced) {
    Set<RamFile.Key> files = new HashSet<>();
    announced.forEach(p -> files.add(p.file.key));
    for (RamFile.Key file : files) {
      switch (PeerMaps.of(vmm, file)) {
        case SHARED -> {}
        case PRIVATE ->
            throw refused(
                settings,
                "it maps its memory for itself, so that its devices would write to pages that it"
                    + " never sees: say share=on for the memory backend");
        case UNKNOWN -> {
          if (!settings.trustMemory()) {
            throw refused(
                settings,
                ("it cannot be seen whether it shares its memory: %s/maps may not be read, or does"
                        + " not have the file; say so in the file if it does")
                    .formatted(vmm));
          }
        }
      }
    }
  }

  private static VfioException refused(VmSettings settings, String why) {
    return new VfioException(
        Errno.ENOMEM, Reason.BAD_ADDRESS, "%s is not started: %s".formatted(settings.name(), why));
  }
}
