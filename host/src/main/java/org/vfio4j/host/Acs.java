// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/**
 * Access Control Services of a function: what it can do and what is switched on. The kernel groups
 * functions by what is on (with quirks of its own).
 *
 * @param capable features of the capability register
 * @param enabled features of the control register
 */
public record Acs(Set<Feature> capable, Set<Feature> enabled) {

  /** A bit of the ACS capability and control registers, in the order of the bits. */
  public enum Feature {
    /** Source validation. */
    SV("SrcValid"),
    /** Translation blocking. */
    TB("TransBlk"),
    /** P2P request redirect. */
    RR("ReqRedir"),
    /** P2P completion redirect. */
    CR("CmpltRedir"),
    /** Upstream forwarding. */
    UF("UpstreamFwd"),
    /** P2P egress control. */
    EC("EgressCtrl"),
    /** Direct translated P2P. */
    DT("DirectTrans");

    private final String lspci;

    Feature(String lspci) {
      this.lspci = lspci;
    }
  }

  /** Copies the sets, in the order of the bits. */
  public Acs {
    capable = ordered(capable);
    enabled = ordered(enabled);
  }

  /** The value of the two 16-bit registers, at offsets 4 and 6 of the capability. */
  public static Acs ofRegisters(int capability, int control) {
    return new Acs(features(capability), features(control));
  }

  private static Set<Feature> features(int bits) {
    EnumSet<Feature> set = EnumSet.noneOf(Feature.class);
    for (Feature feature : Feature.values()) {
      if ((bits & 1 << feature.ordinal()) != 0) {
        set.add(feature);
      }
    }
    return set;
  }

  /** The features that are marked {@code +} in a line such as {@code SrcValid+ TransBlk-}. */
  static Set<Feature> ofLspci(String flags) {
    EnumSet<Feature> set = EnumSet.noneOf(Feature.class);
    for (Feature feature : Feature.values()) {
      if (flags.contains(feature.lspci + "+")) {
        set.add(feature);
      }
    }
    return set;
  }

  private static Set<Feature> ordered(Set<Feature> features) {
    EnumSet<Feature> copy = EnumSet.noneOf(Feature.class);
    copy.addAll(features);
    return Collections.unmodifiableSet(copy);
  }
}
