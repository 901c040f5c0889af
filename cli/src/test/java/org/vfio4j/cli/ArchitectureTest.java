// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What may know what. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .withImportOption(location -> !location.contains("-tests.jar"))
          .importPackages("org.vfio4j");

  private static final String[] CORE = {
    "org.vfio4j.error..",
    "org.vfio4j.event..",
    "org.vfio4j.profile..",
    "org.vfio4j.iommu..",
    "org.vfio4j.type1..",
    "org.vfio4j.mdev..",
    "org.vfio4j.vfio..",
    "org.vfio4j.soft..",
    "org.vfio4j.unwind.."
  };

  private static final String LINUX = "org.vfio4j.linux..";
  private static final String POSIX = "org.vfio4j.posix..";
  private static final String REPLAY = "org.vfio4j.replay..";
  private static final String USER = "org.vfio4j.user..";
  private static final String BROKER = "org.vfio4j.broker..";
  private static final String HOST = "org.vfio4j.host..";
  private static final String ASSIGN = "org.vfio4j.assign..";
  private static final String API = "org.vfio4j.api..";
  private static final String CLI = "org.vfio4j.cli..";
  private static final String BENCH = "org.vfio4j.bench..";

  private static String[] core(String... more) {
    String[] all = java.util.Arrays.copyOf(CORE, CORE.length + more.length);
    System.arraycopy(more, 0, all, CORE.length, more.length);
    return all;
  }

  @Test
  void shouldSeeTheClassesOfEachModule() {
    for (String name : core(POSIX, LINUX, REPLAY, USER, BROKER, HOST, ASSIGN, API, CLI)) {
      assertThat(CLASSES.that(resideInAnyPackage(name))).as(name).isNotEmpty();
    }
  }

  @Test
  void shouldKeepCoreFreeOfEverythingElse() {
    ArchRule rule =
        classes()
            .that()
            .resideInAnyPackage(CORE)
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage(core("java..", "jdk.jfr..", "org.jspecify.annotations.."));
    rule.check(CLASSES);
  }

  @Test
  void shouldKeepCoreFreeOfInputAndOutput() {
    ArchRule rule =
        noClasses()
            .that()
            .resideInAnyPackage(CORE)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                "java.io..", "java.nio.file..", "java.nio.channels..", "java.net..");
    rule.check(CLASSES);
  }

  @Test
  void shouldKeepCoreAndWhatCallsTheKernelFreeOfReflection() {
    noClasses()
        .that()
        .resideInAnyPackage(core(POSIX, LINUX, USER))
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("java.lang.reflect..")
        .check(CLASSES);
  }

  @Test
  void shouldHoldNoAtomicInType1() {
    fields()
        .that()
        .areDeclaredInClassesThat()
        .resideInAPackage("org.vfio4j.type1..")
        .should()
        .notHaveRawType(resideInAnyPackage("java.util.concurrent.atomic.."))
        .check(CLASSES);
  }

  @Test
  void shouldLetLinuxKnowCoreAndSystemCallsOnly() {
    onlyProject(LINUX, core(LINUX, POSIX));
  }

  @Test
  void shouldLetSystemCallsKnowNothingOfVfio() {
    onlyProject(POSIX, POSIX);
  }

  @Test
  void shouldLetUserKnowCoreAndSystemCallsOnly() {
    onlyProject(USER, core(USER, POSIX));
  }

  @Test
  void shouldLetTheBrokerKnowTheKernelAndUserOnly() {
    onlyProject(BROKER, core(POSIX, LINUX, USER, BROKER));
  }

  @Test
  void shouldLetReplayKnowCoreAndTheKernelOnly() {
    onlyProject(REPLAY, core(POSIX, LINUX, REPLAY));
  }

  @Test
  void shouldLetHostKnowCoreOnly() {
    onlyProject(HOST, core(HOST));
  }

  @Test
  void shouldLetTheApiKnowNothingOfVfio() {
    onlyProject(API, API);
  }

  @Test
  void shouldLetAssignKnowHostAndCoreOnly() {
    onlyProject(ASSIGN, core(HOST, ASSIGN));
  }

  @Test
  void shouldLetNobodyKnowTheCommandOrTheBenchmarks() {
    noClasses()
        .that()
        .resideOutsideOfPackages(CLI, BENCH)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(CLI, BENCH)
        .check(CLASSES);
    noClasses()
        .that()
        .resideInAPackage(CLI)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(BENCH)
        .check(CLASSES);
  }

  /**
   * One name, one thing: who imports from two modules needs no package to tell their classes apart.
   * Types that stand in another type are told apart by it.
   */
  @Test
  void shouldNameNoClassTwice() throws IOException {
    Map<String, List<String>> named = new TreeMap<>();
    for (Path source : mainSources()) {
      String file = String.valueOf(source.getFileName());
      if (!file.equals("package-info.java") && !file.equals("module-info.java")) {
        named.computeIfAbsent(file, f -> new ArrayList<>()).add(source.toString());
      }
    }
    assertThat(named).hasSizeGreaterThan(300);
    named.values().removeIf(sources -> sources.size() == 1);
    assertThat(named).as("class names that stand twice").isEmpty();
  }

  /** Those of all modules, bench among them: one class of the top level each. */
  private static List<Path> mainSources() throws IOException {
    List<Path> sources = new ArrayList<>();
    try (DirectoryStream<Path> modules = Files.newDirectoryStream(Path.of(".."))) {
      for (Path module : modules) {
        Path main = module.resolve("src/main/java");
        if (Files.isDirectory(main)) {
          try (Stream<Path> files = Files.walk(main)) {
            files.filter(f -> f.toString().endsWith(".java")).forEach(sources::add);
          }
        }
      }
    }
    return sources;
  }

  /** Of this project's classes, those of the package depend on the allowed ones only. */
  private static void onlyProject(String from, String... allowed) {
    noClasses()
        .that()
        .resideInAPackage(from)
        .should()
        .dependOnClassesThat(
            resideInAnyPackage("org.vfio4j..")
                .and(com.tngtech.archunit.base.DescribedPredicate.not(resideInAnyPackage(allowed))))
        .check(CLASSES);
  }
}
