// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding;
import org.vfio4j.linux.bind.DriverBinding.Change;
import org.vfio4j.vfio.DriverKind;

/**
 * Functions that were bound to VFIO, until they are given back to the drivers they had.
 *
 * @param functions those that had another driver before
 */
record BoundFunctions(DriverBinding binding, List<String> functions, UpReport report)
    implements AutoCloseable {

  /**
   * Binds them.
   *
   * @throws RefusedException if one cannot be bound; all are as they were then
   */
  static BoundFunctions bind(DriverBinding binding, List<String> functions, UpReport report) {
    try {
      List<Change> changes = binding.bind(functions, DriverKind.VFIO_PCI);
      report.bound(changes);
      return new BoundFunctions(binding, changes.stream().map(Change::address).toList(), report);
    } catch (BindingException e) {
      throw new RefusedException(String.valueOf(e.getMessage()));
    }
  }

  /** Those that a process before this one has bound, and that are only to be given back. */
  static BoundFunctions of(DriverBinding binding, List<String> functions, UpReport report) {
    return new BoundFunctions(binding, functions, report);
  }

  /**
   * Those that a process before this one has bound, or has died before it did.
   *
   * @param functions all of them are given back at the end
   */
  static BoundFunctions again(DriverBinding binding, List<String> functions, UpReport report) {
    try {
      report.bound(binding.bind(functions, DriverKind.VFIO_PCI));
    } catch (BindingException e) {
      report.notBound(String.valueOf(e.getMessage()));
    }
    return new BoundFunctions(binding, functions, report);
  }

  /** Gives back what can be; what somebody still has open is told. */
  @Override
  public void close() {
    for (String function : functions) {
      try {
        report.bound(binding.release(List.of(function)));
      } catch (BindingException e) {
        report.stuck(
            "%s; then 'vfio release %s' gives it back".formatted(e.getMessage(), function));
      }
    }
  }
}
