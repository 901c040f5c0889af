// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

import java.util.HashMap;
import java.util.Map;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.FileStatus;
import org.vfio4j.posix.KeptDescriptors;

/** The files of a client's memory among what outlives the process, each once. For one thread. */
final class LastingFiles implements AutoCloseable {
  /** Files of a client at most, so that none fills the store. */
  private static final int MOST = 256;

  private final KeptDescriptors kept;
  private final String prefix;
  private final Map<Integer, Kept> byNumber = new HashMap<>();

  private record Key(long device, long inode, boolean writable) {
    static Key of(Descriptor file) {
      FileStatus status = FileStatus.of(file);
      return new Key(status.device(), status.inode(), status.writable());
    }
  }

  private static final class Kept {
    final Descriptor file;
    final Key key;
    int uses;

    Kept(Descriptor file, Key key) {
      this.file = file;
      this.key = key;
    }
  }

  LastingFiles(KeptDescriptors kept, String prefix) {
    this.kept = kept;
    this.prefix = prefix;
  }

  /** One that another process has kept; taken over, with no use yet. */
  void left(int number, Descriptor file) {
    byNumber.put(number, new Kept(file, Key.of(file)));
  }

  /** One use more of a file of that number. */
  void use(int number) {
    Kept of = byNumber.get(number);
    if (of != null) {
      of.uses++;
    }
  }

  /**
   * One use more.
   *
   * @param file stays the caller's
   * @return its number in the store
   * @throws VfioException ENOSPC if the client has too many
   */
  int use(Descriptor file) {
    Key key = Key.of(file);
    for (Map.Entry<Integer, Kept> known : byNumber.entrySet()) {
      if (known.getValue().key.equals(key)) {
        known.getValue().uses++;
        return known.getKey();
      }
    }
    if (byNumber.size() >= MOST) {
      throw new VfioException(
          Errno.ENOSPC,
          Reason.NO_MEMORY,
          "memory of more than %d files is not kept for another process".formatted(MOST));
    }
    int number = 1;
    while (byNumber.containsKey(number)) {
      number++;
    }
    Descriptor mine = file.duplicate();
    boolean done = false;
    try {
      kept.hold(prefix + number, mine);
      Kept fresh = new Kept(mine, key);
      fresh.uses = 1;
      byNumber.put(number, fresh);
      done = true;
      return number;
    } finally {
      if (!done) {
        mine.close();
      }
    }
  }

  /** One use less. Without any the file is kept no longer. */
  void unuse(int number) {
    Kept of = byNumber.get(number);
    if (of != null && --of.uses <= 0) {
      byNumber.remove(number);
      of.file.close();
    }
  }

  /** Those that nothing uses are kept no longer. */
  void closeUnused() {
    byNumber
        .values()
        .removeIf(
            of -> {
              boolean unused = of.uses == 0;
              if (unused) {
                of.file.close();
              }
              return unused;
            });
  }

  @Override
  public void close() {
    byNumber.values().forEach(of -> of.file.close());
    byNumber.clear();
  }
}
