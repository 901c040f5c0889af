// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.vfio4j.posix.SystemCallException;

/**
 * A bus that binds as the kernel does: an override decides, else the device's own driver. Any call
 * that changes something can be made to fail.
 */
final class FakePciBus implements PciBus {
  private static final class Function {
    final String natural;
    Optional<String> driver;
    Optional<String> override = Optional.empty();

    Function(String natural) {
      this.natural = natural;
      this.driver = Optional.of(natural);
    }
  }

  private final Map<String, Function> functions = new TreeMap<>();
  private final Set<String> drivers = new HashSet<>();
  final List<String> writes = new ArrayList<>();
  final Set<String> inUse = new HashSet<>();
  final Set<String> refusedBy = new HashSet<>();
  boolean loadable = true;

  /** Fails the n-th write, counted from 1; 0 fails none. */
  int failAt;

  FakePciBus with(String address, String natural) {
    functions.put(address, new Function(natural));
    drivers.add(natural);
    return this;
  }

  FakePciBus unbound(String address) {
    function(address).driver = Optional.empty();
    return this;
  }

  /** Drivers and overrides of all functions. */
  String state() {
    StringBuilder out = new StringBuilder();
    functions.forEach(
        (a, f) ->
            out.append("%s=%s/%s ".formatted(a, f.driver.orElse("-"), f.override.orElse("-"))));
    return out.toString().strip();
  }

  private Function function(String address) {
    Function function = functions.get(address);
    if (function == null) {
      throw new SystemCallException("open " + address, 2);
    }
    return function;
  }

  private void write(String what) {
    writes.add(what);
    if (writes.size() == failAt) {
      throw new SystemCallException("write " + what, 16);
    }
  }

  @Override
  public Optional<String> driver(String address) {
    return function(address).driver;
  }

  @Override
  public Optional<String> override(String address) {
    return function(address).override;
  }

  @Override
  public void override(String address, Optional<String> driver) {
    write("override " + address);
    function(address).override = driver;
  }

  @Override
  public void unbind(String address) {
    write("unbind " + address);
    function(address).driver = Optional.empty();
  }

  @Override
  public void probe(String address) {
    write("probe " + address);
    Function function = function(address);
    String chosen = function.override.orElse(function.natural);
    if (function.driver.isEmpty() && drivers.contains(chosen) && !refusedBy.contains(address)) {
      function.driver = Optional.of(chosen);
    }
  }

  @Override
  public boolean knows(String driver) {
    return drivers.contains(driver);
  }

  @Override
  public void load(String driver) {
    if (loadable) {
      drivers.add(driver);
    }
  }

  @Override
  public List<String> users(String address) {
    return inUse.contains(address) ? List.of("812 (qemu)") : List.of();
  }
}
