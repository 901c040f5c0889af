// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;

/**
 * Runs google-java-format over the sources, on the JDK that Maven's toolchain found: inside Maven
 * it would run on Maven's own, which may not know the syntax. Arguments: {@code check} or {@code
 * apply}, then folders.
 */
final class Format {
  public static void main(String[] arguments) throws IOException {
    boolean apply = arguments[0].equals("apply");
    List<String> tool = new ArrayList<>();
    tool.addAll(apply ? List.of("--replace") : List.of("--dry-run", "--set-exit-if-changed"));
    int options = tool.size();
    for (int i = 1; i < arguments.length; i++) {
      Path folder = Path.of(arguments[i]);
      if (Files.isDirectory(folder)) {
        try (Stream<Path> files = Files.walk(folder)) {
          files
              .filter(f -> f.toString().endsWith(".java"))
              .filter(f -> !f.toString().contains("/target/"))
              .map(Path::toString)
              .forEach(tool::add);
        }
      }
    }
    int status =
        tool.size() == options
            ? 0
            : ToolProvider.findFirst("google-java-format")
                .orElseThrow()
                .run(System.out, System.err, tool.toArray(String[]::new));
    if (status != 0) {
      System.err.println(
          apply
              ? "some files could not be formatted"
              : "the files above are not formatted; 'mvn -N verify -Dformat=apply' does it");
    }
    System.exit(status);
  }
}
