// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.host.tree.Tree;

/** Reads what a request says of how a VM is served: keys of the VM, and of its devices. */
final class ServingReader {
  static final String DEVICE = "device";

  private static final Pattern TIME = Pattern.compile("([1-9][0-9]{0,5})(ms|s|min)");
  private static final String NONE = "none";

  private final Tree.Obj vm;
  private final boolean mmap;
  private final List<BuiltIn> builtIn = new ArrayList<>();
  private final Map<String, Serving.Handling> handling = new HashMap<>();

  ServingReader(Tree.Obj vm) {
    this.vm = vm;
    mmap = vm.field("mmap").map(ServingReader::mmap).orElse(true);
  }

  /** Whether an item of the devices is a built-in one; it is taken then. */
  boolean builtIn(Tree item) {
    if (!(item instanceof Tree.Obj object)) {
      return false;
    }
    Optional<Tree> name = object.field(DEVICE);
    Optional<BuiltIn> found = name.flatMap(n -> BuiltIn.of(n.asScalar().strip()));
    if (found.isEmpty()) {
      name.ifPresent(
          n -> {
            if (n.asScalar().strip().matches("[A-Za-z]+")) {
              throw n.at().error("is an address, or a device of ours: ioat, edu");
            }
          });
      return false;
    }
    object.only(Set.of(DEVICE));
    builtIn.add(found.get());
    return true;
  }

  /** What is said of a device of the host. */
  void handled(DeviceRequest device, Tree item) {
    boolean own = mmap;
    boolean reset = true;
    if (item instanceof Tree.Obj object) {
      own = object.field("mmap").map(ServingReader::mmap).orElse(mmap);
      reset = object.field("reset").map(ServingReader::reset).orElse(true);
    }
    Serving.Handling said = new Serving.Handling(own, reset);
    if (!said.equals(Serving.Handling.USUAL)) {
      handling.put(device.device(), said);
    }
  }

  /**
   * All that was said.
   *
   * @throws IllegalArgumentException if a value is out of its bounds
   */
  Serving serving() {
    return new Serving(
        vm.field("user").map(Tree::asScalar),
        vm.field("group").map(Tree::asScalar),
        vm.field("mode").map(Tree::asScalar),
        vm.field("timeout").map(ServingReader::time),
        vm.field("shared").map(Tree::asBoolean).orElse(false),
        builtIn,
        handling,
        vm.field("qmp").map(Tree::asScalar));
  }

  private static boolean mmap(Tree tree) {
    return switch (tree.asScalar().strip()) {
      case DEVICE -> true;
      case NONE -> false;
      default -> throw tree.at().error("mmap is device or none: " + tree.asScalar());
    };
  }

  private static boolean reset(Tree tree) {
    if (!tree.asScalar().strip().equals(NONE)) {
      throw tree.at().error("reset is none, or is not said: " + tree.asScalar());
    }
    return false;
  }

  private static Duration time(Tree tree) {
    Matcher m = TIME.matcher(tree.asScalar().strip());
    if (!m.matches()) {
      throw tree.at()
          .error("a time is 80s, 500ms or 2min, of six digits at most: " + tree.asScalar());
    }
    long number = Long.parseLong(m.group(1));
    return switch (m.group(2)) {
      case "ms" -> Duration.ofMillis(number);
      case "s" -> Duration.ofSeconds(number);
      default -> Duration.ofMinutes(number);
    };
  }
}
