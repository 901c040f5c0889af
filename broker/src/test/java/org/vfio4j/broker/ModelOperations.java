// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.IntSupplier;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import org.vfio4j.error.Errno;
import org.vfio4j.error.VfioException;
import org.vfio4j.linux.testing.FakeHost;
import org.vfio4j.posix.SystemCallException;

/**
 * The operations of a {@link BrokerModelTest}, drawn from what can be done in a world: VMs, servers
 * and who comes for devices. What a client asks for is in {@link ModelCommands}.
 */
final class ModelOperations {
  /** The answer of what was not done, for whatever reason. */
  static final int FAILED = 1000;

  private static final List<String> NAMES = List.of("web", "db", "mail");
  private static final List<List<String>> FUNCTIONS =
      List.of(
          List.of(FakeHost.R1, FakeHost.R2, FakeHost.A, HeldWorld.BUS_1),
          List.of(FakeHost.R2, FakeHost.B, FakeHost.A, HeldWorld.BUS_2),
          List.of(FakeHost.R1, FakeHost.B, HeldWorld.BUS_1, HeldWorld.BUS_2));

  private final Random random;
  private final ModelWorld machine;
  private final ModelCommands commands;

  /**
   * One.
   *
   * @param name of its kind
   * @param what it is, for messages
   * @param who does it, or -1
   * @param act does it; answers 0, an errno or {@link ModelCaller#LOST}
   * @param model does the same to a world
   * @param partial what may be instead if a call fails
   */
  record Operation(
      String name,
      String what,
      int who,
      IntSupplier act,
      ToIntFunction<HeldWorld> model,
      List<ToIntFunction<HeldWorld>> partial) {
    Operation(String name, String what, int who, IntSupplier act, ToIntFunction<HeldWorld> model) {
      this(name, what, who, act, model, List.of());
    }
  }

  ModelOperations(Random random, ModelWorld machine) {
    this.random = random;
    this.machine = machine;
    commands = new ModelCommands(random, machine);
  }

  /** The next that can be done. */
  Operation draw(HeldWorld world) {
    while (true) {
      Optional<Operation> drawn = tried(world);
      if (drawn.isPresent()) {
        return drawn.get();
      }
    }
  }

  private Optional<Operation> tried(HeldWorld world) {
    int kind = random.nextInt(100);
    int slot = random.nextInt(ModelWorld.SLOTS);
    if (world.find(slot).isEmpty()) {
      return kind < 30 ? Optional.of(make(slot)) : Optional.empty();
    }
    HeldVm vm = world.vm(slot);
    if (kind < 1) {
      return Optional.of(end(vm));
    }
    if (kind < 3) {
      return Optional.of(stranger(world));
    }
    int index = random.nextInt(vm.devices.size());
    HeldVm.Device device = vm.devices.get(index);
    if (kind < 4) {
      return Optional.of(tryOut(vm, device.address))
          .filter(o -> !world.strangers.contains(HeldWorld.GROUPS.get(device.address)));
    }
    if (kind < 6) {
      return Optional.of(device.served && kind < 5 ? close(vm, index) : open(vm, index))
          .filter(o -> device.served == o.name().equals("close"));
    }
    if (kind < 10) {
      return device.queue.isEmpty() || random.nextBoolean()
          ? Optional.of(arrive(vm, index)).filter(o -> device.served && device.queue.size() < 2)
          : Optional.of(leave(device.queue.getFirst(), slot, index))
              .filter(o -> !machine.gone(o.who()));
    }
    if (!device.served) {
      return Optional.empty();
    }
    if (device.current == -1) {
      // A stranger is waited for, since a store gives groups back a moment late.
      boolean waits = world.strangers.contains(HeldWorld.GROUPS.get(device.address));
      boolean wanted = !world.taken(slot, device.address) || random.nextInt(waits ? 60 : 12) == 0;
      return Optional.of(connect(world, vm, index)).filter(o -> wanted);
    }
    if (device.user.isEmpty()) {
      return Optional.of(
              kind < 15 || machine.caller(device.current).begun()
                  ? leave(device.current, slot, index)
                  : speak(world, vm, index))
          .filter(
              o ->
                  o.name().equals("leave")
                      || !world.strangers.contains(HeldWorld.GROUPS.get(device.address)));
    }
    if (device.user.get().failure != 0 && !device.user.get().admitted && kind < 40) {
      return Optional.of(leave(device.current, slot, index));
    }
    return Optional.of(
        kind < 16
            ? leave(device.current, slot, index)
            : commands.draw(kind, vm, index, device.user.get()));
  }

