// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.stream.Collectors;

/** A function as a node device of libvirt. */
final class NodeDevice {
  private NodeDevice() {}

  /** Its name there. */
  static String name(PciAddress address) {
    return "pci_" + address.toString().replaceAll("[:.]", "_");
  }

  /** The device in XML, with what a capture has of it. */
  static String of(PciFunction function, HostTopology host) {
    PciAddress at = function.address();
    String group =
        function
            .group()
            .value()
            .map(
                g ->
                    "<iommuGroup number='%d'>%s</iommuGroup>"
                        .formatted(
                            g,
                            host.members(g).stream()
                                .map(m -> place(m.address()))
                                .collect(Collectors.joining())))
            .orElse("");
    return """
    <device><name>%s</name><capability type='pci'>%s<domain>%d</domain><bus>%d</bus>\
    <slot>%d</slot><function>%d</function>%s%s</capability></device>
    """
        .formatted(
            name(at),
            function
                .classCode()
                .map(c -> "<class>0x%04x%02x</class>".formatted(c.code16(), c.progIf().orElse(0)))
                .orElse(""),
            at.domain(),
            at.bus(),
            at.device(),
            at.function(),
            function
                .id()
                .map(
                    i ->
                        "<product id='0x%04x'/><vendor id='0x%04x'/>"
                            .formatted(i.device(), i.vendor()))
                .orElse("<product id='0x1000'/><vendor id='0x1af4'/>"),
            group);
  }

  private static String place(PciAddress at) {
    return "<address domain='0x%04x' bus='0x%02x' slot='0x%02x' function='0x%x'/>"
        .formatted(at.domain(), at.bus(), at.device(), at.function());
  }
}
