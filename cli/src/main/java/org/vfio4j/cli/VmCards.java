// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.vfio4j.assign.DeviceRefusal;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Mode;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RunningVm;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VmVerdict;

/** Draws the VMs of a request, each with what it asks for and why that is refused. */
final class VmCards {

  /** More VMs than these are counted. */
  private static final int MOST_VMS = 12;

  /** So many of them at most are drawn for being refused; then there is room for their holders. */
  private static final int MOST_REFUSED = 8;

  /** More devices of a VM than these are counted. */
  private static final int MOST_DEVICES = 16;

  private static final double ROW = 25;
  private static final double PAD = 12;
  private static final double GAP = 14;

  private final Sketch sketch;
  private final double left;
  private final double right;
  private final List<Wish> wishes = new ArrayList<>();

  VmCards(Sketch sketch, double left, double right) {
    this.sketch = sketch;
    this.left = left;
    this.right = right;
  }

  /** What stands where, once it is drawn. */
  List<Wish> wishes() {
    return wishes;
  }

  /** Draws from there downwards; answers where that ends. */
  double draw(double top, Verdict verdict, Request request) {
    List<VmVerdict> all = verdict.vms();
    List<VmVerdict> drawn = all;
    if (all.size() > MOST_VMS) {
      List<VmVerdict> refused = all.stream().filter(VmCards::refused).limit(MOST_REFUSED).toList();
      Set<String> first =
          Stream.of(names(refused), holders(refused), names(all))
              .flatMap(names -> names)
              .distinct()
              .limit(MOST_VMS)
              .collect(Collectors.toSet());
      drawn = all.stream().filter(v -> first.contains(v.name())).toList();
    }
    double y = top;
    int number = 0;
    for (VmVerdict vm : drawn) {
      y = card(vm, Colour.ofVm(number), y);
      number++;
    }
    int more = all.size() - drawn.size();
    if (more > 0) {
      long shown = drawn.stream().filter(VmCards::refused).count();
      long refused = all.stream().filter(VmCards::refused).count() - shown;
      String text =
          "and %s more%s"
              .formatted(
                  Text.count(more, "VM"),
                  refused > 0 ? ", %d of them refused".formatted(refused) : "");
      y = sketch.lines(left, y + 12, right - left, 2, Face.BODY, Colour.DIM, text) + 4;
    }
    Set<String> holders =
        verdict
            .devices()
            .flatMap(d -> d.refusal().flatMap(DeviceRefusal::holder).stream())
            .filter(DeviceRefusal.HolderVm::running)
            .map(DeviceRefusal.HolderVm::vm)
            .collect(Collectors.toSet());
    for (RunningVm vm : request.running()) {
      if (holders.contains(vm.name())) {
        y = running(vm, y);
      }
    }
    return y - GAP;
  }

  private static Stream<String> names(List<VmVerdict> vms) {
    return vms.stream().map(VmVerdict::name);
  }

  private static Stream<String> holders(List<VmVerdict> vms) {
    return vms.stream()
        .flatMap(vm -> vm.devices().stream())
        .flatMap(d -> d.refusal().flatMap(DeviceRefusal::holder).stream())
        .map(DeviceRefusal.HolderVm::vm);
  }

  private static boolean refused(VmVerdict vm) {
    return vm.devices().stream().anyMatch(DeviceVerdict::refused);
  }

  private double card(VmVerdict vm, Colour colour, double top) {
    int mark = sketch.mark();
    double y = head(vm.name(), locked(vm.lockedBytes()), colour, top);
    for (DeviceVerdict device : vm.devices().stream().limit(MOST_DEVICES).toList()) {
      wishes.add(
          new Wish(vm.name(), colour, device.request().device(), Optional.of(device), y + ROW / 2));
      y = row(device, colour, y);
    }
    int more = vm.devices().size() - MOST_DEVICES;
    if (more > 0) {
      long refused =
          vm.devices().stream().skip(MOST_DEVICES).filter(DeviceVerdict::refused).count();
      String text = "and %d more, %d of them refused".formatted(more, refused);
      sketch.text(left + 20, y + 14, right - left - 32, Face.SMALL, Colour.DIM, text);
      y += 20;
    }
    return close(mark, colour, top, y);
  }

