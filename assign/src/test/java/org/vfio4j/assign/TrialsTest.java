// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.vfio4j.host.HostTopology;

/** What a check costs, and that what it saves changes no answer. */
class TrialsTest {
  private static final String[] DRIVERS = {"igb", "vfio-pci", "none", "vfio-pci"};
  private static final long GIB = 1L << 30;
  private static final int WORLDS = 400;

  /** A whole run, of everything, as the definition of what a change does. */
  private static boolean helps(
      Request request, HostTopology host, Fix fix, String vm, DeviceRequest wanted) {
    Fix.Changed after = fix.apply(request, host);
    if (new Harm(request, host).in(request, fix, after, vm)) {
      return false;
    }
    Map<String, Integer> before = refusals(request, host);
    Map<String, Integer> left = refusals(after.request(), after.host());
    String key = vm + " " + wanted;
    return left.entrySet().stream()
            .allMatch(e -> e.getValue() <= before.getOrDefault(e.getKey(), 0))
        && left.getOrDefault(key, 0) < before.getOrDefault(key, 0);
  }

  private static Map<String, Integer> refusals(Request request, HostTopology host) {
    Map<String, Integer> refused = new HashMap<>();
    for (VmVerdict vm : new Run(request, host, Options.DEFAULT).verdicts()) {
      vm.devices().stream()
          .filter(DeviceVerdict::refused)
          .forEach(d -> refused.merge(vm.name() + " " + d.request(), 1, Integer::sum));
    }
    return refused;
  }

  private static String address(int i) {
    return "0000:01:00." + i;
  }

  private static HostTopology host(Random random) {
    SmallHost host = new SmallHost();
    for (int i = 0; i < 6; i++) {
      host.function(address(i), 1 + i / 2, DRIVERS[random.nextInt(DRIVERS.length)]);
    }
    host.reserved(1).reserved(3);
    return random.nextBoolean()
        ? host.reserved(2).build()
        : host.reserved(2, "0x50000000", "0x500fffff", "reserved").build();
  }

  /** Little, or some more of it, or so much that it meets a region or no IOMMU reaches it. */
  private static long ram(Random random) {
    return switch (random.nextInt(5)) {
      case 0 -> GIB + (1L + random.nextInt(300) << 20);
      case 1 -> 2 * GIB + (1L + random.nextInt(300) << 20);
      case 2 -> 300 * 1024 * GIB + random.nextInt(3) * GIB;
      default -> GIB;
    };
  }

  private static VmRequest again(Random random, VmRequest vm, String name) {
    VmRequest same = vm.named(name);
    if (same.memory().isEmpty() || random.nextInt(3) == 0) {
      return same;
    }
    VmRequest other = same.withMemory(ram(random));
    return random.nextInt(3) == 0 ? other.withMemlock(GIB * random.nextInt(4)) : other;
  }

  private static VmRequest vm(Random random, String name) {
    List<DeviceRequest> devices = new ArrayList<>();
    for (int n = 1 + random.nextInt(3); n > 0; n--) {
      String address = address(random.nextInt(6));
      DeviceRequest device =
          random.nextInt(4) == 0 ? DeviceRequest.wrapped(address) : DeviceRequest.whole(address);
      if (!devices.contains(device)) {
        devices.add(device);
      }
    }
    boolean memory = random.nextBoolean();
    return new VmRequest(
        name,
        memory ? Optional.of(ram(random)) : Optional.empty(),
        memory && random.nextBoolean() ? Optional.of(GIB * random.nextInt(4)) : Optional.empty(),
        random.nextInt(3) == 0,
        devices);
  }

  /** Random worlds, from a seed that is printed where it fails. */
  @Test
  void shouldSayOfEachChangeWhatAWholeRunSays() {
    long seed = Long.getLong("vfio4j.seed", System.nanoTime());
    int compared = 0;
    for (int world = 0; world < WORLDS; world++) {
      Random random = new Random(seed + world);
      HostTopology host = host(random);
      List<VmRequest> vms = new ArrayList<>();
      for (int i = 0; i < 2 + random.nextInt(5); i++) {
        // Often the same again, as in a fleet.
        vms.add(
            i > 0 && random.nextInt(3) == 0
                ? again(random, vms.get(random.nextInt(i)), "vm" + i)
                : vm(random, "vm" + i));
      }
      Request request = Request.of(vms.toArray(VmRequest[]::new));
      List<VmVerdict> verdicts = new Run(request, host, Options.DEFAULT).verdicts();
      Trials trials = new Trials(request, host, Options.DEFAULT, verdicts);
      Candidates candidates = new Candidates(request, host);
      for (VmVerdict vm : verdicts) {
        for (DeviceVerdict d : vm.devices()) {
          if (d.refused()) {
            List<Fix> fixes =
                new ArrayList<>(candidates.of(vm.name(), d, d.refusal().orElseThrow()));
            fixes.add(candidates.without(vm.name(), d.request()));
            for (Fix fix : fixes) {
              assertThat(trials.helps(fix, vm.name(), d.request()))
                  .as("-Dvfio4j.seed=%d: %s for %s in %s", seed + world, fix, vm.name(), vms)
                  .isEqualTo(helps(request, host, fix, vm.name(), d.request()));
              compared++;
            }
          }
        }
      }
    }
    assertThat(compared).isGreaterThan(WORLDS);
  }

