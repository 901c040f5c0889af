// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.vfio4j.error.Reason;
import org.vfio4j.host.HostTopology;

/**
 * Runs a request again with a change made, and says whether the change helps. Only what the change
 * can touch is run: of 10,000 VMs that all want one device, those that have it and those that
 * change. What is left out is left out because its answer cannot change:
 *
 * <ul>
 *   <li>a device in another place, see {@link Places};
 *   <li>a VM, but for what is bound for it, that another one keeps away from all it asks for, as
 *       that one keeps what it has;
 *   <li>of VMs that ask for the same, whose RAM is mapped or refused alike ({@link MemoryFit}), and
 *       that have none of it, all but the first few: if one gets it, the others do not. A few,
 *       because the change may be made to the first ones.
 * </ul>
 */
final class Trials {
  /** Of VMs that are alike so many are run; a change is made to fewer. */
  private static final int ALIKE = 4;

  private final Request request;
  private final HostTopology host;
  private final Options options;
  private final Harm harm;
  private final Places places;
  private final MemoryFit.Host memory;
  private final List<VmVerdict> verdicts;
  private final Map<String, Integer> indexes = new HashMap<>();

  /** VMs whose answer a change in a place can alter, by their number in the request. */
  private final Map<Places.Place, TreeSet<Integer>> active = new HashMap<>();

  /** How many VMs ask for a device, by its places. */
  private final Map<Places.Place, Map<DeviceRequest, Integer>> wantedAt = new HashMap<>();

  /** All of {@link #active}. */
  private final TreeSet<Integer> anywhereActive = new TreeSet<>();

  Trials(Request request, HostTopology host, Options options, List<VmVerdict> verdicts) {
    this.request = request;
    this.host = host;
    this.options = options;
    this.harm = new Harm(request, host);
    this.places = new Places(host);
    this.verdicts = verdicts;
    this.memory = new MemoryFit.Host(host);
    Map<Shape, Integer> shapes = new HashMap<>();
    for (int i = 0; i < verdicts.size(); i++) {
      VmRequest vm = request.vms().get(i);
      indexes.put(vm.name(), i);
      for (DeviceRequest device : Set.copyOf(vm.devices())) {
        for (Places.Place place : places.of(device)) {
          wantedAt.computeIfAbsent(place, k -> new HashMap<>()).merge(device, 1, Integer::sum);
        }
      }
      if (!keptAway(verdicts.get(i))
          && (!hasNothing(verdicts.get(i)) || shapes.merge(shape(vm), 1, Integer::sum) <= ALIKE)) {
        anywhereActive.add(i);
        for (Places.Place place : places.of(vm.devices())) {
          active.computeIfAbsent(place, k -> new TreeSet<>()).add(i);
        }
      }
    }
  }

  /**
   * A kind of VM.
   *
   * @param vm what it asks for, under a name that all have, without RAM and its limit
   * @param fit what of these can matter
   */
  record Shape(VmRequest vm, MemoryFit fit) {}

  private Shape shape(VmRequest vm) {
    VmRequest bare =
        new VmRequest("vm", Optional.empty(), Optional.empty(), vm.viommu(), vm.devices());
    return new Shape(bare, memory.of(vm));
  }

  /**
   * VMs that have the same one have the same fixes: what they ask for, and how much RAM they have
   * only where a fix can depend on it.
   */
  Object wish(VmRequest vm) {
    Shape shape = shape(vm);
    return shape.fit().always() ? shape : vm.named("vm");
  }

  /** How many VMs before this one have a say in whether a change helps it. */
  int position(String vm) {
    return anywhereActive.headSet(index(vm)).size();
  }

  /** Whether the VM has a say in what becomes of others. */
  boolean isActive(String vm) {
    return anywhereActive.contains(index(vm));
  }

  private int index(String vm) {
    return Objects.requireNonNull(indexes.get(vm));
  }

