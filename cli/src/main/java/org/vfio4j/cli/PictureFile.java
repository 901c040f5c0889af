// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import org.vfio4j.host.input.BadInputException;
import picocli.CommandLine.Option;

/** Where a command draws to. */
final class PictureFile {

  @Option(
      names = "--svg",
      paramLabel = "FILE",
      description = "Draw a picture of it, for a browser or a page; '-' prints it.")
  private Optional<Path> svg = Optional.empty();

  @Option(names = "--overwrite", description = "With --svg: replace a file that is there already.")
  private boolean overwrite;

  /** Whether a picture is asked for. */
  boolean isAskedFor() {
    return svg.isPresent();
  }

  /** Whether the picture is the answer itself. */
  boolean isAnswer() {
    return svg.filter(p -> p.toString().equals("-")).isPresent();
  }

  /**
   * Refuses a name of another kind of picture, before any work is done.
   *
   * @throws BadInputException if the file's name is that of another kind of file
   */
  void check() {
    String name = svg.map(p -> p.toString().toLowerCase(Locale.ROOT)).orElse(".svg");
    boolean stream = name.equals("-") || name.startsWith("/dev/");
    if (!stream && !name.endsWith(".svg")) {
      throw new BadInputException(
          svg.orElseThrow().toString(), 0, "", "what is drawn is SVG: name it *.svg");
    }
  }

  /**
   * Draws to where it was asked for.
   *
   * @throws BadInputException if the file is there already, or cannot be written
   */
  void draw(Console console, Picture picture) {
    String text = Svg.of(picture);
    if (isAnswer()) {
      console.out().print(text);
      return;
    }
    Path file = svg.orElseThrow();
    OutputFile.write(file, text, overwrite, "--overwrite");
  }

  /** The line that says where the picture is. */
  String drawn() {
    return "drawn: " + Text.printable(svg.map(Path::toString).orElse(""));
  }
}
