// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.mdev;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;

/**
 * A function whose driver makes mediated devices of it, with the types it offers and the devices it
 * has. Not thread-safe: its machine's lock covers it.
 */
public final class MdevParent {
  private final Device function;
  private final Map<String, Type> types = new LinkedHashMap<>();
  private final Map<String, MediatedDevice> devices = new LinkedHashMap<>();

  /**
   * A type of mediated device ({@code mdev_supported_types/NAME}).
   *
   * @param name the parent's name for it
   * @param kind what isolates its devices
   * @param instances how many there can be at once
   */
  public record Type(String name, Kind kind, int instances) {}

  /** What isolates the devices of a type; see {@link Isolation}. */
  public enum Kind {
    /** The parent's driver. */
    PLAIN(function -> Isolation.PLAIN),
    /** The IOMMU, for the whole function. */
    BACKED(Isolation.Backed::new),
    /** The IOMMU, by PASID. */
    AUX(Isolation.Aux::new);

    private final Function<Device, Isolation> isolation;

    Kind(Function<Device, Isolation> isolation) {
      this.isolation = isolation;
    }
  }

  /** A parent without types. */
  public MdevParent(Device function) {
    this.function = function;
  }

  /** The function. */
  public Device function() {
    return function;
  }

  /** Offers a type, or replaces the one of that name. */
  public void offer(Type type) {
    types.put(type.name(), type);
  }

  /** The types, in the order they were offered. */
  public List<Type> types() {
    return List.copyOf(types.values());
  }

  /** The devices, oldest first. */
  public List<MediatedDevice> devices() {
    return new ArrayList<>(devices.values());
  }

  /** {@code available_instances} of a type; 0 for one that is not offered. */
  public int available(String type) {
    Type offered = types.get(type);
    if (offered == null) {
      return 0;
    }
    long used = devices.values().stream().filter(d -> d.type().equals(type)).count();
    return (int) Math.max(0, offered.instances() - used);
  }

  /**
   * Makes a device ({@code create}).
   *
   * @throws VfioException ENOENT if the type is not offered, EEXIST if the parent has that UUID,
   *     ENOSPC if the instances are used up
   */
  public MediatedDevice create(String type, String uuid) {
    Type offered = types.get(type);
    if (offered == null) {
      throw new VfioException(
          Errno.ENOENT,
          Reason.BAD_ARGUMENT,
          "%s offers no type %s, only %s".formatted(function.name(), type, types.keySet()),
          function.name());
    }
    if (devices.containsKey(uuid)) {
      throw new VfioException(Errno.EEXIST, Reason.BAD_ARGUMENT, uuid + " exists", uuid);
    }
    if (available(type) == 0) {
      throw new VfioException(
          Errno.ENOSPC,
          Reason.MDEV_INSTANCES,
          "all %d instances of %s on %s are used"
              .formatted(offered.instances(), type, function.name()),
          function.name());
    }
    MediatedDevice made =
        new MediatedDevice(uuid, type, function, offered.kind().isolation.apply(function));
    devices.put(uuid, made);
    return made;
  }

  /** Removes a device of this parent, which gives its instance back. */
  public void remove(MediatedDevice device) {
    devices.remove(device.name(), device);
  }
}
