// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;

/**
 * The configuration space of a function, as far as the source has it: 64 bytes for an ordinary
 * user, 256 for conventional PCI, 4096 for PCIe. What lies beyond stays unknown.
 */
final class ConfigDump {

  private static final int STATUS = 0x06;
  private static final int HEADER_TYPE = 0x0e;
  private static final int SECONDARY_BUS = 0x19;
  private static final int CAPABILITY_POINTER = 0x34;
  private static final int EXTENDED = 0x100;
  private static final int FULL = 0x1000;
  private static final int CAP_ID_EXPRESS = 0x10;
  private static final int CAP_ID_ACS = 0x0d;
  private static final int CAP_ID_SRIOV = 0x10;

  private final byte[] bytes;
  private final int expressAt;
  private final boolean listComplete;

  /** Takes the bytes; the array is not copied. */
  ConfigDump(byte[] bytes) {
    this.bytes = bytes;
    boolean hasList = bytes.length >= 64 && (word(STATUS) & 0x10) != 0;
    int at = hasList ? bytes[CAPABILITY_POINTER] & 0xfc : 0;
    int found = 0;
    int steps = 0;
    while (at >= 0x40 && at + 4 <= bytes.length && found == 0 && steps++ < 48) {
      found = (bytes[at] & 0xff) == CAP_ID_EXPRESS ? at : 0;
      at = bytes[at + 1] & 0xfc;
    }
    this.expressAt = found;
    this.listComplete = bytes.length >= 64 && (found != 0 || at < 0x40);
  }

  private int word(int at) {
    return bytes[at] & 0xff | (bytes[at + 1] & 0xff) << 8;
  }

  private int dword(int at) {
    return word(at) | word(at + 2) << 16;
  }

  Optional<HeaderType> headerType() {
    return bytes.length < 64 ? Optional.empty() : HeaderType.ofCode(bytes[HEADER_TYPE] & 0x7f);
  }

  Optional<PcieType> pcieType() {
    if (expressAt != 0) {
      return PcieType.ofCode(word(expressAt + 2) >> 4 & 0xf);
    }
    return listComplete ? Optional.of(PcieType.CONVENTIONAL) : Optional.empty();
  }

  Optional<BusRange> buses() {
    if (headerType().filter(h -> h == HeaderType.BRIDGE).isEmpty()) {
      return Optional.empty();
    }
    int secondary = bytes[SECONDARY_BUS] & 0xff;
    int subordinate = bytes[SECONDARY_BUS + 1] & 0xff;
    boolean set = secondary != 0 && secondary <= subordinate;
    return set ? Optional.of(new BusRange(secondary, subordinate)) : Optional.empty();
  }

  Fact<Acs> acs() {
    if (expressAt == 0) {
      return listComplete ? Fact.none() : Fact.unknown();
    }
    if (bytes.length < FULL) {
      return Fact.unknown();
    }
    int at = extendedCapability(CAP_ID_ACS);
    return at == 0 ? Fact.none() : Fact.known(Acs.ofRegisters(word(at + 4), word(at + 6)));
  }

  /** Whether the function can have VFs; empty where the extended space is not there. */
  Optional<Boolean> hasSriov() {
    if (expressAt == 0 || bytes.length < FULL) {
      return listComplete && expressAt == 0 ? Optional.of(false) : Optional.empty();
    }
    return Optional.of(extendedCapability(CAP_ID_SRIOV) != 0);
  }

  private int extendedCapability(int id) {
    int at = EXTENDED;
    for (int steps = 0; at >= EXTENDED && at + 8 <= FULL && steps < 480; steps++) {
      int header = dword(at);
      if (header == 0 || header == -1) {
        return 0;
      }
      if ((header & 0xffff) == id) {
        return at;
      }
      at = header >>> 20 & 0xffc;
    }
    return 0;
  }
}
