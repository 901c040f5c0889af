// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.vfio4j.host.PciFunction;
import org.vfio4j.linux.bind.DriverBinding.Change;

/** What became of a wish to bind or release devices, for readers and as JSON. */
final class BindingReport {
  private static final Logger LOG = LoggerFactory.getLogger(BindingReport.class);

  private final Console console;
  private final boolean json;

  BindingReport(Console console, boolean json) {
    this.console = console;
    this.json = json;
  }

  /** Nothing was done; or, where drivers refused, what the messages say. */
  int refused(List<String> messages) {
    if (json) {
      Json.print(
          console,
          g -> {
            g.writeStartObject();
            Json.put(g, "refused", messages);
            g.writeEndObject();
          });
    } else {
      messages.forEach(m -> console.err().println("vfio: " + Text.printable(m)));
    }
    return Main.REFUSED;
  }

  /** What would be done. */
  int planned(
      List<String> addresses, Function<String, Optional<PciFunction>> functions, String driver) {
    List<Change> changes =
        addresses.stream()
            .map(
                a ->
                    new Change(
                        a,
                        functions.apply(a).flatMap(f -> f.driver().value()),
                        Optional.of(driver)))
            .filter(c -> !c.before().equals(c.now()))
            .toList();
    return print("planned", addresses, changes);
  }

  /** What was done; an address without a change was so already. */
  int done(List<String> addresses, List<Change> changes) {
    for (Change change : changes) {
      LOG.atInfo()
          .addKeyValue("device", change.address())
          .log("from {} to {}", name(change.before()), name(change.now()));
    }
    return print("done", addresses, changes);
  }

  private int print(String word, List<String> addresses, List<Change> changes) {
    if (json) {
      Json.print(
          console,
          g -> {
            g.writeStartObject();
            Json.objects(
                g,
                word,
                changes,
                (o, c) -> {
                  Json.put(o, "device", c.address());
                  Json.put(o, "before", c.before());
                  Json.put(o, "now", c.now());
                });
            g.writeEndObject();
          });
      return Main.OK;
    }
    Map<String, Change> byAddress =
        changes.stream().collect(Collectors.toMap(Change::address, c -> c));
    for (String address : addresses) {
      Change change = byAddress.get(address);
      console
          .out()
          .println(
              change == null
                  ? address + "  as it was"
                  : "%s  %s → %s".formatted(address, name(change.before()), name(change.now())));
    }
    return Main.OK;
  }

  private static String name(Optional<String> driver) {
    return driver.map(Text::printable).orElse("no driver");
  }
}
