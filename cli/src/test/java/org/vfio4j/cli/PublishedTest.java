// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.ModifiersTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.DocTrees;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreePath;
import com.sun.source.util.TreePathScanner;
import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.lang.model.element.Modifier;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * What a repository is given: every library module, and of it a word for all that can be called.
 */
class PublishedTest {
  private static final Path ROOT = Path.of("..");
  private static final Pattern MODULE = Pattern.compile("<module>(\\w+)</module>");
  private static final Pattern EXPORTED = Pattern.compile("exports ([\\w.]+);");
  private static final Pattern ARTIFACT = Pattern.compile("<artifactId>(vfio4j-\\w+)</artifactId>");

  private static final String NATIVE_ACCESS =
      "--enable-native-access=org.vfio4j.posix,org.vfio4j.linux";

  /** What a reader has at hand who copies an example: a container, a group, a socket's path. */
  private static final String EXAMPLE =
      """
      package %s;
      %s
      import java.lang.foreign.*;
      import java.nio.file.*;
      import java.time.*;
      import java.util.*;
      final class Shown {
        static void shown(Container container, IommuGroup group, Path path) throws Exception {
          %s
        }
      }
      """;

  @Test
  void shouldNameEveryLibraryInTheBom() throws IOException {
    List<String> libraries = new ArrayList<>();
    for (Path module : libraries()) {
      libraries.add(artifacts(module.resolve("pom.xml")).getFirst());
    }
    List<String> named = new ArrayList<>(artifacts(ROOT.resolve("bom/pom.xml")));
    named.remove("vfio4j-bom");
    assertThat(named).containsExactlyInAnyOrderElementsOf(libraries);
  }

  @Test
  void shouldShowAFirstExampleOfEveryExportedPackage() throws IOException {
    for (Path folder : exported()) {
      assertThat(folder.resolve("package-info.java"))
          .content()
          .as("overview and first example of %s", folder)
          .contains("{@snippet");
    }
  }

