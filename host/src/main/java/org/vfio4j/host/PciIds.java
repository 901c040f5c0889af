// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The names of vendors and devices, as the file {@code pci.ids} of the PCI ID Repository has them.
 * Vendors begin at the left, their devices are below them behind a tabulator. Not thread-safe.
 */
public final class PciIds {

  /** No names at all. */
  public static final PciIds NONE = of("");

  /** Names another file than the machine's; an empty text stands for none. */
  private static final String VARIABLE = "VFIO_PCI_IDS";

  /** Where distributions put the file. */
  private static final List<Path> PLACES =
      List.of(
          Path.of("/usr/share/misc/pci.ids"),
          Path.of("/usr/share/hwdata/pci.ids"),
          Path.of("/var/lib/pciutils/pci.ids"));

  /** The file has 1.4 MB; one that is so much bigger is another one. */
  private static final long MAX_BYTES = 16L << 20;

  private final String text;
  private final Map<Integer, Optional<Block>> blocks = new HashMap<>();

  /** Where a vendor stands in the text: from the line break before it to the next vendor. */
  private record Block(String name, int begin, int end) {}

  private PciIds(String text) {
    this.text = text;
  }

  /** The names in a text of this form; what is not of the form is passed over. */
  public static PciIds of(String text) {
    return new PciIds("\n" + text + "\n");
  }

  /**
   * The names that this machine has: those of the file that the environment's {@code VFIO_PCI_IDS}
   * names, or else of the distribution's. Without such a file there are none.
   */
  public static PciIds ofMachine() {
    String named = System.getenv(VARIABLE);
    List<Path> places = PLACES;
    if (named != null) {
      places = named.isEmpty() ? List.of() : List.of(Path.of(named));
    }
    return places.stream().flatMap(p -> read(p).stream()).findFirst().orElse(NONE);
  }

  private static Optional<PciIds> read(Path file) {
    try {
      if (!Files.isRegularFile(file) || Files.size(file) > MAX_BYTES) {
        return Optional.empty();
      }
      return Optional.of(of(new String(Files.readAllBytes(file), StandardCharsets.UTF_8)));
    } catch (IOException e) {
      // Names are a help and no more: without them the numbers are shown.
      return Optional.empty();
    }
  }

  /** The name of a vendor. */
  public Optional<String> vendor(int vendor) {
    return block(vendor).map(Block::name);
  }

  /** The name of a device, without its vendor's. */
  public Optional<String> device(PciId id) {
    return block(id.vendor())
        .flatMap(
            block -> {
              String line = "\n\t" + hex(id.device()) + "  ";
              int at = text.indexOf(line, block.begin(), block.end());
              return at < 0 ? Optional.empty() : Optional.of(restOfLine(at + line.length()));
            });
  }

  /**
   * What a function is called: as its source calls it, or else by these names; a device that they
   * do not have is called by its vendor and number. Empty if nobody names it.
   */
  public Optional<String> name(PciFunction function) {
    return function.description().or(() -> function.id().flatMap(this::name));
  }

  private Optional<String> name(PciId id) {
    return vendor(id.vendor())
        .map(v -> v + " " + device(id).orElseGet(() -> "Device " + hex(id.device())));
  }

  private Optional<Block> block(int vendor) {
    return blocks.computeIfAbsent(vendor, this::find);
  }

  private Optional<Block> find(int vendor) {
    String line = "\n" + hex(vendor) + "  ";
    int begin = text.indexOf(line);
    if (begin < 0) {
      return Optional.empty();
    }
    int end = begin + 1;
    do {
      end = text.indexOf('\n', end + 1);
    } while (end >= 0 && end + 1 < text.length() && goesOn(text.charAt(end + 1)));
    String name = restOfLine(begin + line.length());
    return Optional.of(new Block(name, begin, end < 0 ? text.length() : end + 1));
  }

  /** Whether a line that begins so still belongs to the vendor above it. */
  private static boolean goesOn(char first) {
    return first == '\t' || first == '#' || first == '\n';
  }

  private static String hex(int number) {
    return HexFormat.of().toHexDigits((short) number);
  }

  private String restOfLine(int from) {
    return text.substring(from, text.indexOf('\n', from)).strip();
  }
}
