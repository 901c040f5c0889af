// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.uapi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.PaddingLayout;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.StructLayout;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Structs and numbers, as the C compiler of this machine finds them in the kernel's header. */
class LayoutsTest {
  private static final Path HEADER = Path.of("/usr/include/linux/vfio.h");

  @TempDir private Path folder = Path.of("");

  @Test
  void shouldAgreeWithTheCompilerOnEverySizeAndOffset() throws Exception {
    Map<String, Long> expected = new LinkedHashMap<>();
    for (Object value : constants(Layouts.class)) {
      StructLayout struct = (StructLayout) value;
      String name = "struct " + struct.name().orElseThrow();
      expected.put("sizeof(" + name + ")", struct.byteSize());
      for (MemoryLayout field : struct.memberLayouts()) {
        if (field instanceof PaddingLayout) {
          continue;
        }
        String c = field.name().orElseThrow();
        expected.put("offsetof(%s, %s)".formatted(name, c), Layouts.offset(struct, c));
        if (!(field instanceof SequenceLayout)) {
          expected.put("sizeof(((%s *)0)->%s)".formatted(name, c), field.byteSize());
        }
      }
    }
    assertThat(expected).hasSizeGreaterThan(100);
    Map<String, Long> compiled = compile(expected.keySet().stream().toList());
    // The field `pad` came with 6.6; before it the struct ended four bytes earlier.
    String info = "sizeof(struct vfio_device_info)";
    assertThat(compiled.get(info)).isIn(20L, 24L);
    expected.remove(info);
    compiled.remove(info);
    assertThat(expected).isEqualTo(compiled);
  }

  @Test
  void shouldAgreeWithTheCompilerOnEveryNumber() throws Exception {
    Map<String, Long> expected = new LinkedHashMap<>();
    for (Class<?> numbers : List.of(Ioctls.class, VfioConstants.class)) {
      for (Field field : numbers.getFields()) {
        expected.put(field.getName(), (long) field.getInt(null));
      }
    }
    assertThat(expected).hasSizeGreaterThan(60);
    assertThat(expected).isEqualTo(compile(expected.keySet().stream().toList()));
  }

  private static List<Object> constants(Class<?> type) throws IllegalAccessException {
    List<Object> all = new ArrayList<>();
    for (Field field : type.getFields()) {
      if (Modifier.isStatic(field.getModifiers())) {
        all.add(field.get(null));
      }
    }
    return all;
  }

  /** What the compiler makes of each expression. */
  private Map<String, Long> compile(List<String> expressions) throws Exception {
    assumeTrue(Files.exists(HEADER), HEADER + " is missing: nothing to compare with");
    assumeTrue(has("gcc"), "gcc is missing: nothing to compare with");
    StringBuilder c = new StringBuilder("#include <stddef.h>\n#include <stdio.h>\n");
    c.append("#include <linux/vfio.h>\nint main(void) {\n");
    expressions.forEach(
        e -> c.append("  printf(\"%lld\\n\", (long long)(").append(e).append("));\n"));
    c.append("  return 0;\n}\n");
    Path source = Files.writeString(folder.resolve("layouts.c"), c);
    Path program = folder.resolve("layouts");
    run("gcc", "-o", program.toString(), source.toString());
    List<String> values = run(program.toString());
    assertThat(values).hasSameSizeAs(expressions);
    Map<String, Long> compiled = new LinkedHashMap<>();
    for (int i = 0; i < expressions.size(); i++) {
      compiled.put(expressions.get(i), Long.parseLong(values.get(i)));
    }
    return compiled;
  }

  private static boolean has(String program) {
    return Stream.of(System.getenv("PATH").split(":"))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  private static List<String> run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(output).isZero();
    return output.lines().toList();
  }
}
