// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What NVIDIA's driver makes of a virtual function in place of a mediated device, on its GPUs from
 * Ada on: the function itself is the virtual GPU once a type has been written to it, and goes to a
 * VM from the driver that has it, without vfio-pci. In sysfs: {@code nvidia/current_vgpu_type} and
 * {@code nvidia/creatable_vgpu_types} of the function.
 *
 * @param current id of its type; none: it has none yet, and no VM can open it
 * @param creatable the types that can be made of it now; empty where the source does not say
 */
public record Vgpu(Fact<Integer> current, Optional<List<Type>> creatable) {

  private static final Pattern TITLE = Pattern.compile("\\s*ID\\s*:.*");
  private static final Pattern LINE = Pattern.compile("\\s*([0-9]{1,9})\\s*:\\s*(\\S.*?)\\s*");

  /**
   * A type of virtual GPU.
   *
   * @param id its number, which is what is written
   * @param name its name, such as {@code NVIDIA L40S-2Q}
   */
  public record Type(int id, String name) {
    @Override
    public String toString() {
      return id + " (" + name + ")";
    }
  }

  /** Copies the list. */
  public Vgpu {
    creatable = creatable.map(List::copyOf);
  }

  /** The folder of a function that has such files. */
  static final String FOLDER = "nvidia/";

  /** Where the type of a function is written. */
  public static String file(PciAddress function) {
    return "/sys/bus/pci/devices/" + function + "/" + FOLDER + "current_vgpu_type";
  }

  /** Reads what a function has of it; empty if it has none of the files. */
  static Optional<Vgpu> read(FunctionAttributes.Store store) {
    Optional<String> current = store.text(FOLDER + "current_vgpu_type");
    Optional<String> creatable = store.text(FOLDER + "creatable_vgpu_types");
    if (!store.exists(FOLDER + "current_vgpu_type") && creatable.isEmpty()) {
      return Optional.empty();
    }
    Fact<Integer> type =
        current
            .filter(t -> t.matches("[0-9]{1,9}"))
            .map(Integer::valueOf)
            .map(n -> n == 0 ? Fact.<Integer>none() : Fact.known(n))
            .orElse(Fact.unknown());
    return Optional.of(new Vgpu(type, creatable.flatMap(Vgpu::types)));
  }

  /** The types of a listing under a title; empty where a line of it is of another form. */
  static Optional<List<Type>> types(String listing) {
    List<Type> types = new ArrayList<>();
    for (String line : listing.lines().filter(l -> !l.isBlank()).toList()) {
      Matcher type = LINE.matcher(line);
      if (type.matches()) {
        types.add(new Type(Integer.parseInt(type.group(1)), type.group(2)));
      } else if (!TITLE.matcher(line).matches()) {
        return Optional.empty();
      }
    }
    return Optional.of(types);
  }
}
