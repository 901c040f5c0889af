// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.bind;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.vfio.DriverKind;

/**
 * Hands PCI functions to a driver of VFIO and gives them back: all that are named, or none. A
 * function is taken by {@code driver_override}, never by {@code new_id}, which would take every
 * other device of the same id too. What each function had before is written down before it is
 * touched, so that another process, or one after a crash, can give it back.
 *
 * <p>Not thread-safe, and it does not ask whether the host can do without a function: the caller
 * does.
 */
public final class DriverBinding {
  private final PciBus bus;
  private final BindingRecords records;

  DriverBinding(PciBus bus, BindingRecords records) {
    this.bus = bus;
    this.records = records;
  }

  /**
   * The drivers of this machine. What is remembered lies in a folder of root's alone: whoever could
   * write to it would choose drivers.
   */
  public static DriverBinding ofThisMachine(SystemCalls calls) {
    return new DriverBinding(
        new SysfsPciBus(calls), new BindingRecords(Path.of("/run/vfio4j-bind")));
  }

  /**
   * A function that has changed hands.
   *
   * @param address its PCI address
   * @param before the driver that had it
   * @param now the driver that has it
   */
  public record Change(String address, Optional<String> before, Optional<String> now) {}

  /**
   * Binds all of the functions to the driver, or none. Those that have it already stay as they are.
   *
   * @param addresses PCI addresses as the kernel writes them
   * @param driver {@link DriverKind#VFIO_PCI} or a variant of it
   * @return what has changed, in the order of the addresses
   * @throws BindingException if the kernel refuses one; the others are back where they were, or the
   *     message says which are not
   */
  public List<Change> bind(List<String> addresses, String driver) {
    if (!bus.knows(driver)) {
      bus.load(driver);
      if (!bus.knows(driver)) {
        throw new BindingException(
            "this kernel has no driver %s: load it with 'modprobe %s'".formatted(driver, driver));
      }
    }
    List<String> touched = new ArrayList<>();
    List<Change> changes = new ArrayList<>();
    for (String address : addresses) {
      try {
        Optional<String> before = bus.driver(address);
        if (before.equals(Optional.of(driver))) {
          continue;
        }
        checkUnused(address, before);
        remember(address, before);
        touched.add(address);
        move(address, Optional.of(driver), Optional.of(driver));
        changes.add(new Change(address, before, Optional.of(driver)));
      } catch (SystemCallException | UncheckedIOException | BindingException e) {
        throw undone(address, driver, touched, e);
      }
    }
    return changes;
  }

  /** What was remembered first counts: a second bind must not remember the first. */
  private void remember(String address, Optional<String> driver) {
    if (records.read(address).isEmpty()) {
      records.write(address, new BindingRecord(driver, bus.override(address)));
    }
  }

  private BindingException undone(
      String address, String driver, List<String> touched, RuntimeException cause) {
    List<String> stuck = new ArrayList<>();
    for (String t : touched.reversed()) {
      try {
        restore(t);
      } catch (SystemCallException | UncheckedIOException | BindingException e) {
        stuck.add(t + " (" + e.getMessage() + ")");
      }
    }
    String state =
        stuck.isEmpty()
            ? "everything is as it was"
            : "not back with its driver: " + String.join(", ", stuck);
    return new BindingException(
        "%s cannot be bound to %s: %s; %s".formatted(address, driver, cause.getMessage(), state),
        cause);
  }

  /**
   * Gives the functions back to the drivers they had. For a function that VFIO has and {@link
   * #bind} knows nothing of, the kernel chooses; one that VFIO does not have stays as it is.
   *
   * @return what has changed, in the order of the addresses
   * @throws BindingException if somebody uses one, before any is touched; or if some could not be
   *     given back, after all have been tried
   */
  public List<Change> release(List<String> addresses) {
    addresses.forEach(a -> checkUnused(a, bus.driver(a)));
    List<Change> changes = new ArrayList<>();
    List<String> failed = new ArrayList<>();
    for (String address : addresses) {
      try {
        Optional<String> before = bus.driver(address);
        if (records.read(address).isEmpty() && before.filter(DriverBinding::isVfios).isEmpty()) {
          continue;
        }
        restore(address);
        changes.add(new Change(address, before, bus.driver(address)));
      } catch (SystemCallException | UncheckedIOException | BindingException e) {
        failed.add(address + ": " + e.getMessage());
      }
    }
    if (!failed.isEmpty()) {
      throw new BindingException("not given back: " + String.join("; ", failed));
    }
    return changes;
  }

  /** Unbinding a function of a group that is open would wait until it is closed. */
  private void checkUnused(String address, Optional<String> driver) {
    if (driver.filter(DriverBinding::isVfios).isEmpty()) {
      return;
    }
    List<String> users = bus.users(address);
    if (!users.isEmpty()) {
      throw new BindingException(
          "%s is in use: its group is open in process %s; end it first"
              .formatted(address, String.join(", ", users)));
    }
  }

  private static boolean isVfios(String driver) {
    return DriverKind.of(driver, false).registersWithVfio();
  }

  private void restore(String address) {
    Optional<BindingRecord> known = records.read(address);
    Optional<String> override = known.flatMap(BindingRecord::override);
    // Nothing known of it: whichever driver the kernel chooses.
    boolean bound = known.isEmpty() || known.get().driver().isPresent();
    Optional<String> wanted = known.flatMap(BindingRecord::driver);
    if (bound) {
      move(address, override, wanted);
    } else {
      bus.override(address, override);
      if (bus.driver(address).isPresent()) {
        bus.unbind(address);
      }
    }
    records.remove(address);
  }

  /** Takes it from whoever has it, has the kernel look for a driver, and looks who got it. */
  private void move(String address, Optional<String> override, Optional<String> wanted) {
    bus.override(address, override);
    Optional<String> current = bus.driver(address);
    if (current.isPresent() && !current.equals(wanted)) {
      bus.unbind(address);
    }
    if (bus.driver(address).isEmpty()) {
      bus.probe(address);
    }
    Optional<String> got = bus.driver(address);
    if (wanted.isPresent() && !got.equals(wanted)) {
      throw new BindingException(
          "%s did not take it, it has %s; the kernel's log says why"
              .formatted(wanted.get(), got.map(d -> "driver " + d).orElse("no driver")));
    }
  }
}
