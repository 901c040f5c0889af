// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.vfio4j.assign.AnsweringKernel;
import org.vfio4j.assign.Assumption;
import org.vfio4j.assign.Beyond;
import org.vfio4j.assign.DeviceRefusal;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Fix;
import org.vfio4j.assign.RefusalCode;
import org.vfio4j.assign.Step;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VmVerdict;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciIds;
import picocli.CommandLine.Help.Ansi.Style;

/** A verdict for people: a sentence first, then each VM, then what to do and what was assumed. */
final class CheckRendering {
  private static final int FEW = 4;

  /** Columns that facts beside a device's name need, so that they are not a ragged column. */
  private static final int MIN_FACTS = 36;

  /** Columns before the name of a device. */
  private static final int BEFORE_NAME = 4;

  private final Console console;
  private final HostTopology host;
  private final PciIds names;

  /** Devices that were named in words: each is once, where it comes first. */
  private final Set<String> named = new HashSet<>();

  CheckRendering(Console console, HostTopology host, PciIds names) {
    this.console = console;
    this.host = host;
    this.names = names;
  }

  void print(Verdict verdict, int running) {
    verdict.vms().forEach(this::vm);
    List<String> steps =
        verdict.devices().flatMap(d -> d.steps().stream()).map(Step::sentence).toList();
    if (!steps.isEmpty()) {
      line("");
      heading("before the VMs start");
      steps.forEach(s -> indented(Text.printable(s), "  "));
    }
    beyond(verdict);
    warnings(verdict);
    assumed(verdict);
    line("");
    answering(verdict.findings().kernel());
    line(summary(verdict, Text.printable(host.name()), running));
  }

  private String summary(Verdict verdict, String host, int running) {
    long devices = verdict.devices().count();
    long refused = verdict.devices().filter(DeviceVerdict::refused).count();
    String what =
        "%s for %s on %s%s, kernel %s"
            .formatted(
                Text.count(devices, "device"),
                Text.count(verdict.vms().size(), "VM"),
                host,
                running == 0 ? "" : ", beside " + Text.count(running, "running VM"),
                verdict.kernel());
    if (verdict.admitted()) {
      return answer(Style.fg_green, "admitted", what);
    }
    String why = refused > 0 ? "%d of %s".formatted(refused, what) : what + strictly(verdict);
    return answer(Style.fg_red, "refused", why);
  }

  private String answer(Style style, String word, String rest) {
    String wrapped = Text.wrap(word + ": " + rest, console.width(), "", "  ");
    return console.paint(style, word) + wrapped.substring(word.length());
  }

  private void heading(String text) {
    line(console.paint(Style.bold, Text.wrap(text, console.width(), "", "  ")));
  }

  private static String strictly(Verdict verdict) {
    List<String> reasons = new ArrayList<>();
    if (verdict instanceof Verdict.Refused refused) {
      for (Verdict.Strictness each : refused.strictly()) {
        reasons.add(
            switch (each) {
              case ASSUMED ->
                  "%s had to be assumed".formatted(Text.count(verdict.assumed().size(), "fact"));
              case BEYOND_LINUX ->
                  "%s no Linux does".formatted(Text.count(verdict.beyond().size(), "thing"));
            });
      }
    }
    return reasons.isEmpty() ? "" : ", as " + String.join(" and ", reasons);
  }

  private void answering(AnsweringKernel kernel) {
    String iommufd =
        kernel.hasIommufd()
            ? " A VMM set up for iommufd instead of VFIO's groups gets other answers."
            : "";
    line(
        console.paint(
            Style.faint,
            Text.wrap(
                "answered as " + kernel.sentence() + "." + iommufd, console.width(), "", "  ")));
  }

  private void beyond(Verdict verdict) {
    if (!verdict.beyond().isEmpty()) {
      line("");
      heading("beyond Linux: answered by the engine's own rules");
      verdict.beyond().stream()
          .map(Beyond::message)
          .distinct()
          .forEach(m -> indented(Text.printable(m), "  "));
    }
  }

  private void warnings(Verdict verdict) {
    if (!verdict.warnings().isEmpty()) {
      line("");
      heading("not refused, and worth knowing");
      verdict.warnings().stream()
          .map(w -> w.vm() + ": " + w.message())
          .distinct()
          .forEach(m -> indented(Text.printable(m), "  "));
    }
  }

  private void vm(VmVerdict vm) {
    String locked = vm.lockedBytes() > 0 ? "  " + size(vm.lockedBytes()) + " of memory locked" : "";
    String name = Text.printable(vm.name());
    boolean fits = Text.width(name + locked) <= console.width();
    line(console.paint(Style.bold, name) + (fits ? faint(locked) : ""));
    if (!fits && !locked.isEmpty()) {
      indented(locked, "  ");
    }
    int width = vm.devices().stream().mapToInt(d -> Text.width(name(d))).max().orElse(0);
    for (DeviceVerdict device : vm.devices()) {
      device(device, width);
    }
  }