  private double running(RunningVm vm, double top) {
    int mark = sketch.mark();
    String process = vm.pid().isPresent() ? "process " + vm.pid().getAsLong() : "runs already";
    double y = head(vm.name(), process, Colour.DIM, top);
    for (String device : vm.devices().stream().limit(MOST_DEVICES).toList()) {
      wishes.add(new Wish(vm.name(), Colour.DIM, device, Optional.empty(), y + ROW / 2));
      sketch.text(left + 38, y + 17, right - left - 50, Face.MONO, Colour.INK, brief(device));
      y += ROW;
    }
    if (!vm.groups().isEmpty()) {
      String text =
          "has open: group "
              + vm.groups().stream().map(String::valueOf).collect(Collectors.joining(", "));
      sketch.text(left + 20, y + 14, right - left - 32, Face.SMALL, Colour.INK, text);
      y += 20;
    }
    return close(mark, Colour.DIM, top, y);
  }

  private double head(String name, String beside, Colour colour, double top) {
    sketch.open(name);
    sketch.icon(Icon.VM, left + 16, top + 9, 20, colour);
    double end = sketch.textEnding(right - PAD, top + 24, 150, Face.SMALL, Colour.DIM, beside);
    sketch.text(left + 44, top + 24, end - left - 52, Face.HEAD, colour, name);
    return top + 38;
  }

  private double close(int mark, Colour colour, double top, double y) {
    sketch.close();
    Area area = new Area(left, top, right - left, y + 7 - top);
    sketch.below(mark, new Area(left + 6, top + 9, 4, area.height() - 18), 2, Paint.solid(colour));
    sketch.below(mark, area, 10, Paint.solid(Colour.PANEL).edged(colour, 1.5));
    return area.bottom() + GAP;
  }

  private static String locked(long bytes) {
    return bytes == 0
        ? ""
        : String.format(Locale.ROOT, "%.1f GiB locked", bytes / (double) (1L << 30));
  }

  /** What is asked for, short. */
  static String brief(String device) {
    return org.vfio4j.host.PciAddress.tryParse(device)
        .map(DeviceTiles::brief)
        .orElse(device.length() > 13 ? device.substring(0, 8) + "\u2026" : device);
  }

  private double row(DeviceVerdict device, Colour colour, double top) {
    boolean refused = device.refused();
    Icon icon = refused ? Icon.CROSS : Icon.TICK;
    sketch.icon(icon, left + 19, top + 6, 13, refused ? Colour.KEPT : colour);
    double y = top + 17;
    double limit = right - PAD;
    double x =
        sketch.text(
            left + 40,
            y,
            limit - left - 40,
            Face.MONO,
            Colour.INK,
            brief(device.request().device()));
    Mode mode = device.request().mode();
    String how = mode == Mode.WHOLE ? "" : mode.word();
    sketch.text(x + 8, y, limit - x - 8, Face.SMALL, Colour.DIM, how);
    if (device.refusal().isEmpty()) {
      return top + ROW;
    }
    DeviceRefusal refusal = device.refusal().get();
    double room = limit - left - 40;
    String code =
        refusal.errno().map(e -> e.name() + " \u00b7 ").orElse("") + refusal.code().name();
    sketch.text(left + 40, y + 17, room, Face.STRONG, Colour.KEPT, code);
    double end =
        sketch.lines(left + 40, y + 34, room, 5, Face.SMALL, Colour.INK, refusal.message());
    if (!refusal.fixes().isEmpty()) {
      String fix = "\u2192 " + refusal.fixes().getFirst().sentence();
      end = sketch.lines(left + 40, end + 2, room, 4, Face.SMALL, colour, fix);
    }
    return end - 7;
  }
}
