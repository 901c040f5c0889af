// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.vfio4j.assign.Assumption;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.input.BadInputException;
import org.vfio4j.host.input.Position;

/** A VM while it is read, and what of it was not understood. */
final class VmDraft {

  private final String source;
  private final List<DeviceRequest> devices = new ArrayList<>();
  private final List<Assumption> leftOut = new ArrayList<>();
  private final int line;
  String name;
  Optional<Long> memory = Optional.empty();
  Optional<Long> memlock = Optional.empty();
  boolean viommu;

  VmDraft(String source, int line, String name) {
    this.source = source;
    this.line = line;
    this.name = name;
  }

  private Position at(int where) {
    return new Position(source, where, 1, Optional.empty(), "");
  }

  BadInputException error(int where, String message) {
    return at(where).error(message);
  }

  /** Adds a whole function; one that stands there already is told. */
  void function(int where, String text) {
    function(where, text, Optional.empty());
  }

  /** Adds a whole function with the token that it wants, if any. */
  void function(int where, String text, Optional<String> token) {
    PciAddress address =
        PciAddress.tryParse(text)
            .orElseThrow(() -> error(where, "no PCI address as in 0000:01:00.0: '" + text + "'"));
    DeviceRequest whole = DeviceRequest.whole(address.toString());
    add(where, token.map(t -> whole.withToken(uuid(where, t))).orElse(whole));
  }

  /** Adds a mediated device by its UUID. */
  void mdev(int where, String text) {
    add(where, DeviceRequest.mdev(uuid(where, text)));
  }

  private UUID uuid(int where, String text) {
    return Mdev.parseUuid(text).orElseThrow(() -> error(where, "no UUID: '" + text + "'"));
  }

  void add(int where, DeviceRequest device) {
    DeviceRequest placed = device.at(at(where));
    if (devices.stream().anyMatch(d -> d.sameAs(placed)) && !device.type().isPresent()) {
      throw error(where, device + " stands there twice for " + name);
    }
    devices.add(placed);
  }

  /** A device by what sysfs calls it: a function or a mediated device. */
  void sysfs(int where, String path) {
    sysfs(where, path, Optional.empty());
  }

  /** The same with the token that a function wants, if any. */
  void sysfs(int where, String path, Optional<String> token) {
    String last = path.replaceFirst("/+$", "").replaceFirst(".*/", "");
    if (PciAddress.tryParse(last).isPresent()) {
      function(where, last, token);
    } else if (Mdev.parseUuid(last).isPresent()) {
      mdev(where, last);
    } else {
      leftOut(where, path, "which device that is");
    }
  }

  /** Something that is a device and cannot be told from the text. */
  void leftOut(int where, String what, String unknown) {
    leftOut.add(new Assumption("%s (%s:%d)".formatted(what, source, where), unknown, "left out"));
  }

  /** RAM in bytes; VFIO maps whole pages. */
  void memory(int where, long bytes) {
    if (!VmRequest.isRam(bytes)) {
      throw error(where, "no RAM of a VM: %d bytes".formatted(bytes));
    }
    memory = Optional.of(bytes);
  }

  List<Assumption> leftOut() {
    return leftOut;
  }

  VmRequest vm() {
    try {
      return new VmRequest(name, memory, memlock, viommu, devices);
    } catch (IllegalArgumentException e) {
      throw error(line, String.valueOf(e.getMessage()));
    }
  }

  /** All of a text as one request. */
  static Request request(String source, List<VmDraft> drafts) {
    if (drafts.isEmpty()) {
      throw new BadInputException(source, 0, "", "no VM");
    }
    try {
      return new Request(source, "", drafts.stream().map(VmDraft::vm).toList())
          .leavingOut(drafts.stream().flatMap(d -> d.leftOut().stream()).toList());
    } catch (IllegalArgumentException e) {
      throw new BadInputException(source, 0, "", String.valueOf(e.getMessage()));
    }
  }
}
