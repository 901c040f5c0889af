// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Pattern;

/**
 * Which lines, of those that no form of text takes, are no loss: those that name no function, group
 * or driver, and those of forms that are listed as saying nothing that this program asks.
 */
final class SaysNothing {

  /**
   * A form of line that says nothing of a host.
   *
   * @param pattern what such a line begins with
   * @param sample a line of this form
   */
  record Form(Pattern pattern, String sample) {}

  private static final Pattern NAMES_SOMETHING =
      Pattern.compile(
          "(?i)(?<![0-9a-f:.])(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\\.[0-7](?![0-9a-f])"
              + "|pci_[0-9a-f]{4}_[0-9a-f]{2}_[0-9a-f]{2}_[0-7]"
              + "|\\bgroup[ #:=]*[0-9]+|iommu_?groups?[/:= ]+[0-9]+"
              + "|\\bdriver(?: in use)?\\s*[:=]\\s*\\S|\\bKernel driver in use"
              + "|\\[[0-9a-f]{4}:[0-9a-f]{4}\\]|\\bSubsystem:");

  private final List<Form> forms;

  private SaysNothing(List<Form> forms) {
    this.forms = forms;
  }

  /** The forms that are listed. */
  static SaysNothing load() {
    try (InputStream in = SaysNothing.class.getResourceAsStream("says-nothing.txt")) {
      byte[] bytes = Objects.requireNonNull(in, "says-nothing.txt").readAllBytes();
      return parse(new String(bytes, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static SaysNothing parse(String text) {
    List<Form> forms = new ArrayList<>();
    String pattern = "";
    for (String line : text.lines().filter(l -> !l.isBlank() && !l.startsWith("#")).toList()) {
      if (line.startsWith("form: ")) {
        pattern = line.substring(6);
      } else {
        forms.add(new Form(Pattern.compile(pattern), line.substring("line: ".length())));
      }
    }
    return new SaysNothing(List.copyOf(forms));
  }

  List<Form> forms() {
    return forms;
  }

  /** Whether something is lost with the line. */
  boolean loses(TextLine line) {
    return namesSomething(line.bare()) && !isListed(line.bare());
  }

  /** Whether the line is of a form that is listed. */
  boolean isListed(String text) {
    return forms.stream().anyMatch(f -> f.pattern().matcher(text).lookingAt());
  }

  /** Whether a text names a function, a group or a driver. */
  static boolean namesSomething(String text) {
    return mayName(text) && NAMES_SOMETHING.matcher(text).find();
  }

  /**
   * Whether something is there without which the pattern finds nothing: most lines have nothing.
   */
  private static boolean mayName(String text) {
    for (int i = 0; i < text.length(); i++) {
      boolean may =
          switch (text.charAt(i)) {
            case ':' -> ListingEntry.hasFunctionAt(text, i) || i >= 5 && text.charAt(i - 5) == '[';
            case 'g', 'G' -> begins(text, i, "group");
            case 'd', 'D' -> begins(text, i, "driver");
            case 'p', 'P' -> begins(text, i, "pci_");
            case 's', 'S' -> begins(text, i, "subsystem:");
            default -> false;
          };
      if (may) {
        return true;
      }
    }
    return false;
  }

  private static boolean begins(String text, int at, String word) {
    return text.regionMatches(true, at, word, 0, word.length());
  }
}