  static int answer(Runnable call) {
    try {
      call.run();
      return 0;
    } catch (VfioException refused) {
      return refused.errno().number();
    } catch (SystemCallException refused) {
      return refused.errno();
    } catch (RuntimeException failed) {
      return FAILED;
    }
  }

  private Operation make(int slot) {
    HeldVm vm = new HeldVm(NAMES.get(slot), slot, -1);
    List<String> functions = new ArrayList<>(FUNCTIONS.get(slot));
    functions.removeIf(f -> random.nextInt(4) == 0);
    if (functions.isEmpty()) {
      functions.add(FUNCTIONS.get(slot).getFirst());
    }
    for (String function : functions) {
      PassOptions options = random.nextBoolean() ? PassOptions.WHOLE : PassOptions.WRAPPED;
      options = random.nextInt(4) == 0 ? options.withoutMmap() : options;
      options = random.nextInt(4) == 0 ? options : options.withoutReset();
      vm.devices.add(new HeldVm.Device(function, options));
    }
    return new Operation(
        "make",
        "make %s with %s".formatted(vm.name, functions),
        -1,
        () -> answer(() -> machine.process.make(vm)),
        w -> {
          w.add(vm, machine.numbers());
          return 0;
        });
  }

  private Operation end(HeldVm vm) {
    return new Operation(
        "end",
        "end " + vm.name,
        -1,
        () -> answer(() -> machine.process.end(vm.slot)),
        w -> {
          w.vms.remove(w.vm(vm.slot));
          return 0;
        });
  }

  private Operation stranger(HeldWorld world) {
    List<Integer> groups = List.of(1, 2, 9, 11);
    int group = groups.get(random.nextInt(groups.size()));
    boolean held = world.vms.stream().anyMatch(v -> HeldWorld.groups(v).containsKey(group));
    boolean has = world.strangers.contains(group);
    return new Operation(
        "stranger",
        (has ? "a stranger gives back group " : "a stranger takes group ") + group,
        -1,
        () ->
            answer(
                () -> {
                  if (has) {
                    machine.giveBack(group);
                  } else {
                    machine.take(group);
                  }
                }),
        w -> {
          if (held) {
            return Errno.EBUSY.number();
          }
          return (has ? w.strangers.remove(group) : w.strangers.add(group)) ? 0 : FAILED;
        });
  }

  private Operation tryOut(HeldVm vm, String address) {
    return new Operation(
        "tryOut",
        "%s tries %s out".formatted(vm.name, address),
        -1,
        () -> answer(() -> machine.process.tryOut(vm.slot, address)),
        w -> w.taken(vm.slot, address) ? Errno.EBUSY.number() : 0);
  }

  private Operation close(HeldVm vm, int index) {
    return new Operation(
        "close",
        "close the server of %s %d".formatted(vm.name, index),
        -1,
        () -> answer(() -> machine.process.close(vm.slot, index)),
        w -> {
          HeldVm.Device device = w.device(vm.slot, index);
          device.queue.clear();
          w.leave(vm.slot, index, machine::gone);
          device.served = false;
          return 0;
        });
  }

  private Operation open(HeldVm vm, int index) {
    return new Operation(
        "open",
        "serve %s %d again".formatted(vm.name, index),
        -1,
        () -> answer(() -> machine.process.serve(vm.slot, index)),
        w -> {
          w.device(vm.slot, index).served = true;
          return 0;
        });
  }

