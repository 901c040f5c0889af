// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A line of lspci or of a group listing that names a function.
 *
 * @param prefix what stands before the address
 * @param address its address
 * @param classCode its class, from the number or from the name
 * @param id vendor and device
 * @param description the rest of the line
 * @param driver what the line says of its driver
 * @param ending whether its end is there
 */
record ListingEntry(
    Prefix prefix,
    PciAddress address,
    Optional<PciClass> classCode,
    Optional<PciId> id,
    Optional<String> description,
    Fact<String> driver,
    Ending ending) {

  /** How a line ends. */
  enum Ending {
    /** With all that such a line has. */
    WHOLE,
    /** Early: lspci cuts very long lines itself, and people cut them to the width of a window. */
    SHORT,
    /** Perhaps in the next line, as mail programs wrap it. */
    OPEN
  }

  /**
   * What stands before an address.
   *
   * @param group the group that the line names
   * @param noGroup whether the line has the pattern of a shell where a number should be, which
   *     stays where there are no groups
   * @param number a number whose meaning is not said
   * @param reset whether the line has the mark of a function that can be reset
   * @param flags whether the line has a place for such a mark
   * @param id vendor and device, where they stand there
   * @param bridge the bridge above the function, where the line has the path to it
   */
  record Prefix(
      OptionalInt group,
      boolean noGroup,
      OptionalInt number,
      boolean reset,
      boolean flags,
      Optional<PciId> id,
      Optional<PciAddress> bridge) {

    private static final Pattern TOKENS =
        Pattern.compile(
            "(?i)(?:(?:IOMMU[ _-]*)?Group(?: Device)?[ #:=]*(?<group>[0-9]{1,9}|\\*)?[ :|.,-]*"
                + "|\\((?<paren>[0-9]{1,9})\\)"
                + "|\\[(?<id>[0-9a-f]{4}:[0-9a-f]{4})\\]"
                + "|(?<flag>\\[(?:R|RESET|FLR)\\])"
                + "|\\[ ?[A-Z*x]{0,8} ?\\]"
                + "|(?<number>[0-9]{1,9})[.):|]?(?=[ |\t])"
                + "|pci@|(?:PCI|Device|Slot|Address)[: ]|[-+*|│├└─╰╭`\\\\•·→>:]+)");

    /** The prefix, if the text is one. */
    static Optional<Prefix> parse(String text) {
      OptionalInt group = OptionalInt.empty();
      OptionalInt number = OptionalInt.empty();
      Optional<PciId> id = Optional.empty();
      boolean none = false;
      boolean reset = false;
      String whole = text.strip() + " ";
      Matcher m = TOKENS.matcher(whole);
      for (int at = 0; at < whole.length() - 1; at = afterBlanks(whole, m.end())) {
        m.region(at, whole.length());
        if (!m.lookingAt() || m.end() == at) {
          return Optional.empty();
        }
        if (m.group("group") != null) {
          none = m.group("group").equals("*");
          group = none ? group : OptionalInt.of(Integer.parseInt(m.group("group")));
        } else if (m.group("paren") != null) {
          group = OptionalInt.of(Integer.parseInt(m.group("paren")));
        } else if (m.group("number") != null) {
          number = OptionalInt.of(Integer.parseInt(m.group("number")));
        }
        id = m.group("id") == null ? id : Optional.of(PciId.parse(m.group("id")));
        reset |= m.group("flag") != null;
      }
      return Optional.of(
          new Prefix(group, none, number, reset, id.isPresent(), id, Optional.empty()));
    }

    private Prefix below(Optional<PciAddress> above) {
      return new Prefix(group, noGroup, number, reset, flags, id, above);
    }

    private static int afterBlanks(String text, int from) {
      int at = from;
      while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
        at++;
      }
      return at;
    }
  }

  private static final String ADDRESS =
      "(?<![0-9a-fA-F:.])((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])"
          + "(?![0-9a-fA-F.:]{2})";
  private static final Pattern ANY_ADDRESS = Pattern.compile(ADDRESS);
  private static final Pattern BEGIN =
      Pattern.compile("(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7][/ ]");
  private static final String ID = "([0-9a-fA-F]{4}:[0-9a-fA-F]{4})";
  private static final Pattern NUMBERS =
      Pattern.compile("(?:Class )?([0-9a-fA-F]{4}): " + ID + "(?:\\s.*)?");
  private static final Pattern NAMES_AND_NUMBERS =
      Pattern.compile("([^\\[\\]\"]{0,100})\\[([0-9a-fA-F]{4})\\]:?(?:\\s+(.*))?");
  private static final Pattern NAMES =
      Pattern.compile("([A-Za-z0-9][^:\\[\\]\"]{1,70}?)\\s*: (.+)");
  private static final Pattern COLUMNS = Pattern.compile("([A-Z0-9].*?)\\s{2,}(\\S.*)");
  private static final Pattern QUOTED =
      Pattern.compile(
          "\"([^\"]*?)(?: \\[([0-9a-f]{4})\\])?\" \"([^\"]*?)(?: \\[([0-9a-f]{4})\\])?\""
              + " \"([^\"]*?)(?: \\[([0-9a-f]{4})\\])?\"(.*)");
  private static final Pattern ID_ONLY = Pattern.compile("\\[?" + ID + "\\]?.*");
  private static final Pattern LAST_ID = Pattern.compile("(.*)\\[" + ID + "\\](.*)");
  private static final Pattern REVISION = Pattern.compile("\\(rev [0-9a-f]{2}\\)");
  private static final Pattern PROG_IF = Pattern.compile("\\(prog-if ([0-9a-fA-F]{2})");
  private static final Pattern DRIVER =
      Pattern.compile(
          "(?i)(?:^|[\\s(|,])(?:(?:kernel )?driver(?: in use)?[:=]|drv=)\\s*+"
              + "(\\(?none\\)?|n/a|-|[A-Za-z0-9][A-Za-z0-9_-]*+)?[)\\s|,]*+$"
              + "|\\s\\[(?<bracketed>[a-z][a-z0-9]*(?:[_-][a-z0-9]+){1,8})\\]$");

  private ListingEntry ending(Ending other) {
    return new ListingEntry(prefix, address, classCode, id, description, driver, other);
  }

  /** Whether the colon may be that of an address, before its device and its function. */
  static boolean hasFunctionAt(String text, int colon) {
    return colon + 3 < text.length() && text.charAt(colon + 3) == '.';
  }

  /** Finds the first address; most lines have none, and that is soon seen. */
  private static boolean find(Matcher addresses, String text) {
    int colon = text.indexOf(':');
    while (colon >= 0 && !hasFunctionAt(text, colon)) {
      colon = text.indexOf(':', colon + 1);
    }
    return colon >= 0 && addresses.find();
  }

  /** The first address in the text. */
  static Optional<PciAddress> addressIn(String text) {
    Matcher m = ANY_ADDRESS.matcher(text);
    return find(m, text) ? PciAddress.tryParse(m.group(1)) : Optional.empty();
  }

  /** Whether the text, without leading blanks, begins like an entry. */
  static boolean begins(String text) {
    Matcher m = ANY_ADDRESS.matcher(text);
    return find(m, text) && Prefix.parse(text.substring(0, m.start())).isPresent();
  }

  /** Whether the text begins with an address, of a function or of a bridge above it. */
  static boolean beginsWithAddress(String text) {
    return BEGIN.matcher(text).lookingAt();
  }

  /**
   * Reads an entry.
   *
   * @param text the line, without leading blanks
   * @param grouped whether the line stands under the heading of a group: then an address alone, or
   *     one with any text, is an entry too
   */
  static Optional<ListingEntry> parse(String text, boolean grouped) {
    Matcher m = ANY_ADDRESS.matcher(text);
    if (!find(m, text)) {
      return Optional.empty();
    }
    Optional<Prefix> prefix = Prefix.parse(text.substring(0, m.start()));
    Optional<PciAddress> address = PciAddress.tryParse(m.group(1));
    Optional<PciAddress> bridge = Optional.empty();
    int end = m.end();
    while (text.startsWith("/", end) && m.find() && m.start() == end + 1) {
      // Only the first of a path has the domain.
      int domain = address.map(PciAddress::domain).orElse(0);
      bridge = address;
      address = PciAddress.tryParse(m.group(1)).map(a -> a.inDomain(domain));
      end = m.end();
    }
    if (address.isEmpty() || prefix.isEmpty()) {
      return Optional.empty();
    }
    String rest = text.substring(end);
    boolean apart = rest.isEmpty() || ": \t|,".indexOf(rest.charAt(0)) >= 0;
    Reader reader = new Reader(prefix.get().below(bridge), address.get());
    boolean inGroup = grouped || prefix.get().group().isPresent() || prefix.get().noGroup();
    return apart ? reader.read(rest.replaceFirst("^[:|,]", "").strip(), inGroup) : Optional.empty();
  }

  /** Reads what stands behind the address. */
  private record Reader(Prefix prefix, PciAddress address) {

    Optional<ListingEntry> read(String whole, boolean grouped) {
      Matcher said = DRIVER.matcher(whole);
      if (!said.find()) {
        return read(whole, grouped, Fact.unknown());
      }
      String text = whole.substring(0, said.start()).strip();
      if (said.group("bracketed") != null) {
        return read(text, grouped, Fact.known(said.group("bracketed")));
      }
      Optional<ListingEntry> entry = read(text, grouped, driver(said.group(1)));
      // The name may stand in the next line.
      return said.group(1) == null ? entry.map(e -> e.ending(Ending.OPEN)) : entry;
    }

    private Optional<ListingEntry> read(String text, boolean grouped, Fact<String> driver) {
      Matcher quoted = QUOTED.matcher(text);
      if (quoted.matches()) {
        return Optional.of(quoted(quoted));
      }
      Matcher numbers = NUMBERS.matcher(text);
      if (numbers.matches()) {
        Optional<PciClass> code = Optional.of(PciClass.parse(numbers.group(1)));
        return entry(code, PciId.parse(numbers.group(2)), "", driver);
      }
      Matcher both = NAMES_AND_NUMBERS.matcher(text);
      if (both.matches()) {
        return Optional.of(namesAndNumbers(both, driver));
      }
      return words(text, grouped, driver);
    }

    private Optional<ListingEntry> words(String text, boolean grouped, Fact<String> driver) {
      Matcher names = NAMES.matcher(text);
      if (names.matches()) {
        Optional<PciClass> named = PciClassNames.classOf(names.group(1));
        if (named.isPresent() || grouped) {
          return Optional.of(
              of(
                  named,
                  prefix.id(),
                  names.group(2).replaceFirst(" \\(rev.*", ""),
                  driver,
                  Ending.WHOLE));
        }
      }
      Matcher columns = COLUMNS.matcher(text);
      if (columns.matches() && PciClassNames.classOf(columns.group(1)).isPresent()) {
        Optional<PciClass> named = PciClassNames.classOf(columns.group(1));
        return Optional.of(of(named, prefix.id(), columns.group(2), driver, Ending.WHOLE));
      }
      if (prefix.id().isPresent()) {
        Optional<PciClass> named = PciClassNames.classOf(text);
        return Optional.of(
            of(named, prefix.id(), named.isPresent() ? "" : text, driver, Ending.WHOLE));
      }
      return grouped || !driver.isUnknown() ? Optional.of(bare(text, driver)) : Optional.empty();
    }

    private ListingEntry bare(String text, Fact<String> driver) {
      Matcher idOnly = ID_ONLY.matcher(text);
      if (idOnly.matches()) {
        Optional<PciId> id = Optional.of(PciId.parse(idOnly.group(1)));
        return of(Optional.empty(), id, "", driver, Ending.WHOLE);
      }
      Ending ending = text.isEmpty() || !driver.isUnknown() ? Ending.WHOLE : Ending.OPEN;
      return of(PciClassNames.classOf(text), Optional.empty(), "", driver, ending);
    }

    private ListingEntry namesAndNumbers(Matcher m, Fact<String> driver) {
      String rest = m.group(3) == null ? "" : m.group(3);
      Matcher last = LAST_ID.matcher(rest);
      boolean hasId = last.matches();
      Optional<PciId> id = hasId ? Optional.of(PciId.parse(last.group(2))) : prefix.id();
      Matcher progIf = PROG_IF.matcher(hasId ? last.group(3) : "");
      String code = m.group(2) + (progIf.find() ? progIf.group(1) : "");
      boolean revision = REVISION.matcher(rest).find();
      Ending ending = id.isPresent() ? Ending.WHOLE : revision ? Ending.SHORT : Ending.OPEN;
      return of(
          Optional.of(PciClass.parse(code)), id, hasId ? last.group(1) : rest, driver, ending);
    }

    private ListingEntry quoted(Matcher m) {
      Optional<PciClass> named =
          m.group(2) == null
              ? hex(m.group(1)).map(PciClass::parse).or(() -> PciClassNames.classOf(m.group(1)))
              : Optional.of(PciClass.parse(m.group(2)));
      Optional<String> vendor = Optional.ofNullable(m.group(4)).or(() -> hex(m.group(3)));
      Optional<String> device = Optional.ofNullable(m.group(6)).or(() -> hex(m.group(5)));
      Optional<PciId> id = vendor.flatMap(v -> device.map(d -> PciId.parse(v + ":" + d)));
      String name = (m.group(3) + " " + m.group(5)).strip();
      boolean numbers = hex(m.group(3)).isPresent();
      Ending ending =
          m.group(7).contains("\"") || m.group(7).isBlank() ? Ending.WHOLE : Ending.SHORT;
      return of(named, id, numbers ? "" : name, Fact.unknown(), ending);
    }

    private static Optional<String> hex(String text) {
      return Optional.of(text).filter(t -> t.matches("[0-9a-f]{4}"));
    }

    private static Fact<String> driver(String word) {
      boolean none = word == null || word.matches("(?i)\\(?none\\)?|n/a|-");
      return none ? Fact.none() : Fact.known(word);
    }

    private Optional<ListingEntry> entry(
        Optional<PciClass> code, PciId id, String description, Fact<String> driver) {
      return Optional.of(of(code, Optional.of(id), description, driver, Ending.WHOLE));
    }

    private ListingEntry of(
        Optional<PciClass> code,
        Optional<PciId> id,
        String description,
        Fact<String> driver,
        Ending ending) {
      Optional<String> words = Optional.of(description.strip()).filter(d -> !d.isEmpty());
      return new ListingEntry(prefix, address, code, id, words, driver, ending);
    }
  }
}
