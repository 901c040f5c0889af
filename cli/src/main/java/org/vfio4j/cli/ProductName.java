// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.Optional;
import java.util.regex.Pattern;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;

/** The name of a device as people say it: short, and from what the source or a list calls it. */
final class ProductName {

  private static final Pattern REVISION = Pattern.compile("\\s*\\(rev [0-9a-f]+\\).*$");
  private static final Pattern IDS = Pattern.compile("\\s*\\[[0-9a-f]{4}(:[0-9a-f]{4})?\\]");
  private static final Pattern LEGAL =
      Pattern.compile(
          ",? (Corporation|Incorporated|Inc\\.?|Ltd\\.?|Limited|LLC|GmbH|AG|Co\\.(?:,? Ltd\\.?)?"
              + "|Technologies|Technology|Semiconductor|Electronics|Company)(?=[ ,]|$)");
  private static final Pattern MAKER = Pattern.compile("^([^\\[\\]]*?) ?\\[([^\\]]+)\\] (.+)$");
  private static final Pattern MARKETED = Pattern.compile("^(\\S+) .*\\[([^\\]]{4,})\\]$");

  private ProductName() {}

  /** The name; where none is known, the class and the ids. */
  static String of(PciFunction function, PciIds names) {
    return names
        .name(function)
        .map(ProductName::brief)
        .filter(s -> !s.isBlank())
        .orElseGet(() -> unnamed(function));
  }

  /** The name to show beside the ids: as the source says it, or else the short one of the list. */
  static Optional<String> shown(PciFunction function, PciIds names) {
    return function
        .description()
        .map(Text::printable)
        .or(() -> names.name(function).map(ProductName::brief))
        .filter(s -> !s.isBlank());
  }

  private static String unnamed(PciFunction function) {
    String what =
        DeviceKind.of(function) == DeviceKind.ACCELERATOR ? "accelerator" : Words.classOf(function);
    String word = what.equals("?") ? "device of unknown class" : what;
    String big = Character.toUpperCase(word.charAt(0)) + word.substring(1);
    return big + function.id().map(i -> " " + i).orElse("");
  }

  /** {@code NVIDIA GeForce RTX 3060} of what {@code lspci} and pci.ids have. */
  static String brief(String full) {
    String text = Text.printable(full).strip();
    text = REVISION.matcher(text).replaceFirst("");
    text = IDS.matcher(text).replaceAll("");
    text = LEGAL.matcher(text).replaceAll("");
    text = text.replace("Advanced Micro Devices, [AMD/ATI]", "AMD");
    text = text.replace("Advanced Micro Devices [AMD/ATI]", "AMD");
    text = text.replace("Advanced Micro Devices, [AMD]", "AMD");
    text = text.replace("Advanced Micro Devices [AMD]", "AMD");
    var marketed = MARKETED.matcher(text);
    if (marketed.matches()) {
      text = marketed.group(1) + " " + marketed.group(2);
    } else {
      var maker = MAKER.matcher(text);
      text = maker.matches() ? maker.group(2) + " " + maker.group(3) : text;
    }
    return text.strip();
  }
}