  private Operation arrive(HeldVm vm, int index) {
    int who = machine.nextCaller();
    return new Operation(
        "arrive",
        "%d comes for %s %d and says nothing".formatted(who, vm.name, index),
        who,
        () -> answer(() -> machine.come(vm.slot, index)),
        w -> {
          if (machine.caller(who).lost()) {
            return ModelCaller.LOST;
          }
          w.arrive(vm.slot, index, who, machine::gone);
          return 0;
        },
        List.of(
            w -> {
              w.device(vm.slot, index).queue.removeIf(machine::gone);
              return 0;
            }));
  }

  private Operation connect(HeldWorld world, HeldVm vm, int index) {
    int who = machine.nextCaller();
    return attach(
        world,
        "connect",
        vm,
        index,
        who,
        () -> machine.caller(machine.come(vm.slot, index)).begin());
  }

  private Operation speak(HeldWorld world, HeldVm vm, int index) {
    int who = vm.devices.get(index).current;
    return attach(world, "speak", vm, index, who, () -> machine.caller(who).begin());
  }

  private Operation attach(
      HeldWorld world, String name, HeldVm vm, int index, int who, IntSupplier act) {
    String address = vm.devices.get(index).address;
    // Whose it was last is in both journals.
    boolean anothers = !world.lastUsers.getOrDefault(address, vm.name).equals(vm.name);
    return new Operation(
        anothers ? name + " for another's" : name,
        "%d asks for %s %d, %s".formatted(who, vm.name, index, address),
        who,
        act,
        w -> {
          w.device(vm.slot, index).current = who;
          int errno = w.attach(vm.slot, index);
          if (errno != 0) {
            w.leave(vm.slot, index, machine::gone);
          }
          return errno;
        },
        List.of(
            w -> {
              w.leave(vm.slot, index, machine::gone);
              return 0;
            },
            w -> {
              // Reset, and not handed over.
              w.leave(vm.slot, index, machine::gone);
              w.lastUsers.keySet().removeAll(HeldWorld.bus(address));
              return 0;
            },
            w -> {
              // It had it for a moment.
              int errno = w.attach(vm.slot, index);
              w.leave(vm.slot, index, machine::gone);
              return errno;
            }));
  }

  private Operation leave(int who, int slot, int index) {
    boolean within = random.nextInt(4) == 0;
    return new Operation(
        "leave",
        "%d leaves %d.%d%s".formatted(who, slot, index, within ? " within a message" : ""),
        who,
        () -> {
          if (within) {
            machine.caller(who).die();
          } else {
            machine.caller(who).close();
          }
          return 0;
        },
        w -> {
          if (w.device(slot, index).current == who) {
            w.leave(slot, index, machine::gone);
          }
          return 0;
        });
  }

  /** What may be instead if a call fails while another process takes a VM over. */
  static List<ToIntFunction<HeldWorld>> lost(HeldVm vm, ModelWorld machine) {
    List<ToIntFunction<HeldWorld>> all = new ArrayList<>();
    List<Integer> used =
        IntStream.range(0, vm.devices.size())
            .filter(n -> vm.devices.get(n).user.isPresent())
            .boxed()
            .toList();
    for (int index : used) {
      all.add(
          w -> {
            w.leave(vm.slot, index, machine::gone);
            return 0;
          });
    }
    // Their connections are there still, and begin anew.
    for (int bits = 1; bits < 1 << used.size(); bits++) {
      int which = bits;
      all.add(
          w -> {
            for (int n = 0; n < used.size(); n++) {
              if ((which & 1 << n) != 0) {
                HeldVm.Device device = w.device(vm.slot, used.get(n));
                device.queue.addFirst(device.current);
                w.leave(vm.slot, used.get(n), machine::gone);
              }
            }
            return 0;
          });
    }
    Set<Map.Entry<Integer, Boolean>> files = new HashSet<>();
    for (HeldVm.Piece piece : vm.pieces.values()) {
      all.add(w -> w.lose(vm.slot, p -> p.range.equals(piece.range)));
      files.add(Map.entry(piece.range.file(), piece.range.writable()));
    }
    for (Map.Entry<Integer, Boolean> file : files) {
      all.add(
          w ->
              w.lose(
                  vm.slot,
                  p -> p.range.file() == file.getKey() && p.range.writable() == file.getValue()));
    }
    return all;
  }
}
