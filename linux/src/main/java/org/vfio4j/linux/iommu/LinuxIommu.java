// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.vfio4j.error.Errno;
import org.vfio4j.error.Reason;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.GroupState;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.linux.sysfs.LinuxDevice;
import org.vfio4j.linux.sysfs.Sysfs;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.GroupCalls;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.mdev.MediatedGroup;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.KeptDescriptors;
import org.vfio4j.posix.OpenFiles;
import org.vfio4j.posix.SystemCalls;
import org.vfio4j.vfio.Vfio;

/**
 * The IOMMU of this machine, through the kernel's own VFIO: a domain is a container of the kernel,
 * a group is held by its descriptor. Above it {@link org.vfio4j.type1.Container} tracks attaches as
 * above any IOMMU, so that several wrapped devices of one group serve one address space although
 * the kernel lets the group be opened only once.
 *
 * <p>Pinning and accounting are the kernel's: memory is to be an address space of {@link
 * ProcessMemory}. Refusals carry the kernel's errno and the kernel's call, and the process that
 * stands in the way where {@code /proc} shows it. Thread-safe.
 */
public final class LinuxIommu implements Iommu {
  /** Above all numbers that the kernel, or a machine with wrapped devices, gives groups. */
  private static final AtomicInteger NEXT_USER = new AtomicInteger(1 << 28);

  /** What the kernel answers where neither slot nor bus can be reset, or not by a user. */
  private static final Set<Errno> NO_SUCH_RESET =
      Set.of(Errno.ENODEV, Errno.EPERM, Errno.EINVAL, Errno.ENOTTY);

  private final SystemCalls calls;
  private final Sysfs sysfs;
  private final Function<Path, Optional<OpenFiles.User>> lookup;
  private final KeptFiles kept;

  /** Those that another process has begun, until all is taken over. */
  private final List<LinuxDomain> resuming = new CopyOnWriteArrayList<>();

  /** By number. Never forgotten: a number that comes back is the same file again. */
  private final Map<Integer, LinuxGroup> groups = new ConcurrentHashMap<>();

  /** The IOMMU as these system calls reach it. */
  public LinuxIommu(SystemCalls calls) {
    this(calls, Sysfs.ofThisMachine());
  }

  /**
   * The IOMMU as these system calls reach it.
   *
   * @param sysfs where devices and groups are found
   */
  public LinuxIommu(SystemCalls calls, Sysfs sysfs) {
    this(calls, sysfs, OpenFiles::first);
  }

  /** With another way to find who has a file open. */
  LinuxIommu(SystemCalls calls, Sysfs sysfs, Function<Path, Optional<OpenFiles.User>> lookup) {
    this(calls, sysfs, lookup, new KeptFiles(KeptDescriptors.NONE));
  }

  /**
   * The IOMMU of a process that others follow: what it has open is kept, and what was kept by the
   * process before can be {@linkplain #resumeGroup taken over}. {@link #resumed} ends that.
   *
   * @param kept where groups and containers are kept, {@code g} and {@code c} with a number; what
   *     is there is taken over
   */
  public LinuxIommu(SystemCalls calls, Sysfs sysfs, KeptDescriptors kept) {
    this(calls, sysfs, OpenFiles::first, new KeptFiles(kept));
  }

  private LinuxIommu(
      SystemCalls calls,
      Sysfs sysfs,
      Function<Path, Optional<OpenFiles.User>> lookup,
      KeptFiles kept) {
    this.calls = calls;
    this.sysfs = sysfs;
    this.lookup = lookup;
    this.kept = kept;
  }

  /**
   * The one that all of this process should use: the kernel gives a group to one opener, so that
   * who has another {@code LinuxIommu} is refused what is open here.
   */
  public static LinuxIommu ofThisProcess() {
    return OfThisProcess.IOMMU;
  }

  private static final class OfThisProcess {
    static final LinuxIommu IOMMU = new LinuxIommu(SystemCalls.libc());
  }

