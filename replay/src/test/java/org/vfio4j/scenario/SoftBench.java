// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.scenario;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.vfio4j.iommu.DmaFaultException;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.MdevParent;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.replay.SoftEnvironment;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;
import org.vfio4j.soft.SoftVfio;
import org.vfio4j.testing.Q35;
import org.vfio4j.type1.Container;

/** Back end {@code soft}: all processes on one machine in software. */
final class SoftBench extends ScenarioBench {
  private static final String WRAPPER = "vfio-mdev-pci";

  private final SoftMachine machine;
  private final List<User> processes = new ArrayList<>();

  SoftBench(KernelProfile kernel, boolean interruptRemapping) {
    machine = interruptRemapping ? Q35.machine(kernel) : Q35.withoutInterruptRemapping(kernel);
  }

  SoftMachine machine() {
    return machine;
  }

  /** What lies behind the user API of a process. */
  static Container type1(User user, int container) {
    return ((SoftVfio) user.api()).type1(container);
  }

  @Override
  User process(String name) {
    User user = new User(new SoftEnvironment(machine, name));
    processes.add(user);
    return user;
  }

  @Override
  boolean bind(String device, String driver) {
    return driver.equals("none") ? machine.unbind(device) : machine.bind(device, driver);
  }

  @Override
  String driver(String device) {
    return machine.driverLink(device).orElse("none");
  }

  @Override
  boolean drives(String function, long iova) {
    return true;
  }

  @Override
  void parameter(String name, String value) {
    String path = "/sys/module/vfio_iommu_type1/parameters/" + name;
    processes.getFirst().environment().write(path, value);
  }

  @Override
  String wrap(String function) {
    machine.bind(function, WRAPPER);
    return createWrapped(function);
  }

  @Override
  List<String> wrap(String function, int count) {
    machine.bind(function, WRAPPER);
    machine.offer(function, new MdevParent.Type("backed", MdevParent.Kind.BACKED, count));
    List<String> made = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      made.add(createWrapped(function));
    }
    return made;
  }

  @Override
  String createWrapped(String function) {
    return create(function, "backed");
  }

  @Override
  int wrappedAvailable(String function) {
    return machine.parent(function).orElseThrow().available("backed");
  }

  @Override
  String plain(String parent) {
    if (machine.parent(parent).isEmpty()) {
      machine.offer(parent, new MdevParent.Type("plain", MdevParent.Kind.PLAIN, 4));
    }
    return create(parent, "plain");
  }

  private String create(String parent, String type) {
    return machine.createMdev(parent, type, UUID.randomUUID().toString()).name();
  }

  @Override
  boolean removeMdev(String name) {
    return machine.removeMdev(name);
  }

  @Override
  void unplug(String function) {
    machine.removeFunction(function);
  }

  @Override
  void enableVirtualFunctions(String driverOfPf) {
    machine.unbind(PF);
    SoftFunction physical = machine.function(PF);
    if (driverOfPf.equals("vfio-pci")) {
      machine.bind(PF, driverOfPf);
    } else {
      machine.removeFunction(PF);
      machine.addFunction(physical.withVirtualFunctions(2), Optional.of(group(12)));
      machine.bind(PF, driverOfPf);
    }
    for (String name : List.of(V1, V2)) {
      SoftFunction virtual = SoftFunction.endpoint(name, 0x1b36, 0x10).belowBridge().virtualOf(PF);
      machine.addFunction(virtual, Optional.of(group(name.equals(V1) ? 14 : 15)));
      machine.bind(name, "vfio-pci");
    }
  }

  private IommuGroup group(int id) {
    IommuUnit unit = IommuUnit.VT_D.withPageSizes(machine.profile().pageSizes());
    return machine.addGroup(id, unit, List.of(Q35.MSI));
  }

  @Override
  Set<Integer> groups() {
    return machine.iommu().groups().stream().map(IommuGroup::id).collect(Collectors.toSet());
  }

  @Override
  int groupOf(String device) {
    return machine.groupOf(device).orElseThrow().id();
  }

  @Override
  OptionalInt reads(String function, long iova) {
    byte[] read = new byte[1];
    try {
      machine.iommu().port(machine.function(function)).read(iova, MemorySegment.ofArray(read));
    } catch (DmaFaultException fault) {
      return OptionalInt.empty();
    }
    return OptionalInt.of(read[0]);
  }

  @Override
  boolean writes(String function, long iova, byte value) {
    MemorySegment one = MemorySegment.ofArray(new byte[] {value});
    try {
      machine.iommu().port(machine.function(function)).write(iova, one);
    } catch (DmaFaultException fault) {
      return false;
    }
    return true;
  }

  @Override
  void pin(User user, int container, String mdev, int prot, long... iovas) {
    type1(user, container)
        .pin(machine.groupOf(mdev).orElseThrow(), Arrays.stream(iovas).boxed().toList(), prot);
  }

  @Override
  int unpin(User user, int container, String mdev, long... iovas) {
    return type1(user, container)
        .unpin(machine.groupOf(mdev).orElseThrow(), Arrays.stream(iovas).boxed().toList());
  }

  @Override
  Optional<String> holder(String function) {
    IommuGroup group = machine.groupOf(function).orElseThrow();
    return group.ownership().who().map(o -> o.holder(group).name());
  }

  @Override
  public void close() {
    Map<User, Long> locked = new HashMap<>();
    for (User user : processes) {
      user.exit();
      locked.put(user, user.locked());
      user.environment().close();
    }
    assertThat(machine.iommu().census())
        .as("what the processes left behind")
        .isEqualTo(SoftIommu.Census.EMPTY);
    assertThat(locked).as("locked memory").allSatisfy((user, kib) -> assertThat(kib).isZero());
    assertThat(machine.waiting()).as("devices that wait for a user").isEmpty();
  }
}
