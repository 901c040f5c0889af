// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.ToIntFunction;
import org.vfio4j.broker.ModelOperations.Operation;
import org.vfio4j.error.Errno;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.user.device.Pci;
import org.vfio4j.user.wire.SetIrqs;

/** What clients of a {@link BrokerModelTest} ask for, and what devices do for them. */
final class ModelCommands {
  private static final int VENDOR_AND_DEVICE = 0x11e81234;

  private final Random random;
  private final ModelWorld machine;

  ModelCommands(Random random, ModelWorld machine) {
    this.random = random;
    this.machine = machine;
  }

  /** What a client asks for next. */
  Operation draw(int kind, HeldVm vm, int index, HeldVm.User user) {
    if (!user.admitted && user.failure == 0 && kind < 40) {
      return announced(vm, index) > HeldVm.MEMORY / 2 ? admit(vm, index) : map(vm, index);
    }
    return switch (kind / 4) {
      case 4, 5, 6, 7, 8, 9 -> map(vm, index);
      case 10, 11, 12 -> unmap(vm, index);
      case 13, 14 -> admit(vm, index);
      case 15, 16, 17 -> setIrq(vm, index);
      case 18 -> off(vm, index);
      case 19 -> trigger(vm, index);
      case 20 -> interrupt(vm, index);
      case 21 -> reset(vm, index);
      case 22 -> read(vm, index, user.register);
      case 23 -> config(vm, index);
      default -> write(vm, index);
    };
  }

  private static long announced(HeldVm vm, int index) {
    return vm.pieces.values().stream()
        .filter(p -> p.holders.contains(index))
        .mapToLong(p -> p.range.size())
        .sum();
  }

  private Operation ask(
      String name,
      String what,
      HeldVm vm,
      int index,
      ModelCaller.Command command,
      ToIntFunction<HeldWorld> model,
      List<ToIntFunction<HeldWorld>> partial) {
    int who = vm.devices.get(index).current;
    return new Operation(
        name,
        "%d, of %s %d: %s".formatted(who, vm.name, index, what),
        who,
        () -> machine.caller(who).ask(command),
        model,
        partial);
  }

  private Operation map(HeldVm vm, int index) {
    List<Long> places = HeldLines.PLACES;
    int draw = random.nextInt(20);
    long iova = places.get(random.nextInt(places.size()));
    long size = (1 + random.nextInt(3)) * HeldLines.UNIT;
    if (draw < 8 && !vm.user(index).admitted) {
      // As a VMM does: all of it, some at low and some at high addresses.
      iova = draw < 5 ? 0 : HeldLines.HIGH;
      size = draw < 5 ? 5 * HeldLines.UNIT : HeldLines.UNIT * 2;
    }
    int prot = random.nextInt(5) == 0 ? 1 : 3;
    int file = random.nextInt(4) == 0 ? 1 : 0;
    boolean writable = prot == 3 && random.nextInt(30) != 0 || random.nextBoolean();
    long offset = random.nextInt(8) == 0 ? HeldLines.UNIT * random.nextInt(8) : 0;
    Optional<HeldVm.Range> other =
        vm.pieces.values().stream().map(p -> p.range).skip(random.nextInt(4)).findFirst();
    switch (draw) {
      case 10 -> {
        return mapWithout(vm, index, iova, size);
      }
      case 11 -> iova += random.nextBoolean() ? 1 : 512;
      case 12 -> {
        iova = HeldVm.MSI - HeldLines.UNIT;
        size = 2 * HeldLines.UNIT;
      }
      case 13 -> {
        if (other.isPresent()) {
          return map(vm, index, other.get());
        }
      }
      case 14 -> size = random.nextBoolean() ? 0 : 4097;
      default -> {}
    }
    return map(vm, index, new HeldVm.Range(iova, size, prot, file, writable, offset));
  }

  private Operation map(HeldVm vm, int index, HeldVm.Range range) {
    if (range.size() > 0 && vm.atOdds(index, range)) {
      // It would wait for the others to unmap theirs.
      return admit(vm, index);
    }
    Descriptor file = machine.file(vm.slot, range.file(), range.writable());
    return ask(
        "map",
        "map " + range,
        vm,
        index,
        c -> c.map(range.iova(), range.size(), range.prot(), file, range.offset()),
        w -> {
          int errno = w.vm(vm.slot).map(index, range, ModelWorld.LENGTHS.get(range.file()));
          return w.refused(vm.slot, index, errno);
        },
        List.of(w -> w.refusedMap(vm.slot, index)));
  }

  private Operation mapWithout(HeldVm vm, int index, long iova, long size) {
    MemorySegment memory = Arena.ofAuto().allocate(size);
    return ask(
        "mapWithout",
        "map without a file 0x%x at 0x%x".formatted(size, iova),
        vm,
        index,
        c -> c.map(iova, memory, Guest.READ_WRITE),
        w -> w.refused(vm.slot, index, w.vm(vm.slot).mapWithout(index, iova, size)),
        List.of(w -> w.refusedMap(vm.slot, index)));
  }

