// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What functions of one machine cannot be to each other, though each field by itself is right: what
 * the kernel's enumeration of PCI rules out. In a capture it is refused; of a text, which may be
 * damaged, what contradicts the rest does not count and is told. What {@link TopologyRules} refuses
 * of every source is not looked at again.
 */
final class FunctionRules {

  /**
   * A contradiction.
   *
   * @param function the function that says it
   * @param field name of the field in a capture
   * @param message what is wrong
   */
  record Contradiction(PciAddress function, String field, String message) {

    /** The same, told as a loss of the line that names the function. */
    Loss loss(int line) {
      return new Loss(line, function + " " + field + ": " + message, Loss.Reason.CONTRADICTED);
    }
  }

  /**
   * Functions without what contradicted the rest.
   *
   * @param functions the functions
   * @param contradictions what was left out
   */
  record Repaired(List<PciFunction> functions, List<Contradiction> contradictions) {}

  private final NavigableMap<PciAddress, PciFunction> functions = new TreeMap<>();
  private final Map<String, PciFunction> bridgeTo = new HashMap<>();
  private final Map<PciAddress, Integer> listedVfs = new HashMap<>();
  private final List<Contradiction> found = new ArrayList<>();

  private FunctionRules(Collection<PciFunction> all) {
    for (PciFunction function : all) {
      functions.put(function.address(), function);
      function.physicalFunction().value().ifPresent(pf -> listedVfs.merge(pf, 1, Integer::sum));
    }
  }

  /** What contradicts the rest, in the order of addresses. */
  static List<Contradiction> contradictions(Collection<PciFunction> functions) {
    FunctionRules rules = new FunctionRules(functions);
    for (PciFunction function : rules.functions.values()) {
      rules.header(function);
      rules.secondaryBus(function);
    }
    for (PciFunction function : rules.functions.values()) {
      function.physicalFunction().value().ifPresent(pf -> rules.physicalFunction(function, pf));
      rules.counts(function);
      rules.parent(function);
    }
    return rules.found;
  }

  /** Leaves out what contradicts the rest until nothing does. */
  static Repaired repair(Collection<PciFunction> functions) {
    NavigableMap<PciAddress, PciFunction> left = new TreeMap<>();
    functions.forEach(f -> left.put(f.address(), f));
    List<Contradiction> all = new ArrayList<>();
    List<Contradiction> found = contradictions(left.values());
    while (!found.isEmpty()) {
      found.forEach(c -> left.computeIfPresent(c.function(), (_, f) -> without(f, c.field())));
      all.addAll(found);
      found = contradictions(left.values());
    }
    return new Repaired(List.copyOf(left.values()), all);
  }

  /** The function without the field. */
  private static PciFunction without(PciFunction function, String field) {
    PciFunction.Builder copy = function.toBuilder();
    switch (field) {
      case "header" -> copy.headerType(Optional.empty());
      case "buses" -> copy.buses(Optional.empty());
      case "physfn" -> copy.physicalFunction(Fact.unknown());
      case "numVfs" -> copy.numVfs(Optional.empty());
      case "totalVfs" -> copy.totalVfs(Optional.empty());
      case "parent" -> copy.parent(Fact.unknown());
      default -> throw new IllegalArgumentException(field);
    }
    return copy.build();
  }

  private void bad(PciFunction function, String field, String message) {
    found.add(new Contradiction(function.address(), field, message));
  }

  /**
   * Layout and class go together: the kernel itself takes nothing else. The kind of port says less:
   * host bridges of Intel are root ports with the header of an endpoint.
   */
  private void header(PciFunction function) {
    boolean normal = function.headerType().filter(h -> h == HeaderType.NORMAL).isPresent();
    boolean bridge = function.headerType().filter(h -> h == HeaderType.BRIDGE).isPresent();
    boolean bridgeClass = function.classCode().filter(c -> c.code16() == 0x0604).isPresent();
    boolean otherClass = function.classCode().filter(c -> c.base() != 0x06).isPresent();
    if (normal && bridgeClass || bridge && otherClass) {
      bad(function, "header", "a header of this type does not go with the class");
    }
    if (function.buses().isPresent() && isNoBridge(function)) {
      bad(function, "buses", "only a bridge has buses behind it");
    }
  }

  private static boolean isNoBridge(PciFunction function) {
    return function.isBridge().filter(b -> !b).isPresent();
  }

  private void secondaryBus(PciFunction function) {
    if (function.buses().filter(b -> b.secondary() > 0).isEmpty()) {
      return;
    }
    int secondary = function.buses().get().secondary();
    PciFunction other =
        bridgeTo.putIfAbsent(function.address().domain() + ":" + secondary, function);
    if (other != null) {
      bad(function, "buses", "bus %02x is behind %s".formatted(secondary, other.address()));
    }
  }

  private void physicalFunction(PciFunction function, PciAddress pf) {
    PciAddress address = function.address();
    Optional<PciFunction> of = Optional.ofNullable(functions.get(pf));
    boolean bridge = of.flatMap(PciFunction::isBridge).orElse(false);
    boolean bridgeClass =
        of.flatMap(PciFunction::classCode).filter(c -> c.base() == 0x06).isPresent();
    if (address.equals(pf)) {
      bad(function, "physfn", "a VF of itself");
    } else if (of.isPresent() && (address.domain() != pf.domain() || address.compareTo(pf) < 0)) {
      bad(function, "physfn", "a VF lies behind its PF in the same domain, and not so of " + pf);
    } else if (function.isBridge().orElse(false)) {
      bad(function, "physfn", "a VF is no bridge, and this function is one");
    } else if (bridge || bridgeClass) {
      bad(function, "physfn", pf + " is a bridge, which has no VFs");
    }
    function
        .numVfs()
        .filter(n -> n > 0)
        .ifPresent(_ -> bad(function, "numVfs", "a VF has no VFs of its own"));
    function
        .totalVfs()
        .filter(n -> n > 0)
        .ifPresent(_ -> bad(function, "totalVfs", "a VF has no VFs of its own"));
  }

  private void counts(PciFunction function) {
    int listed = listedVfs.getOrDefault(function.address(), 0);
    String message = (listed == 1 ? "1 VF" : listed + " VFs") + " listed: no smaller number";
    function.numVfs().filter(n -> n < listed).ifPresent(_ -> bad(function, "numVfs", message));
    function.totalVfs().filter(n -> n < listed).ifPresent(_ -> bad(function, "totalVfs", message));
  }

  private void parent(PciFunction function) {
    PciAddress address = function.address();
    PciFunction over = bridgeTo.get(address.domain() + ":" + address.bus());
    if (function.parent().isNone() && over != null) {
      bad(function, "parent", "bus %02x is behind %s".formatted(address.bus(), over.address()));
    }
    function
        .parent()
        .value()
        .flatMap(a -> Optional.ofNullable(functions.get(a)))
        .ifPresent(bridge -> behind(function, bridge));
  }

  private void behind(PciFunction function, PciFunction bridge) {
    PciAddress address = function.address();
    boolean behind =
        bridge.address().domain() == address.domain()
            && bridge
                .buses()
                .map(b -> b.secondary() <= address.bus() && address.bus() <= b.subordinate())
                .orElse(true);
    if (isNoBridge(bridge)) {
      bad(function, "parent", bridge.address() + " is no bridge");
    } else if (!behind) {
      String bus = "bus %02x is not behind %s".formatted(address.bus(), bridge.address());
      bad(function, "parent", bus);
    }
  }
}
