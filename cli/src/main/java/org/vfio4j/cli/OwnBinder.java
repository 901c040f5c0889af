// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import org.vfio4j.host.PciAddress;
import org.vfio4j.linux.bind.BindingException;
import org.vfio4j.linux.bind.DriverBinding.Change;
import org.vfio4j.vfio.DriverKind;

/** Hands functions to VFIO by this process's own rights, if the host can do without them. */
record OwnBinder(LocalDevices local) implements Binder {
  @Override
  public List<Change> bind(List<String> functions, List<String> forced) {
    List<PciAddress> named = known(functions);
    List<PciAddress> force = forced.stream().map(PciAddress::parse).toList();
    Takeover takeover = Takeover.of(local.host(), named, force, false);
    if (!takeover.refusals().isEmpty()) {
      throw new BindingException(String.join("; ", takeover.refusals()));
    }
    return local.binding().bind(functions, DriverKind.VFIO_PCI);
  }

  @Override
  public List<Change> release(List<String> functions) {
    known(functions);
    return local.binding().release(functions);
  }

  private List<PciAddress> known(List<String> functions) {
    List<PciAddress> named = functions.stream().map(PciAddress::parse).toList();
    for (PciAddress address : named) {
      if (local.host().function(address).isEmpty()) {
        throw new BindingException(address + " is no device of this machine; see 'vfio host'");
      }
    }
    return named;
  }
}