  private Operation unmap(HeldVm vm, int index) {
    int draw = random.nextInt(8);
    if (draw == 0) {
      return ask(
          "unmapAll",
          "unmap all",
          vm,
          index,
          c -> c.unmapAll(),
          w -> {
            w.vm(vm.slot).unmapAll(index);
            return 0;
          },
          List.of());
    }
    List<HeldVm.Range> mine =
        vm.pieces.values().stream()
            .filter(p -> p.holders.contains(index))
            .map(p -> p.range)
            .toList();
    long iova = HeldLines.PLACES.get(random.nextInt(HeldLines.PLACES.size()));
    long size = (1 + random.nextInt(6)) * HeldLines.UNIT;
    if (draw < 5 && !mine.isEmpty()) {
      HeldVm.Range range = mine.get(random.nextInt(mine.size()));
      iova = range.iova();
      size = draw == 4 ? range.size() - 4096 : range.size();
    } else if (draw == 5) {
      size = random.nextBoolean() ? 0 : 100;
      iova = random.nextBoolean() ? 0 : iova;
    } else if (draw == 6) {
      iova = 0;
      size = 2 * HeldLines.HIGH;
    }
    long at = iova;
    long bytes = size;
    return ask(
        "unmap",
        "unmap 0x%x at 0x%x".formatted(size, iova),
        vm,
        index,
        c -> c.unmap(at, bytes),
        w -> w.vm(vm.slot).unmap(index, at, bytes),
        List.of());
  }

  private Operation admit(HeldVm vm, int index) {
    List<ToIntFunction<HeldWorld>> partial = new ArrayList<>();
    for (int n = 0; n < 8; n++) {
      int most = n;
      partial.add(w -> w.vm(vm.slot).admit(index, most));
    }
    return ask(
        "admit",
        "GET_INFO",
        vm,
        index,
        c -> c.info(),
        w -> w.vm(vm.slot).admit(index, Integer.MAX_VALUE),
        partial);
  }

  private int irq() {
    return List.of(Pci.MSI, Pci.ERROR, Pci.REQUEST, Pci.INTX).get(random.nextInt(4));
  }

  private Operation setIrq(HeldVm vm, int index) {
    int irq = vm.user(index).eventFds.containsKey(Pci.ERROR) ? irq() : Pci.ERROR;
    int eventFd = machine.eventFd();
    SetIrqs set = SetIrqs.of(SetIrqs.DATA_EVENTFD | SetIrqs.TRIGGER, irq, 0, 1);
    return ask(
        "setIrq",
        "eventfd %d for interrupt %d".formatted(eventFd, irq),
        vm,
        index,
        c -> c.setIrqs(set, machine.eventFd(eventFd)),
        w -> {
          HeldWorld.set(w.vm(vm.slot).user(index), irq, eventFd);
          return 0;
        },
        // As in the kernel: one that is refused may have taken away what was there.
        List.of(
            w -> {
              HeldWorld.off(w.vm(vm.slot).user(index), irq);
              return 0;
            }));
  }

  private Operation off(HeldVm vm, int index) {
    int irq = irq();
    return ask(
        "off",
        "interrupt %d off".formatted(irq),
        vm,
        index,
        c -> c.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, irq, 0, 0)),
        w -> {
          HeldWorld.off(w.vm(vm.slot).user(index), irq);
          return 0;
        },
        List.of());
  }

  private Operation trigger(HeldVm vm, int index) {
    int irq = random.nextBoolean() ? Pci.MSI : Pci.INTX;
    return ask(
        "trigger",
        "trigger %d".formatted(irq),
        vm,
        index,
        c -> c.setIrqs(SetIrqs.of(SetIrqs.DATA_NONE | SetIrqs.TRIGGER, irq, 0, 1)),
        w -> {
          w.signal(w.vm(vm.slot).user(index), irq);
          return 0;
        },
        List.of());
  }

  private Operation interrupt(HeldVm vm, int index) {
    int irq = random.nextBoolean() ? Pci.MSI : Pci.INTX;
    String address = vm.devices.get(index).address;
    return new Operation(
        "interrupt",
        "%s interrupts, index %d".formatted(address, irq),
        -1,
        () -> ModelOperations.answer(() -> machine.host.kernel().interrupt(address, irq, 0)),
        w -> {
          w.interrupt(address, irq);
          return 0;
        });
  }

  private Operation reset(HeldVm vm, int index) {
    boolean can = !HeldWorld.bus(vm.devices.get(index).address).isEmpty();
    return ask(
        "reset",
        "reset",
        vm,
        index,
        c -> c.reset(),
        w -> can ? 0 : Errno.EINVAL.number(),
        List.of());
  }

  private Operation read(HeldVm vm, int index, int expected) {
    return ask(
        "read",
        "read a register",
        vm,
        index,
        c -> {
          if (c.read32(Pci.BAR0, 64) != expected) {
            throw new AssertionError("the register of %s %d".formatted(vm.name, index));
          }
        },
        w -> 0,
        List.of());
  }

  private Operation config(HeldVm vm, int index) {
    return ask(
        "config",
        "read its name",
        vm,
        index,
        c -> {
          if (c.read32(Pci.CONFIG, 0) != VENDOR_AND_DEVICE) {
            throw new AssertionError("the name of %s %d".formatted(vm.name, index));
          }
        },
        w -> 0,
        List.of());
  }

  private Operation write(HeldVm vm, int index) {
    int value = random.nextInt();
    return ask(
        "write",
        "write a register",
        vm,
        index,
        c -> c.write32(Pci.BAR0, 64, value),
        w -> {
          w.vm(vm.slot).user(index).register = value;
          return 0;
        },
        List.of());
  }
}
