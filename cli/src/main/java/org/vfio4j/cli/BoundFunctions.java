// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;

/**
 * Functions that were bound to VFIO, until they are given back to the drivers they had.
 *
 * @param functions those that had another driver before
 */
record BoundFunctions(Binder binder, List<String> functions, UpReport report)
    implements AutoCloseable {

  /**
   * Binds them.
   *
   * @param forced of these, what may be taken although the host lives on it
   * @throws RefusedException if one cannot be bound; all are as they were then
   */
  static BoundFunctions bind(
      Binder binder, List<String> functions, List<String> forced, UpReport report) {
    try {
      List<Change> changes = binder.bind(functions, forced);
      report.bound(changes);
      return new BoundFunctions(binder, changes.stream().map(Change::address).toList(), report);
    } catch (BindingException e) {
      throw new RefusedException(String.valueOf(e.getMessage()));
    }
  }

  /** Those that a process before this one has bound, and that are only to be given back. */
  static BoundFunctions of(Binder binder, List<String> functions, UpReport report) {
    return new BoundFunctions(binder, functions, report);
  }

  /**
   * Those that a process before this one has bound, or has died before it did.
   *
   * @param functions all of them are given back at the end
   * @param forced as of {@link #bind}
   */
  static BoundFunctions again(
      Binder binder, List<String> functions, List<String> forced, UpReport report) {
    try {
      report.bound(binder.bind(functions, forced));
    } catch (BindingException e) {
      report.notBound(String.valueOf(e.getMessage()));
    }
    return new BoundFunctions(binder, functions, report);
  }

  /** Gives back what can be; what somebody still has open is told. */
  @Override
  public void close() {
    giveBack();
  }

  /** The same; whether all are given back. */
  boolean giveBack() {
    boolean done = true;
    for (String function : functions) {
      try {
        report.bound(binder.release(List.of(function)));
      } catch (BindingException e) {
        report.stuck(
            "%s; then 'vfio release %s' gives it back".formatted(e.getMessage(), function));
        done = false;
      }
    }
    return done;
  }
}