  /**
   * A user of a function. Attached to a {@link org.vfio4j.type1.Container} it is one user of the
   * function's group more, as a device that wraps the function is: the first of them attaches the
   * group, and with the last it goes.
   *
   * @param function its PCI address
   */
  public IommuGroup user(String function) {
    LinuxDevice device = LinuxDevice.pci(function);
    return new MediatedGroup(
        NEXT_USER.getAndIncrement(),
        new MediatedDevice(function, "user", device, new Isolation.Backed(device)));
  }

  /**
   * The group of a device; empty if there is no such device, or no IOMMU serves it.
   *
   * @param device a PCI address, or another bus's name
   */
  public Optional<IommuGroup> groupOf(String device) {
    return sysfs.groupOf(device).stream().mapToObj(this::known).findFirst();
  }

  /** The group of that number. */
  public Optional<IommuGroup> group(int number) {
    return sysfs.exists(number) ? Optional.of(known(number)) : Optional.empty();
  }

  private IommuGroup known(int number) {
    return groups.computeIfAbsent(number, n -> new LinuxGroup(n, sysfs, calls, lookup, kept));
  }

  /** The device of that name. */
  public Optional<Device> device(String name) {
    return sysfs.device(name).map(d -> d);
  }

  /**
   * Opens a function whose group is attached (GET_DEVICE_FD). Each call gives a descriptor of its
   * own, for its caller to close before he detaches; those that are open when the last user's
   * detach comes are closed by it.
   *
   * @param name its PCI address
   * @throws VfioException ENODEV if there is no such device or no VFIO driver has it, EINVAL if the
   *     group is not attached, EACCES without the token that its physical function wants
   */
  public DeviceCalls openDevice(String name) {
    LinuxGroup group = linux(groupOf(bare(name)).orElseThrow(() -> unknown(name)));
    return group.openDevice(name);
  }

  /**
   * What a reset of the slot or bus of a device resets with it, itself included.
   *
   * @param device open
   * @param name its PCI address
   * @return empty if there is no such reset, or it would reach a function without a driver of VFIO,
   *     or a group that neither the device's own owner has nor nobody
   */
  public List<Vfio.Dependent> resetsTogether(DeviceCalls device, String name) {
    List<Vfio.Dependent> dependents;
    try {
      dependents = device.hotResetInfo();
    } catch (VfioException none) {
      if (!NO_SUCH_RESET.contains(none.errno())) {
        throw none;
      }
      return List.of();
    }
    Optional<Ownership.Owner> owner = groupOf(name).flatMap(g -> g.ownership().who());
    // The kernel resets no bus with a function that VFIO does not have, though nobody uses it.
    boolean all =
        dependents.stream().allMatch(d -> sysfs.offered(d.address()))
            && groups(dependents).stream().allMatch(g -> mayReset(g, owner));
    return all ? dependents : List.of();
  }

  private List<LinuxGroup> groups(List<Vfio.Dependent> dependents) {
    return dependents.stream()
        .map(Vfio.Dependent::group)
        .distinct()
        .map(n -> linux(known(n)))
        .toList();
  }

  private static boolean mayReset(LinuxGroup group, Optional<Ownership.Owner> owner) {
    Optional<Ownership.Owner> who = group.ownership().who();
    return who.equals(owner) || (who.isEmpty() && group.viable());
  }

  /**
   * Resets the slot or bus of a device, with all that is on it (VFIO_DEVICE_PCI_HOT_RESET).
   *
   * @param device open
   * @param name its PCI address
   * @throws VfioException EPERM if there is no such reset, or it would reset what somebody else
   *     has; what the kernel answers
   */
  public void hotReset(DeviceCalls device, String name) {
    List<LinuxGroup> set = groups(resetsTogether(device, name));
    if (set.isEmpty()) {
      throw new VfioException(
          Errno.EPERM,
          Reason.DEVICE_BUSY,
          "the bus of %s cannot be reset, or not without what others have".formatted(name),
          name);
    }
    List<LinuxGroup> open = new ArrayList<>();
    try {
      for (LinuxGroup each : set) {
        each.open();
        open.add(each);
      }
      device.hotReset(open.stream().map(LinuxGroup::opened).toList());
    } finally {
      open.forEach(LinuxGroup::close);
    }
  }