  /** Whether others have all that it asks for: it has nothing, and its turn comes after theirs. */
  private static boolean keptAway(VmVerdict vm) {
    return !vm.devices().isEmpty()
        && vm.devices().stream().allMatch(d -> exclusive(d) && keptAway(d, vm.name()));
  }

  private static boolean keptAway(DeviceVerdict device, String vm) {
    return device
        .refusal()
        .filter(
            r ->
                r.code().equals(new RefusalCode.Engine(Reason.GROUP_OPEN))
                    || r.code().equals(new RefusalCode.Engine(Reason.BACKING_GROUP_HELD)))
        .flatMap(DeviceRefusal::holder)
        .filter(h -> !h.vm().equals(vm))
        .isPresent();
  }

  private static boolean hasNothing(VmVerdict vm) {
    return vm.devices().stream().allMatch(d -> exclusive(d) && d.refused());
  }

  private static boolean exclusive(DeviceVerdict device) {
    return device.request().oncePerVm();
  }

  /**
   * Whether the device is had then, or not asked for, no other is refused that was not before, and
   * nobody is hurt.
   */
  boolean helps(Fix fix, String vm, DeviceRequest wanted) {
    return of(fix, vm, wanted) instanceof Outcome.Helps;
  }

  /** What becomes of a device by a change. */
  sealed interface Outcome {
    /** It is had then, or not asked for. */
    record Helps() implements Outcome {}

    /** It is refused all the same, or somebody is hurt. */
    record HelpsNot() implements Outcome {}

    /**
     * It is refused for another reason, and nobody is hurt: something else has to be done as well.
     *
     * @param left what becomes of it
     */
    record HelpsInPart(DeviceVerdict left) implements Outcome {}
  }

  /** What becomes of a device by a change. */
  Outcome of(Fix fix, String vm, DeviceRequest wanted) {
    Set<Integer> changed = new TreeSet<>();
    changed.add(index(vm));
    fix.vms().forEach(name -> changed.add(index(name)));
    Fix.Changed few = fix.apply(request.with(vms(changed)), host);
    Set<Places.Place> touched = harm.places(few.host());
    touched.addAll(places.of(wanted));
    changed.forEach(i -> touched.addAll(places.of(request.vms().get(i).devices())));
    few.request().vms().forEach(v -> touched.addAll(places.of(v.devices())));
    Request part = request.with(part(changed, touched, fix instanceof Fix.AskWhole));
    Fix.Changed after = fix.apply(part, host);
    if (harm.in(part, fix, after, vm)) {
      return new Outcome.HelpsNot();
    }
    // What a VM has elsewhere stays viable by what others have there.
    part.vms().forEach(v -> touched.addAll(places.of(v.devices())));
    List<VmVerdict> now =
        new Run(
                after.request(),
                after.host(),
                options,
                boundForOthers(changed, touched),
                Progress.NONE)
            .verdicts();
    Map<String, Map<DeviceRequest, Integer>> left = refusals(now);
    if (!noneIsNew(left)) {
      return new Outcome.HelpsNot();
    }
    return times(left, vm, wanted) < times(refusals(List.of(verdict(vm))), vm, wanted)
        ? new Outcome.Helps()
        : inPart(now, vm, wanted);
  }

  private Outcome inPart(List<VmVerdict> now, String vm, DeviceRequest wanted) {
    Optional<RefusalCode> before = refused(List.of(verdict(vm)), vm, wanted).flatMap(Trials::code);
    return refused(now, vm, wanted)
        .filter(d -> !code(d).equals(before))
        .<Outcome>map(Outcome.HelpsInPart::new)
        .orElseGet(Outcome.HelpsNot::new);
  }

  private static Optional<DeviceVerdict> refused(
      List<VmVerdict> verdicts, String vm, DeviceRequest wanted) {
    return verdicts.stream()
        .filter(v -> v.name().equals(vm))
        .flatMap(v -> v.devices().stream())
        .filter(d -> d.refused() && d.request().equals(wanted))
        .findFirst();
  }

