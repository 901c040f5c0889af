// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.Vgpu;

/** Something that has to be done on the host before a VM starts, or that happens to it then. */
public sealed interface Step {

  /** The step in a user's words, without a full stop. */
  String sentence();

  /**
   * A function gets another driver.
   *
   * @param device its address
   * @param driver the driver that it gets
   * @param before the one it has, empty where it has none or that is not known
   * @param known whether it is known what it has
   */
  record Bind(String device, String driver, Optional<String> before, boolean known)
      implements Step {
    @Override
    public String sentence() {
      String now =
          known ? before.map(d -> "now " + d).orElse("now unbound") : "its driver now is not known";
      return "bind %s to %s (%s)".formatted(device, driver, now);
    }
  }

  /**
   * A mediated device is made.
   *
   * @param parent the device that offers it
   * @param type its type
   */
  record CreateMdev(String parent, String type) implements Step {
    @Override
    public String sentence() {
      return "create an mdev of type %s on %s".formatted(type, parent);
    }
  }

  /**
   * A mediated device that is defined is started.
   *
   * @param parent the device that offers it
   * @param type its type
   * @param mdev its name
   */
  record StartMdev(String parent, String type, UUID mdev) implements Step {
    @Override
    public String sentence() {
      return "start mdev %s, a %s on %s: mdevctl start -p %s -u %s"
          .formatted(mdev, type, parent, parent, mdev);
    }
  }

  /**
   * A virtual function gets the type of virtual GPU that it is to be, from its vendor's driver,
   * which keeps it.
   *
   * @param function the function
   * @param types those that can be made of it; empty where the source does not say
   */
  record ChooseVgpu(PciAddress function, List<Vgpu.Type> types) implements Step {
    private static final int SHOWN = 6;

    /** Copies the list. */
    public ChooseVgpu {
      types = List.copyOf(types);
    }

    @Override
    public String sentence() {
      String file = Vgpu.file(function);
      if (types.isEmpty()) {
        return "make %s a vGPU: echo ID > %s, with an ID of creatable_vgpu_types beside it"
            .formatted(function, file);
      }
      String shown =
          types.stream().limit(SHOWN).map(Vgpu.Type::toString).collect(Collectors.joining(", "));
      String more = types.size() > SHOWN ? " or %d more".formatted(types.size() - SHOWN) : "";
      return "make %s a vGPU: echo ID > %s, with ID %s%s".formatted(function, file, shown, more);
    }
  }

  /**
   * Mediated devices go, as the driver leaves that has made them.
   *
   * @param parent the device that offers them
   * @param driver the driver that leaves
   * @param mdevs the mediated devices
   */
  record LoseMdevs(String parent, Optional<String> driver, List<UUID> mdevs) implements Step {
    /** Copies the list. */
    public LoseMdevs {
      mdevs = List.copyOf(mdevs);
    }

    @Override
    public String sentence() {
      return "expect mdev %s to go: %s removes what it has made of %s when it leaves"
          .formatted(
              String.join(" and ", mdevs.stream().map(UUID::toString).toList()),
              driver.orElse("its driver"),
              parent);
    }
  }
}