  private static String name(DeviceVerdict d) {
    return Text.printable(d.request().device());
  }

  private void device(DeviceVerdict d, int width) {
    String mark =
        d.refused()
            ? console.paint(Style.fg_red, console.glyph("✗", "x"))
            : console.paint(Style.fg_green, console.glyph("✓", "+"));
    List<String> facts = new ArrayList<>();
    d.group().ifPresent(g -> facts.add("group " + g));
    if (d.backingGroup().isPresent() && !d.backingGroup().equals(d.group())) {
      facts.add("backed by group " + d.backingGroup().getAsInt());
    }
    d.container()
        .ifPresent(
            c ->
                d.domain()
                    .ifPresent(n -> facts.add("domain %d of %s".formatted(n, Text.printable(c)))));
    if (!d.sharing().isEmpty()) {
      facts.add("shared with " + String.join(", ", d.sharing()));
    }
    inWords(d.request().device()).ifPresent(facts::add);
    String mode = Text.pad(d.request().mode().word(), "emulated".length());
    row("  " + mark + " ", name(d), width, mode, String.join(", ", facts));
    d.refusal().ifPresent(this::refusal);
  }

  private Optional<String> inWords(String device) {
    return PciAddress.tryParse(device)
        .flatMap(host::function)
        .flatMap(f -> ProductName.shown(f, names))
        .filter(_ -> named.add(device));
  }

  /** A device in one line, or with its facts below one another, or below its name. */
  private void row(String before, String name, int width, String mode, String facts) {
    String head = Text.pad(name, width) + "  " + mode;
    int column = BEFORE_NAME + Text.width(head) + 2;
    if (column + Text.width(facts) <= console.width()) {
      line(before + head + "  " + faint(facts));
    } else if (column + MIN_FACTS <= console.width()) {
      String beside = Text.wrap(facts, console.width(), "", " ".repeat(column));
      line(before + head + "  " + faint(beside));
    } else {
      String both = name + "  " + mode.strip();
      boolean fits = BEFORE_NAME + Text.width(both) <= console.width();
      line(before + (fits ? both : name));
      indented(fits ? facts : mode.strip() + ", " + facts, "      ");
    }
  }

  private String faint(String text) {
    return console.paint(Style.faint, text);
  }

  private void refusal(DeviceRefusal r) {
    String holder =
        r.holder()
            .map(
                h ->
                    "; %s%s has it%s"
                        .formatted(
                            h.vm(),
                            running(h),
                            h.devices().isEmpty()
                                ? ""
                                : " through " + String.join(", ", h.devices())))
            .orElse("");
    indented(Text.printable(r.message() + holder), "      ");
    if (r.code() == RefusalCode.Host.NO_SUCH_DEVICE || r.code() == RefusalCode.Host.BRIDGE) {
      indented("bad input (" + r.code() + ")", "      ");
    } else {
      call(r);
    }
    String first = console.glyph("→", "->") + " ";
    for (Fix fix : r.fixes()) {
      boolean other = !fix.equals(r.fixes().getFirst());
      line(
          console.paint(
              Style.fg_cyan,
              Text.wrap(
                  Text.printable((other ? "or " : "") + fix.sentence()),
                  console.width(),
                  "      " + first,
                  "        ")));
    }
  }

  private void call(DeviceRefusal r) {
    String errno = r.errno().map(e -> e.name() + " from ").orElse("never asked: ");
    indented(errno + r.call() + " (" + r.code() + ")", "      ");
  }

  private static String running(DeviceRefusal.HolderVm holder) {
    String process = holder.pid().isPresent() ? ", process " + holder.pid().getAsLong() : "";
    return holder.running() ? " (running%s)".formatted(process) : "";
  }

  /** Assumptions of a kind stand together: what is unknown of ten groups is one line. */
  private void assumed(Verdict verdict) {
    if (verdict.assumed().isEmpty()) {
      return;
    }
    Map<String, List<String>> subjects = new LinkedHashMap<>();
    for (Assumption a : verdict.assumed()) {
      String what = "%s unknown, taken as: %s".formatted(a.unknown(), a.taken());
      subjects.computeIfAbsent(what, k -> new ArrayList<>()).add(a.subject());
    }
    line("");
    heading("assumed, as the source does not say");
    subjects.forEach(
        (what, of) -> {
          String names = of.stream().limit(FEW).collect(Collectors.joining(", "));
          String more = of.size() > FEW ? " and %d more".formatted(of.size() - FEW) : "";
          indented(Text.printable(names + more + ": " + what), "  ");
        });
  }

  private void indented(String text, String indent) {
    line(Text.wrap(text, console.width(), indent, indent + "  "));
  }

  private void line(String text) {
    console.out().println(text);
  }

  private static String size(long bytes) {
    return bytes < 1L << 30
        ? (bytes >> 20) + " MiB"
        : String.format(Locale.ROOT, "%.1f GiB", bytes / (double) (1L << 30));
  }
}