  private static Optional<RefusalCode> code(DeviceVerdict device) {
    return device.refusal().map(DeviceRefusal::code);
  }

  private boolean noneIsNew(Map<String, Map<DeviceRequest, Integer>> left) {
    return left.entrySet().stream()
        .allMatch(
            e -> {
              var before = refusals(List.of(verdict(e.getKey())));
              return e.getValue().entrySet().stream()
                  .allMatch(d -> d.getValue() <= times(before, e.getKey(), d.getKey()));
            });
  }

  private VmVerdict verdict(String vm) {
    return verdicts.get(index(vm));
  }

  private static int times(
      Map<String, Map<DeviceRequest, Integer>> refusals, String vm, DeviceRequest device) {
    return refusals.getOrDefault(vm, Map.of()).getOrDefault(device, 0);
  }

  /** How often each device of each VM is refused. */
  private static Map<String, Map<DeviceRequest, Integer>> refusals(List<VmVerdict> verdicts) {
    Map<String, Map<DeviceRequest, Integer>> refused = new HashMap<>();
    for (VmVerdict vm : verdicts) {
      vm.devices().stream()
          .filter(DeviceVerdict::refused)
          .forEach(
              d ->
                  refused
                      .computeIfAbsent(vm.name(), k -> new HashMap<>())
                      .merge(d.request(), 1, Integer::sum));
    }
    return refused;
  }

  private List<VmRequest> vms(Collection<Integer> indexes) {
    return indexes.stream().map(i -> request.vms().get(i)).toList();
  }

  /**
   * The part of the request that a change can touch: the VMs that change, and of the others that
   * have something there, that and what they have elsewhere.
   *
   * @param all whether a VM may give up a group that keeps others away
   */
  private List<VmRequest> part(Set<Integer> changed, Set<Places.Place> touched, boolean all) {
    TreeSet<Integer> kept = new TreeSet<>(changed);
    if (all) {
      for (int i = 0; i < request.vms().size(); i++) {
        if (meets(request.vms().get(i), touched)) {
          kept.add(i);
        }
      }
    } else {
      touched.forEach(p -> kept.addAll(active.getOrDefault(p, new TreeSet<>())));
    }
    Map<Integer, VmRequest> part = new LinkedHashMap<>();
    for (int i : kept) {
      VmRequest vm = request.vms().get(i);
      part.put(i, changed.contains(i) ? vm : vm.with(keptOf(i, touched)));
    }
    return List.copyOf(part.values());
  }

  /** What VMs ask for that do not change: it is bound, whether they are run or not. */
  private Set<DeviceRequest> boundForOthers(Set<Integer> changed, Set<Places.Place> touched) {
    Map<DeviceRequest, Integer> own = new HashMap<>();
    for (VmRequest vm : vms(changed)) {
      Set.copyOf(vm.devices()).forEach(d -> own.merge(d, 1, Integer::sum));
    }
    Set<DeviceRequest> bound = new HashSet<>();
    for (Places.Place place : touched) {
      wantedAt
          .getOrDefault(place, Map.of())
          .forEach(
              (device, times) -> {
                if (times > own.getOrDefault(device, 0)) {
                  bound.add(device);
                }
              });
    }
    return bound;
  }

  private boolean meets(VmRequest vm, Set<Places.Place> touched) {
    return places.of(vm.devices()).stream().anyMatch(touched::contains);
  }

  private List<DeviceRequest> keptOf(int index, Set<Places.Place> touched) {
    VmRequest vm = request.vms().get(index);
    List<DeviceRequest> kept = new ArrayList<>();
    List<DeviceVerdict> of = verdicts.get(index).devices();
    for (DeviceVerdict device : of) {
      boolean there = places.of(device.request()).stream().anyMatch(touched::contains);
      if (there || (vm.memory().isPresent() && !device.refused())) {
        kept.add(device.request());
      }
    }
    return kept;
  }
}
