// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

/**
 * Where descriptors are kept so that they outlive this process, each by a name of its own; who
 * comes after it is {@linkplain GivenDescriptors given} them. {@link NotifySocket} is systemd's.
 * Thread-safe.
 */
public interface DescriptorStore {
  /** Bytes of a name at most: all names together are one string of the environment, of 128 KiB. */
  int MAX_NAME = 16;

  /** Keeps nothing. */
  DescriptorStore NONE =
      new DescriptorStore() {
        @Override
        public void keep(String name, Descriptor file) {
          // It ends with this process.
        }

        @Override
        public void forget(String name) {
          // There is nothing.
        }

        @Override
        public void hold(String name, Descriptor file) {
          // Nothing has to be forgotten at its close.
        }
      };

  /**
   * Keeps what the descriptor refers to. When this returns nothing that happens to this process
   * ends it.
   *
   * @param name of ASCII letters, digits and dots, {@link #MAX_NAME} of them at most, under which
   *     nothing is kept
   * @param file stays the caller's
   * @throws SystemCallException ENOSPC if the store is full, and what sending answers
   */
  void keep(String name, Descriptor file);

  /**
   * Keeps it no longer. When this returns the store has taken note; systemd closes it soon after.
   * Nothing of that name is fine.
   *
   * @throws SystemCallException if the store does not answer
   */
  void forget(String name);

  /**
   * Keeps what a descriptor refers to until it is closed here, however that comes about.
   *
   * @param name as of {@link #keep}
   * @param file stays the caller's
   * @throws SystemCallException as {@link #keep}
   */
  default void hold(String name, Descriptor file) {
    keep(name, file);
    file.onClose(() -> forgotten(name));
  }

  /** Who closes a descriptor has nothing to do with a store that does not answer. */
  private void forgotten(String name) {
    try {
      forget(name);
    } catch (SystemCallException e) {
      System.getLogger("org.vfio4j.posix")
          .log(System.Logger.Level.WARNING, () -> name + " may be kept still: " + e.getMessage());
    }
  }

  /** What is kept already, and came from there, goes when it is closed here. */
  default Descriptor heldAs(String name, Descriptor given) {
    given.onClose(() -> forgotten(name));
    return given;
  }
}
