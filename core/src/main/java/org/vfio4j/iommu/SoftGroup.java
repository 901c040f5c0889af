// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.Refusal;
import org.vfio4j.error.VfioException;
import org.vfio4j.profile.KernelProfile;

/**
 * An IOMMU group of {@link SoftIommu}: its members, its domain, its owner, all under its own lock,
 * which is {@code group->mutex} of the kernel.
 */
final class SoftGroup implements IommuGroup {
  /** What a member's requests are translated by, and how its driver treats DMA. */
  private static final class Member {
    final Translation requests = new Translation();
    final Map<SoftDomain, Integer> aux = new HashMap<>();
    boolean hostDriver;
    boolean auxEnabled;
  }

  private final int id;
  private final IommuUnit unit;
  private final KernelProfile profile;
  private final List<ReservedRegion> regions;
  private final boolean firmwareMapped;
  private final Map<Device, Member> members = new LinkedHashMap<>();

  /** The keys of the members: asked for by every attach, made anew only when one comes or goes. */
  private volatile List<Device> devices = List.of();

  private final Ownership ownership = new Ownership(this);
  private final Lingering lingering = new Lingering(this);
  private int handedOut;
  private int references;
  private int opens;
  private Optional<SoftDomain> domain = Optional.empty();

  SoftGroup(int id, IommuUnit unit, KernelProfile profile, List<ReservedRegion> regions) {
    this.id = id;
    this.unit = unit;
    this.profile = profile;
    this.regions = List.copyOf(regions);
    this.firmwareMapped = regions.stream().anyMatch(r -> r.type() == ReservedRegion.Type.DIRECT);
  }

  @Override
  public int id() {
    return id;
  }

  @Override
  public List<Device> devices() {
    return devices;
  }

  @Override
  public Ownership ownership() {
    return ownership;
  }

  IommuUnit unit() {
    return unit;
  }

  List<ReservedRegion> regions() {
    return regions;
  }

  synchronized void add(Device device) {
    members.put(device, new Member());
    devices = List.copyOf(members.keySet());
    references++;
    domain.ifPresent(d -> member(device).requests.set(d.table()));
  }

  synchronized void remove(Device device) {
    Member gone = members.remove(device);
    if (gone == null) {
      throw new IllegalStateException(device.name() + " is not in group " + id);
    }
    devices = List.copyOf(members.keySet());
    gone.requests.block();
    references--;
  }

  synchronized void acquire() {
    references++;
  }

  synchronized void release() {
    if (references == 0) {
      throw new IllegalStateException("group " + id + " released more often than acquired");
    }
    references--;
  }

  /** References now: one for each member and one for each acquisition not given back. */
  synchronized int references() {
    return references;
  }

  Lingering lingering() {
    return lingering;
  }

  synchronized void handOut() {
    handedOut++;
  }

  synchronized void closeHandedOut() {
    handedOut--;
  }

  synchronized GroupState state() {
    settle();
    if (lingering.lingers()) {
      return GroupState.LINGERING;
    }
    return opens > 0 || ownership.claims() > 0 ? GroupState.HELD : GroupState.FREE;
  }

  private void settle() {
    if (handedOut == 0) {
      lingering.end();
    }
  }

  private void checkSettled() {
    settle();
    lingering.check("VFIO_GROUP_UNSET_CONTAINER");
  }

  synchronized void open() {
    checkSettled();
    opens++;
  }

  synchronized void close() {
    if (opens == 0) {
      throw new IllegalStateException("group " + id + " closed more often than opened");
    }
    opens--;
    if (opens == 0 && handedOut > 0) {
      lingering.begin();
    }
  }

  /** Opens not yet closed. */
  synchronized int opens() {
    return opens;
  }

  synchronized boolean viable() {
    return members.values().stream().noneMatch(m -> m.hostDriver);
  }

  /** Whether user space may claim the group's DMA. */
  synchronized void checkClaim() {
    checkSettled();
    if (!viable()) {
      throw new VfioException(
          Errno.EPERM,
          Reason.GROUP_NOT_VIABLE,
          "a driver of the host uses a member of IOMMU group " + id,
          hostDriven());
    }
    if (profile.rmrrRefusedAtClaim() && firmwareMapped) {
      throw new VfioException(Errno.EINVAL, Reason.RMRR_LOCKED, rmrrMessage(), names());
    }
  }

  /**
   * A driver that uses the host's DMA binds to the member ({@code
   * iommu_device_use_default_domain}).
   *
   * @throws VfioException EBUSY while user space has the group
   */
  synchronized void bindHostDriver(Device device) {
    if (ownership.claims() > 0 || ownership.who().isPresent() || !onDefault()) {
      throw new VfioException(
          Errno.EBUSY,
          Reason.DEVICE_BUSY,
          "IOMMU group %d belongs to a user; no host driver can take %s"
              .formatted(id, device.name()),
          device.name());
    }
    member(device).hostDriver = true;
  }

  synchronized void unbindHostDriver(Device device) {
    member(device).hostDriver = false;
  }