  /**
   * Takes over a group that the process before had. It is attached next, as any other: nothing is
   * asked of the hardware then, and what is mapped in its container stays. Each range is mapped
   * anew then by {@link org.vfio4j.type1.Container#map}, which gives it its address in this
   * process, and maps what is not there.
   *
   * @param number the kernel's
   * @param container the name that {@link #containerOf} gave for it; empty if it was in none, and
   *     only lingers
   * @return whether both were kept; if not, nothing has changed
   */
  public boolean resumeGroup(int number, Optional<String> container) {
    Optional<KeptContainer> in = container.flatMap(kept::container);
    if (container.isPresent() && in.isEmpty()) {
      return false;
    }
    Optional<GroupCalls> file = kept.group(number);
    file.ifPresent(f -> linux(known(number)).resume(f, in));
    return file.isPresent();
  }

  /**
   * Takes over a device that the process before has opened.
   *
   * @param name its PCI address; its group is attached
   * @param file from {@link DeviceCalls#descriptor}, kept
   * @return as of {@link #openDevice}
   */
  public DeviceCalls resumeDevice(String name, Descriptor file) {
    DeviceCalls device = new DeviceCalls(file);
    linux(groupOf(bare(name)).orElseThrow(() -> unknown(name))).resumeDevice(device);
    return device;
  }

  /** Everything is taken over: what was kept besides is given back, and what is mapped is new. */
  public void resumed() {
    resuming.forEach(LinuxDomain::resumed);
    resuming.clear();
    kept.closeRest();
  }

  /** The name under which the container of a group is kept; empty if it is in none, or not kept. */
  public Optional<String> containerOf(IommuGroup group) {
    return linux(group).containerName();
  }

  /** The name without what options stand behind it. */
  private static String bare(String name) {
    int space = name.indexOf(' ');
    return space < 0 ? name : name.substring(0, space);
  }

  @Override
  public Optional<IommuGroup> acquireGroup(Device device) {
    return groupOf(device.name());
  }

  @Override
  public void release(IommuGroup group) {
    // The kernel's own reference is the descriptor's.
  }

  @Override
  public IommuDomain allocate(IommuGroup group) {
    return new LinuxDomain(resuming);
  }

  @Override
  public IommuDomain allocateAux(Device parent) {
    throw noAux(parent);
  }

  /** Opens the group's file: a stranger who has it is found here. */
  @Override
  public void open(IommuGroup group) {
    linux(group).open();
  }

  @Override
  public void close(IommuGroup group) {
    linux(group).close();
  }

  @Override
  public GroupState state(IommuGroup group) {
    return linux(group).state();
  }

  @Override
  public void onFree(IommuGroup group, Runnable then) {
    linux(group).onFree(then);
  }

  @Override
  public void settle() {
    groups.values().forEach(LinuxGroup::settle);
  }

  @Override
  public void claim(IommuGroup group) {
    linux(group).claim();
  }

  @Override
  public void unclaim(IommuGroup group) {
    linux(group).unclaim();
  }

  @Override
  public boolean viable(IommuGroup group) {
    return linux(group).viable();
  }

  @Override
  public List<ReservedRegion> reservedRegions(IommuGroup group) {
    return linux(group).regions();
  }

  /**
   * True: only the kernel knows, it is asked by the attach, and one that it does not isolate is
   * refused there with EPERM unless its operator allows that.
   */
  @Override
  public boolean isolatesInterrupts(Device device) {
    return true;
  }

  /** The system calls that reach it. */
  public SystemCalls calls() {
    return calls;
  }

  /** Where its devices and groups are found. */
  public Sysfs sysfs() {
    return sysfs;
  }

  static LinuxGroup linux(IommuGroup group) {
    if (group instanceof LinuxGroup linux) {
      return linux;
    }
    throw new IllegalArgumentException(group + " is not a group of this IOMMU");
  }

  private static VfioException unknown(String device) {
    return new VfioException(
        Errno.ENODEV, Reason.NO_GROUP, "no IOMMU group of this machine has " + device, device);
  }

  static VfioException noAux(Device parent) {
    return new VfioException(
        Errno.ENODEV,
        Reason.NOT_SUPPORTED,
        "the kernel gives no PASID of %s to user space".formatted(parent.name()),
        parent.name());
  }
}