  /** Fixes that are not looked for again are those that would have been found. */
  @Test
  void shouldFindForEachOfManyWhatItWouldFindForThatOne() {
    HostTopology host = new SmallHost().function(address(0), 1, "igb").reserved(1).build();
    List<VmRequest> vms = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      vms.add(VmRequest.of("vm" + i, DeviceRequest.whole(address(0))));
    }
    Verdict verdict =
        Check.verdict(Request.of(vms.toArray(VmRequest[]::new)), host, Options.DEFAULT);
    for (VmVerdict vm : verdict.vms().subList(1, 5)) {
      assertThat(vm.devices().getFirst().refusal().orElseThrow().fixes())
          .containsExactly(new Fix.LeaveOut(vm.name(), DeviceRequest.whole(address(0))));
    }
  }

  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void shouldCheckTenThousandVmsThatWantTheSameDevices() {
    HostTopology host =
        new SmallHost()
            .function(address(0), 1, "igb")
            .function(address(1), 1, "igb")
            .reserved(1)
            .build();
    List<VmRequest> vms = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      vms.add(
          VmRequest.of("vm" + i, DeviceRequest.whole(address(0)), DeviceRequest.whole(address(1)))
              .withMemory(4 * GIB));
    }
    Verdict verdict =
        Check.verdict(Request.of(vms.toArray(VmRequest[]::new)), host, Options.DEFAULT);
    assertThat(verdict.devices().filter(DeviceVerdict::refused)).hasSize(19_998);
  }

  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void shouldCheckTenThousandVmsOfDifferentRamThatWantAGroupOfTheHosts() {
    HostTopology host =
        new SmallHost()
            .function(address(0), 1, "igb")
            .function(address(1), 1, "igb")
            .reserved(1)
            .build();
    List<VmRequest> vms = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      VmRequest vm =
          VmRequest.of("vm" + i, DeviceRequest.whole(address(0)))
              .withMemory(GIB + ((long) (i * 7919 % 10_000) << 20));
      vms.add(i % 10 == 0 ? vm.withMemlock(2 * GIB + ((long) i << 20)) : vm);
    }
    Verdict verdict =
        Check.verdict(Request.of(vms.toArray(VmRequest[]::new)), host, Options.DEFAULT);
    assertThat(verdict.devices().filter(DeviceVerdict::refused)).hasSize(10_000);
  }

  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void shouldMapAnyAmountOfRamAndRefuseAtOnceWhatTheIommuCannotReach() {
    HostTopology host = new SmallHost().function(address(0), 1, "igb").reserved(1).build();
    for (long tib : new long[] {1, 64, 128, 256, 1 << 20, 1 << 22}) {
      VmRequest vm =
          VmRequest.of("large", DeviceRequest.whole(address(0))).withMemory(tib * 1024 * GIB);
      Verdict verdict = Check.verdict(Request.of(vm), host, Options.DEFAULT);
      assertThat(verdict.admitted()).as("%d TiB", tib).isEqualTo(tib < 256);
      if (verdict.admitted()) {
        assertThat(verdict.vms().getFirst().lockedBytes())
            .isBetween(tib * 1024 * GIB, tib * 1024 * GIB + GIB);
      }
    }
  }

  @Test
  void shouldTellHowFarItIs() {
    HostTopology host = new SmallHost().function(address(0), 1, "igb").reserved(1).build();
    List<String> told = new ArrayList<>();
    Check.verdict(
        Request.of(
            VmRequest.of("a", DeviceRequest.whole(address(0))),
            VmRequest.of("b", DeviceRequest.whole(address(0)))),
        host,
        Options.DEFAULT,
        (what, done, of) -> told.add("%s %d/%d".formatted(what, done, of)));
    assertThat(told)
        .containsExactly(
            "checking 0/2", "checking 1/2", "looking for fixes 0/2", "looking for fixes 1/2");
  }
}
