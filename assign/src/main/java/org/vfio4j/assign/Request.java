// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Which VM gets which devices of a host.
 *
 * @param source the file, as the user named it
 * @param host the host it is about: a path relative to the file, with {@code #name} after it where
 *     the file holds several; or {@code linux}, this machine
 * @param vms in the order they start
 */
public record Request(String source, String host, List<VmRequest> vms) {
  /** Copies the list. */
  public Request {
    vms = List.copyOf(vms);
  }

  /** The same with one VM changed. */
  public Request with(String vm, UnaryOperator<VmRequest> change) {
    return new Request(
        source, host, vms.stream().map(v -> v.name().equals(vm) ? change.apply(v) : v).toList());
  }
}