  synchronized void enableAux(Device device, boolean on) {
    member(device).auxEnabled = on;
  }

  synchronized Translation requests(Device device) {
    return member(device).requests;
  }

  synchronized Optional<SoftDomain> domain() {
    return domain;
  }

  /** {@code __iommu_attach_group}: the default-domain rule, then device by device. */
  synchronized void attach(SoftDomain next) {
    boolean protectedByRule = unit.defaultDomain() || !profile.attachReplacesForeignDomain();
    if (protectedByRule && !onDefault()) {
      throw new VfioException(busy("IOMMU group " + id + " has a domain already"));
    }
    List<Member> moved = new ArrayList<>();
    for (Map.Entry<Device, Member> each : members.entrySet()) {
      try {
        checkDevice(each.getKey(), each.getValue(), next);
      } catch (VfioException refused) {
        if (profile.unwindsPartialAttach()) {
          moved.forEach(m -> reset(m, domain));
        } else {
          // The first members stay where they are, until that domain is freed.
          next.join(this);
        }
        throw refused;
      }
      each.getValue().requests.set(next.table());
      moved.add(each.getValue());
    }
    domain.ifPresent(d -> d.leave(this));
    domain = Optional.of(next);
    next.join(this);
  }

  /** {@code __iommu_detach_group}: back to what the host uses, whoever attached it. */
  synchronized void detach() {
    domain.ifPresent(d -> d.leave(this));
    domain = Optional.empty();
    members.values().forEach(m -> m.requests.block());
  }

  /** A domain is being freed: no member may go on translating by it. */
  synchronized void evict(SoftDomain freed) {
    for (Member m : members.values()) {
      if (m.requests.table() == freed.table()) {
        m.requests.block();
      }
    }
  }

  /** A device that has been unplugged. */
  static VfioException gone(Device device) {
    return new VfioException(
        Errno.ENODEV,
        Reason.NO_GROUP,
        device.name() + " is in no IOMMU group any more",
        device.name());
  }

  synchronized int attachAux(SoftDomain next, Device device) {
    Member m = members.get(device);
    if (m == null) {
      throw gone(device);
    }
    if (!m.auxEnabled) {
      throw new VfioException(
          Errno.EPERM, Reason.AUX_MODE, device.name() + " has aux domains off", device.name());
    }
    if (m.aux.isEmpty() ? unit.pasids() < 1 : !m.aux.containsKey(next) && full(m)) {
      throw new VfioException(
          Errno.ENODEV, Reason.NOT_SUPPORTED, device.name() + " has no PASID left", device.name());
    }
    return m.aux.merge(next, 1, Integer::sum);
  }

  /** Undoes one {@link #attachAux}; nothing is left to undo of a device that is gone. */
  synchronized int detachAux(SoftDomain from, Device device) {
    Member m = members.get(device);
    if (m == null) {
      return 0;
    }
    Integer count = m.aux.get(from);
    if (count == null) {
      throw new IllegalStateException(device.name() + " has no PASID on this domain");
    }
    if (count == 1) {
      m.aux.remove(from);
    } else {
      m.aux.put(from, count - 1);
    }
    return count - 1;
  }

  /** PASIDs bound now, over all members. */
  synchronized int pasids() {
    int pasids = 0;
    for (Member m : members.values()) {
      pasids += m.aux.size();
    }
    return pasids;
  }

  private boolean full(Member m) {
    return m.aux.size() >= unit.pasids();
  }

  private boolean onDefault() {
    return domain.isEmpty();
  }

  private void checkDevice(Device device, Member m, SoftDomain next) {
    if (!profile.rmrrRefusedAtClaim() && firmwareMapped) {
      throw new VfioException(Errno.EPERM, Reason.RMRR_LOCKED, rmrrMessage(), device.name());
    }
    if (m.auxEnabled) {
      throw new VfioException(
          Errno.EPERM,
          Reason.AUX_MODE,
          device.name() + " has aux domains on: it cannot be attached as a whole",
          device.name());
    }
    next.checkUnit(unit, device);
  }

  private static void reset(Member m, Optional<SoftDomain> to) {
    to.ifPresentOrElse(d -> m.requests.set(d.table()), m.requests::block);
  }

  private String rmrrMessage() {
    return "firmware keeps identity mappings (RMRR) for IOMMU group " + id;
  }

  private Refusal busy(String message) {
    return Refusal.of(Errno.EBUSY, Reason.BACKING_GROUP_HELD, message, names());
  }

  private String[] names() {
    List<Device> now = devices;
    String[] names = new String[now.size()];
    Arrays.setAll(names, i -> now.get(i).name());
    return names;
  }

  private String[] hostDriven() {
    return members.entrySet().stream()
        .filter(e -> e.getValue().hostDriver)
        .map(e -> e.getKey().name())
        .toArray(String[]::new);
  }

  private Member member(Device device) {
    Member m = members.get(device);
    if (m == null) {
      throw new IllegalStateException(device.name() + " is not in group " + id);
    }
    return m;
  }

  @Override
  public String toString() {
    return "group " + id;
  }
}
