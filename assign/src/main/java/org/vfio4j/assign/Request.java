// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Which VM gets which devices of a host.
 *
 * @param source the file, as the user named it; or who asks
 * @param host the host it is about: a path relative to the file, with {@code #name} after it where
 *     the file holds several; or {@code linux}, this machine. Who has the host as a value already
 *     may leave it empty.
 * @param vms in the order they start
 * @param running what runs on the host already
 */
public record Request(String source, String host, List<VmRequest> vms, List<RunningVm> running) {

  /**
   * Copies the lists.
   *
   * @throws IllegalArgumentException if two VMs, or two that run, have one name
   */
  public Request {
    vms = List.copyOf(vms);
    running = List.copyOf(running);
    checkOnce(vms.stream().map(VmRequest::name).toList());
    checkOnce(running.stream().map(RunningVm::name).toList());
  }

  private static void checkOnce(List<String> names) {
    Set<String> seen = new HashSet<>();
    for (String name : names) {
      if (!seen.add(name)) {
        throw new IllegalArgumentException("two VMs have the name " + name);
      }
    }
  }

  /** A request on a host where nothing runs. */
  public Request(String source, String host, List<VmRequest> vms) {
    this(source, host, vms, List.of());
  }

  /** A request from values, on a host that the caller has as a value, where nothing runs. */
  public static Request of(VmRequest... vms) {
    return new Request("request", "", List.of(vms));
  }

  /** The same beside what runs on the host already. */
  public Request beside(List<RunningVm> other) {
    return new Request(source, host, vms, other);
  }

  /** The same with other VMs. */
  public Request with(List<VmRequest> other) {
    return new Request(source, host, other, running);
  }

  /** The same with one VM changed; the same as it is if there is no such VM. */
  public Request with(String vm, UnaryOperator<VmRequest> change) {
    return with(vms.stream().map(v -> v.name().equals(vm) ? change.apply(v) : v).toList());
  }

  /** The VM of this name. */
  public Optional<VmRequest> vm(String name) {
    return vms.stream().filter(v -> v.name().equals(name)).findFirst();
  }
}
