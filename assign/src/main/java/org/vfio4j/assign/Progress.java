// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

/** Is told how far a check is. */
@FunctionalInterface
public interface Progress {
  /** Tells nobody. */
  Progress NONE = (what, done, of) -> {};

  /**
   * So many VMs are done.
   *
   * @param what what is done with them, as in {@code checking}
   * @param done how many are done
   * @param of how many there are
   */
  void at(String what, int done, int of);
}
