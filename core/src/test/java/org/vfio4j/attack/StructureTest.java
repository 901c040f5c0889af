// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.classfile.CodeModel;
import java.lang.classfile.FieldModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.constant.DirectMethodHandleDesc;
import java.lang.reflect.AccessFlag;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.vfio4j.iommu.Iommu;
import org.vfio4j.iommu.IommuDomain;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.Ownership;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.mdev.Isolation;
import org.vfio4j.mdev.MediatedDevice;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.testing.WatchedIommu;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** What of the review is not behaviour but shape, read off the compiled classes. */
class StructureTest {
  private static final List<ClassModel> TYPE1 =
      classes(Path.of(System.getProperty("basedir", "."), "target/classes/org/vfio4j/type1"));

  /** The classes that say who is attached. */
  private static final Set<String> RULE =
      Set.of("Attaching", "AttachAttempt", "Attachment", "Attachments", "Domain", "Hardware");

  /** A method that a method of type1 calls, or hands on as a reference. */
  private record Call(String from, String method, String owner, String name) {
    String place() {
      return from + "." + method;
    }
  }

  private static final List<Call> CALLS = TYPE1.stream().flatMap(StructureTest::calls).toList();

  private static List<ClassModel> classes(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      List<ClassModel> models = new ArrayList<>();
      for (Path file : files.filter(f -> f.toString().endsWith(".class")).sorted().toList()) {
        models.add(ClassFile.of().parse(file));
      }
      return models;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String simple(String internalName) {
    return internalName.substring(internalName.lastIndexOf('/') + 1);
  }

  private static String name(ClassModel model) {
    return simple(model.thisClass().asInternalName());
  }

  private static Stream<Call> calls(ClassModel model) {
    List<Call> calls = new ArrayList<>();
    for (MethodModel method : model.methods()) {
      String at = method.methodName().stringValue();
      method.code().stream()
          .flatMap(CodeModel::elementStream)
          .forEach(
              element -> {
                if (element instanceof InvokeInstruction i) {
                  calls.add(
                      new Call(
                          name(model),
                          at,
                          simple(i.owner().asInternalName()),
                          i.name().stringValue()));
                } else if (element instanceof InvokeDynamicInstruction i) {
                  i.bootstrapArgs().stream()
                      .filter(DirectMethodHandleDesc.class::isInstance)
                      .map(DirectMethodHandleDesc.class::cast)
                      .map(h -> new Call(name(model), at, h.owner().displayName(), h.methodName()))
                      .forEach(calls::add);
                }
              });
    }
    return calls.stream();
  }

  /** Where a method of type1 is called. */
  private static List<String> callers(String owner, String name) {
    return CALLS.stream()
        .filter(c -> c.owner.equals(owner) && c.name.equals(name))
        .map(Call::place)
        .toList();
  }

  /** The fields of type1 that a test holds for, as {@code Class.field}. */
  private static List<String> fields(Predicate<FieldModel> which) {
    return TYPE1.stream()
        .flatMap(
            model ->
                model.fields().stream()
                    .filter(which)
                    .map(f -> name(model) + "." + f.fieldName().stringValue()))
        .toList();
  }

  /** The type of a field as it was written, with its type arguments. */
  private static String type(FieldModel field) {
    return field
        .findAttribute(Attributes.signature())
        .map(s -> s.signature().stringValue())
        .orElse(field.fieldType().stringValue());
  }

  /** R1: one class owns the list of entries; nobody else adds to it or takes from it. */
  @Test
  void shouldChangeTheListOfEntriesInOneClassOnly() {
    List<String> ofEntries =
        fields(f -> type(f).contains("<") && type(f).contains("Lorg/vfio4j/type1/Attachment;"));
    assertThat(ofEntries)
        .as("collections of entries: the list and its indexes")
        .containsExactlyInAnyOrder(
            "Attachments.byGroup",
            "Attachments.byBacking",
            "Attachments.external",
            "Attachments.unscoped",
            "Domain.entries");
    assertThat(fields(f -> f.flags().has(AccessFlag.PRIVATE))).containsAll(ofEntries);
    assertThat(callers("Domain", "add")).isNotEmpty().allMatch(c -> c.startsWith("Attachments."));
    assertThat(callers("Domain", "remove"))
        .isNotEmpty()
        .allMatch(c -> c.startsWith("Attachments."));
  }

  /** R4, R9: giving back cannot fail, so it tells nothing. */
  @Test
  void shouldReturnNothingFromWhatGivesBack() {
    List<String> back = List.of("detach", "detachAux", "release", "giveBack", "unclaim", "close");
    for (Class<?> type :
        List.of(Container.class, Iommu.class, IommuDomain.class, Ownership.class)) {
      for (Method method : type.getDeclaredMethods()) {
        if (back.contains(method.getName())) {
          assertThat(method.getReturnType()).as("%s", method).isEqualTo(void.class);
        }
      }
    }
    assertThat(TYPE1)
        .allSatisfy(
            model ->
                assertThat(named(model))
                    .as("what %s could print with", name(model))
                    .noneMatch(c -> c.matches("java/(util/logging/.*|io/PrintStream)"))
                    .doesNotContain("java/lang/System$Logger"));
  }

  /** Every class that a class's code names. */
  private static Set<String> named(ClassModel model) {
    Set<String> names = new TreeSet<>();
    for (PoolEntry entry : model.constantPool()) {
      if (entry instanceof ClassEntry c) {
        names.add(c.asInternalName());
      }
    }
    return names;
  }

  /** R6: the container's lock covers every count, so none is atomic, volatile or a number. */
  @Test
  void shouldCountUsersByTheListAlone() {
    assertThat(
            fields(f -> type(f).matches(".*(Ljava/lang/(Integer|Long);>|/concurrent/atomic/).*")))
        .as("numbers beside a key: of regions and of pinned pages, none of users")
        .containsExactlyInAnyOrder("Attachments.byRegion", "Dma.pins", "Dma.pinsOf");
    assertThat(fields(f -> type(f).matches("[BSIJFD]")))
        .as("numbers in the classes of the rule")
        .noneMatch(f -> RULE.contains(f.substring(0, f.indexOf('.'))));
    assertThat(fields(f -> f.flags().has(AccessFlag.VOLATILE)))
        .as("what is told without the lock: the operator's parameters, and what of memory there is")
        .containsExactlyInAnyOrder(
            "IovaRoom.ranges",
            "Mappings.count",
            "Mappings.bytes",
            "Mappings.pageSizes",
            "Mappings.coherent",
            "Type1Parameters.allowUnsafeInterrupts",
            "Type1Parameters.viableBackingOnly",
            "Type1Parameters.entryLimit");
    List<String> concurrent =
        TYPE1.stream()
            .flatMap(
                m ->
                    named(m).stream()
                        .filter(c -> c.startsWith("java/util/concurrent/"))
                        .map(c -> name(m) + " " + simple(c)))
            .toList();
    assertThat(concurrent).as("the lock").containsExactly("Container ReentrantLock");
    assertThat(TYPE1).noneMatch(m -> named(m).contains("java/lang/invoke/VarHandle"));
  }

  /** D11: an entry is classified once, and before anything is looked up by its backing group. */
  @Test
  void shouldClassifyOnceAndFirst() {
    assertThat(callers("Attaching", "classify")).containsExactly("Attaching.attach");
    assertThat(callers("Attaching", "enter")).containsExactly("Attaching.attach");
    assertThat(callers("Attachments", "firstUser")).containsExactly("Attaching.enter");
    List<String> steps =
        CALLS.stream().filter(c -> c.place().equals("Attaching.attach")).map(Call::name).toList();
    assertThat(steps).containsSubsequence("find", "classify", "enter", "keep");
  }

  /** D14: members that disagree count as plain, without an error, as in the kernel. */
  @Test
  void shouldTreatAMixedGroupAsPlain() {
    Machine machine = new Machine();
    IommuGroup mixed = machine.iommu.addGroup(9, IommuUnit.NONE, List.of());
    machine.iommu.addDevice(mixed, machine.wrapped("w0", machine.function));
    machine.iommu.addDevice(mixed, machine.wrapped("w1", machine.other));
    machine.container.attach(mixed);
    assertThat(machine.container.hasEmulated()).isTrue();
    assertThat(machine.iommu.census().domains()).isZero();
    assertThat(machine.iommu.census().references()).isZero();
  }

  /** D15: no domain is asked for where none is needed. */
  @Test
  void shouldAllocateADomainOnlyForTheFirstUser() {
    Machine machine = new Machine();
    machine.container.attach(machine.group);
    for (int i = 0; i < 3; i++) {
      IommuGroup own = machine.iommu.addGroup(10 + i, IommuUnit.NONE, List.of());
      machine.iommu.addDevice(own, machine.wrapped("w" + i, machine.function));
      machine.container.attach(own);
    }
    IommuGroup plain = machine.iommu.addGroup(20, IommuUnit.NONE, List.of());
    machine.iommu.addDevice(
        plain, new MediatedDevice("p", "plain", machine.function, Isolation.PLAIN));
    machine.container.attach(plain);
    assertThat(machine.between.seen())
        .containsEntry(WatchedIommu.Call.ALLOCATE, 1)
        .containsEntry(WatchedIommu.Call.ATTACH, 1);
    assertThat(machine.container.useCount(machine.group)).isEqualTo(4);
  }

  private static final class Machine {
    final SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
    final FaultyIommu between = new FaultyIommu(iommu);
    final SoftFunction function = SoftFunction.endpoint("0000:00:03.0", 1, 1);
    final SoftFunction other = SoftFunction.endpoint("0000:00:04.0", 1, 1);
    final IommuGroup group = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    final Container container =
        new Container("c", between, KernelProfile.DEFAULT, Type1.V2, new Type1Parameters());

    Machine() {
      iommu.addDevice(group, function);
      iommu.addDevice(iommu.addGroup(2, IommuUnit.VT_D, List.of()), other);
    }

    MediatedDevice wrapped(String name, SoftFunction by) {
      return new MediatedDevice(name, "backed", by, new Isolation.Backed(by));
    }
  }
}