  @Test
  void shouldShowExamplesThatCompile() throws IOException {
    List<Path> packages = exported();
    String imports =
        packages.stream()
            .map(folder -> "import %s.*;\n".formatted(packageOf(folder)))
            .collect(Collectors.joining());
    List<JavaFileObject> examples = new ArrayList<>();
    for (Path folder : packages) {
      String text = Files.readString(folder.resolve("package-info.java"));
      int start = text.indexOf("{@snippet :");
      if (start >= 0) {
        String body = body(text, start + "{@snippet :".length());
        String code = EXAMPLE.formatted(packageOf(folder), imports, body);
        URI name = URI.create("string:///" + packageOf(folder).replace('.', '/') + "/Shown.java");
        examples.add(
            new SimpleJavaFileObject(name, JavaFileObject.Kind.SOURCE) {
              @Override
              public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                return code;
              }
            });
      }
    }
    StringWriter said = new StringWriter();
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    JavacTask task =
        (JavacTask) compiler.getTask(said, null, null, List.of("-proc:none"), null, examples);
    task.analyze();
    assertThat(examples).hasSizeGreaterThan(15);
    assertThat(said.toString()).isEmpty();
  }

  /** What README shows is what consumer/run compiles and runs, to the letter. */
  @Test
  void shouldShowInReadmeTheProgramsOfTheConsumer() throws IOException {
    String readme = Files.readString(ROOT.resolve("README.md"));
    for (String program : List.of("CheckAssignment", "EmbedEngine", "ServeDevice", "DriveDevice")) {
      String code =
          Files.readString(ROOT.resolve("consumer/src/main/java/consumer/" + program + ".java"));
      String shown =
          code.substring(
                  code.indexOf('\n', code.indexOf("// @start")) + 1,
                  code.lastIndexOf("    // @end"))
              .replaceAll("(?m)^ {4}", "");
      assertThat(readme).as(program).contains("```java\n" + shown + "```\n");
    }
    String pom = Files.readString(ROOT.resolve("consumer/pom.xml"));
    assertThat(pom).contains("<artifactId>vfio4j-bom</artifactId>");
    assertThat(Files.readString(ROOT.resolve("consumer/run")))
        .as("what README tells a consumer to pass")
        .contains(NATIVE_ACCESS);
    assertThat(readme).contains(NATIVE_ACCESS);
    assertThat(Files.readString(ROOT.resolve("dist/launch.sh"))).contains(NATIVE_ACCESS);
  }

  /** The snippet's lines, up to the brace that ends it. */
  private static String body(String text, int from) {
    int depth = 1;
    int at = from;
    for (; depth > 0; at++) {
      char c = text.charAt(at);
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    }
    return text.substring(from, at - 1).replaceAll("(?m)^ \\* ?", "");
  }

  private static String packageOf(Path folder) {
    String name = folder.toString().replace('/', '.');
    return name.substring(name.indexOf("org.vfio4j"));
  }

  private static List<Path> exported() throws IOException {
    List<Path> all = new ArrayList<>();
    for (Path module : libraries()) {
      all.addAll(exported(module));
    }
    return all;
  }

  /**
   * doclint would also ask for a line about each parameter, which repeats what the sentence says.
   * So this asks only for the sentence. Constants with the kernel's or the protocol's names are
   * explained by their class.
   */
  @Test
  void shouldSayWhatEachPublicTypeAndMethodDoes() throws IOException {
    List<Path> files = new ArrayList<>();
    for (Path folder : exported()) {
      try (Stream<Path> sources = Files.list(folder)) {
        sources.filter(f -> f.toString().endsWith(".java")).forEach(files::add);
      }
    }
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    List<String> silent = new ArrayList<>();
    int seen = 0;
    try (StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, null)) {
      JavacTask task =
          (JavacTask)
              compiler.getTask(
                  null,
                  manager,
                  null,
                  List.of("-proc:none"),
                  null,
                  manager.getJavaFileObjectsFromPaths(files));
      DocTrees docs = DocTrees.instance(task);
      for (CompilationUnitTree unit : task.parse()) {
        Undocumented scanner = new Undocumented(docs, silent);
        scanner.scan(unit, null);
        seen += scanner.seen;
      }
    }
    assertThat(seen).as("public types and methods").isGreaterThan(800);
    assertThat(silent).as("without a comment").isEmpty();
  }

  /** The modules of the build that somebody else may require. */
  private static List<Path> libraries() throws IOException {
    return MODULE
        .matcher(Files.readString(ROOT.resolve("pom.xml")))
        .results()
        .map(m -> ROOT.resolve(m.group(1)))
        .filter(f -> Files.exists(f.resolve("src/main/java/module-info.java")))
        .filter(f -> !f.endsWith("cli"))
        .toList();
  }

  private static List<Path> exported(Path module) throws IOException {
    Path sources = module.resolve("src/main/java");
    return EXPORTED
        .matcher(Files.readString(sources.resolve("module-info.java")))
        .results()
        .map(m -> sources.resolve(m.group(1).replace('.', '/')))
        .toList();
  }

  /** The artifacts that a POM names after its parent, its own first. */
  private static List<String> artifacts(Path pom) throws IOException {
    String text = Files.readString(pom);
    return ARTIFACT
        .matcher(text.substring(text.indexOf("</parent>")))
        .results()
        .map((MatchResult m) -> m.group(1))
        .toList();
  }

  /** Goes through what a class lets others see. */
  private static final class Undocumented extends TreePathScanner<@Nullable Void, @Nullable Void> {
    private final DocTrees docs;
    private final List<String> silent;
    private int seen;

    Undocumented(DocTrees docs, List<String> silent) {
      this.docs = docs;
      this.silent = silent;
    }

    @Override
    public @Nullable Void visitClass(ClassTree type, @Nullable Void nothing) {
      if (!isVisible(type.getModifiers())) {
        return null;
      }
      check(type.getSimpleName().toString());
      return super.visitClass(type, null);
    }

    @Override
    public @Nullable Void visitMethod(MethodTree method, @Nullable Void nothing) {
      boolean inherits =
          method.getModifiers().getAnnotations().stream()
              .anyMatch(a -> a.getAnnotationType().toString().equals("Override"));
      if (isVisible(method.getModifiers()) && !inherits && method.getReturnType() != null) {
        check(method.getName().toString());
      }
      return null;
    }

    private void check(String name) {
      seen++;
      if (docs.getDocComment(getCurrentPath()) == null) {
        silent.add(getCurrentPath().getCompilationUnit().getSourceFile().getName() + ": " + name);
      }
    }

    private boolean isVisible(ModifiersTree modifiers) {
      TreePath around = getCurrentPath().getParentPath();
      return modifiers.getFlags().contains(Modifier.PUBLIC)
          || modifiers.getFlags().contains(Modifier.PROTECTED)
          || around.getLeaf().getKind() == Tree.Kind.INTERFACE
              && !modifiers.getFlags().contains(Modifier.PRIVATE);
    }
  }
}
