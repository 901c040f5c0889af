// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.vfio4j.host.HostBuilder.Place;

/**
 * Output of lspci at any verbosity, and listings of groups: with a heading above the functions of a
 * group, or with the group in each line. What stands below a function is read as lspci prints it.
 */
final class Listings implements TextForm {

  private static final Pattern HEADING =
      Pattern.compile(
          "(?i)[#=*_~:\\s+-]*+(?:IOMMU[ _-]*+)?Group["
              + " #:=]*+([0-9]{1,9}|\\*)(?:\\s*+\\(.*\\)|:? *+(?:\\d++"
              + " *+)?(?:devices?|members?|functions?)|[:;,-]?+)[#=*_~:\\s+-]*+");
  private static final Pattern UNIT = Pattern.compile("IOMMU: (\\S+)");
  private static final Pattern WORD = Pattern.compile("[a-zA-Z][\\w-]{0,63}");
  private static final int MAX_PIECES = 4;

  /** An entry that seems to go on in the next line. */
  private record Open(TextLine first, String spaced, String joined, int pieces) {

    /** The entry, parted at blanks or within a word, if it ends so. */
    Stream<ListingEntry> ending(ListingEntry.Ending ending, boolean grouped) {
      return Stream.of(spaced, joined)
          .flatMap(text -> ListingEntry.parse(text, grouped).stream())
          .filter(entry -> entry.ending() == ending);
    }
  }

  private final GroupNumbers numbers = new GroupNumbers();
  private Optional<TextSection> listing = Optional.empty();
  private Optional<PciAddress> above = Optional.empty();
  private Optional<Open> open = Optional.empty();
  private Optional<LspciDetails> function = Optional.empty();

  /** The section that the function is in, which need not be the one that is read now. */
  private Optional<TextSection> home = Optional.empty();

  private OptionalInt group = OptionalInt.empty();
  private Optional<String> unit = Optional.empty();
  private int heading;
  private int emptyHeadingLine;
  private int indent = -1;
  private boolean interrupted;
  private boolean grouped;
  private boolean headless;
  private boolean detailTaken = true;

  @Override
  public boolean take(TextLine line, TextReading reading) {
    if (open.isPresent() && goesOn(line, reading)) {
      return true;
    }
    if (line.isEmpty()) {
      function = Optional.empty();
      headless = false;
      interrupted = true;
      return false;
    }
    // lspci prints the group of a function in the words that others have for a heading.
    boolean named =
        function.isPresent()
            && !grouped
            && (LspciDetails.isDetail(line.bare()) || function.get().endsFlags(line.bare()));
    boolean taken =
        named && detail(line, reading) || heading(line, reading) || entry(line, reading);
    if (!taken && line.indent() == 0 && ListingEntry.beginsWithAddress(line.bare())) {
      // The head of another function, of a form that is not known.
      function = Optional.empty();
      headless = true;
    }
    return taken || detail(line, reading);
  }

  /** Says that a line of another kind came between. */
  void prose() {
    interrupted = true;
  }

  /** Says that the output of another program begins. */
  void endOutput(TextReading reading) {
    numbers.end(reading);
    group = OptionalInt.empty();
    unit = Optional.empty();
    function = Optional.empty();
    headless = false;
    indent = -1;
  }

  private boolean heading(TextLine line, TextReading reading) {
    Matcher unitLine = UNIT.matcher(line.bare());
    if (unitLine.matches()) {
      unit = Optional.of(unitLine.group(1));
      group = OptionalInt.empty();
      return true;
    }
    Matcher m = HEADING.matcher(line.bare());
    if (!m.matches()) {
      return false;
    }
    function = Optional.empty();
    headless = false;
    interrupted = false;
    if (m.group(1).equals("*")) {
      reading.section().noGroups();
      return true;
    }
    begin(Integer.parseInt(m.group(1)), line, reading);
    heading++;
    emptyHeadingLine = line.number();
    return true;
  }

  private void begin(int number, TextLine line, TextReading reading) {
    Optional<TextSection> here = Optional.of(reading.section());
    if (!here.equals(listing)) {
      numbers.end(reading);
      listing = here;
    }
    numbers.add(number, line);
    group = OptionalInt.of(number);
    indent = -1;
    above = Optional.empty();
  }

  private boolean entry(TextLine line, TextReading reading) {
    if (interrupted && group.isPresent() && ListingEntry.begins(line.bare())) {
      afterInterruption(line, reading);
    }
    return tryEntry(line, line.bare(), reading);
  }

  /** What is not indented as the others of the group, and not right below them, may be of none. */
  private void afterInterruption(TextLine line, TextReading reading) {
    boolean sameIndent = line.indent() > 0 && (indent < 0 || indent == line.indent());
    boolean marked = line.bare().startsWith("[");
    if (sameIndent || marked) {
      return;
    }
    if (indent <= 0) {
      reading.lost(line, Loss.Reason.AMBIGUOUS);
    }
    endOutput(reading);
    emptyHeadingLine = 0;
  }

  private boolean tryEntry(TextLine line, String text, TextReading reading) {
    Optional<ListingEntry> entry = ListingEntry.parse(text, group.isPresent());
    if (entry.isEmpty()) {
      return false;
    }
    if (entry.get().ending() == ListingEntry.Ending.OPEN) {
      open = Optional.of(new Open(line, text, text, 1));
    } else {
      add(entry.get(), line, reading);
    }
    return true;
  }

  /** Whether the line belongs to the entry that is open; if not, the entry is closed. */
  private boolean goesOn(TextLine line, TextReading reading) {
    Open before = open.orElseThrow();
    open = Optional.empty();
    boolean other =
        line.isEmpty()
            || before.pieces() >= MAX_PIECES
            || ListingEntry.begins(line.bare())
            || HEADING.matcher(line.bare()).matches()
            || LspciDetails.isDetail(line.bare())
            || Prompt.PATTERN.matcher(line.bare()).matches()
            || LogLines.stamp(line.text()).isPresent();
    if (other) {
      close(before, reading);
      return false;
    }
    Open longer =
        new Open(
            before.first(),
            before.spaced() + " " + line.bare(),
            before.joined() + line.bare(),
            before.pieces() + 1);
    Optional<ListingEntry> whole =
        Stream.of(ListingEntry.Ending.WHOLE, ListingEntry.Ending.SHORT)
            .flatMap(ending -> longer.ending(ending, group.isPresent()))
            .findFirst();
    if (whole.isPresent()) {
      add(whole.get(), before.first(), reading);
      return true;
    }
    open = Optional.of(longer);
    return true;
  }

  /** Takes an entry whose end never came: what stands in its first line counts, and no more. */
  private void close(Open before, TextReading reading) {
    String first = before.pieces() == 1 ? before.spaced() : before.first().bare();
    ListingEntry.parse(first, group.isPresent()).ifPresent(e -> add(e, before.first(), reading));
    boolean bare = before.pieces() == 1 && !first.contains("[");
    if (!bare) {
      reading.lost(before.first(), Loss.Reason.CUT);
    }
  }

  private void add(ListingEntry entry, TextLine line, TextReading reading) {
    Place place = new Place(line.number(), "");
    reading.count();
    TextSection section = reading.section();
    OptionalInt own = entry.prefix().group();
    OptionalInt of = own.isPresent() ? own : group;
    if (own.isPresent()) {
      heading++;
      group = OptionalInt.empty();
      if (entry.prefix().id().isPresent()) {
        // Listings with the id first name the group once, beside its first function.
        begin(own.getAsInt(), line, reading);
      }
    } else if (group.isPresent()) {
      // A shell lists the members of a group in their order: a heading is missing in between.
      if (above.filter(a -> a.compareTo(entry.address()) > 0).isPresent()) {
        reading.lost(line, Loss.Reason.AMBIGUOUS);
      }
      above = Optional.of(entry.address());
    }
    if (entry.prefix().noGroup()) {
      section.noGroups();
    }
    grouped = of.isPresent();
    if (of.isPresent()) {
      if (section.restartsGroups(entry.address(), of.getAsInt(), heading)) {
        section = reading.startSection("listing");
      }
      emptyHeadingLine = 0;
      indent = indent < 0 && own.isEmpty() ? line.indent() : indent;
      function = Optional.of(section.addGrouped(entry, of.getAsInt(), heading, unit, place));
    } else {
      if (section.restartsListing(entry.address())) {
        section = reading.startSection("listing");
      }
      function = Optional.of(section.addListed(entry, place));
    }
    if (line.text().contains("(rev ff)")) {
      function.ifPresent(LspciDetails::doesNotAnswer);
    }
    home = Optional.of(section);
    interrupted = false;
    headless = false;
    detailTaken = true;
  }

  private boolean detail(TextLine line, TextReading reading) {
    String text = line.bare();
    boolean known = LspciDetails.isDetail(text);
    if (function.filter(LspciDetails::awaitsDriver).isPresent() && WORD.matcher(text).matches()) {
      function.get().driverBelow(text);
      return true;
    }
    if (function.isPresent() && known && !function.get().follows(text)) {
      function = Optional.empty();
      headless = true;
    }
    if (function.isEmpty()) {
      boolean first = !headless && line.indent() > 0 && LspciDetails.isInner(text);
      headless |= known || first;
      boolean lost = first || known;
      if (lost) {
        reading.lost(line, Loss.Reason.NO_HEAD);
      }
      return lost || headless && line.indent() > 0 && !SaysNothing.namesSomething(text);
    }
    if (line.indent() == 0
        && !known
        && !LspciDetails.isInner(text)
        && !function.get().endsFlags(text)) {
      return false;
    }
    if (LspciDetails.isCut(text)) {
      reading.lost(line, Loss.Reason.CUT);
    }
    OptionalInt named = LspciDetails.groupOf(text);
    if (named.isPresent()) {
      PciAddress address = function.get().address();
      home.orElseThrow().groupLine(address, named.getAsInt(), reading.here());
    }
    boolean taken = function.get().add(text);
    detailTaken = taken && (text.startsWith("Kernel ") || text.startsWith("Subsystem: "));
    return taken || named.isPresent();
  }

  @Override
  public void end(TextReading reading) {
    numbers.end(reading);
  }

  /** What is missing at the end of the text, if anything is. */
  Optional<String> unfinished() {
    if (open.isPresent()) {
      return Optional.of("the listing ends inside this entry: cut off?");
    }
    return emptyHeadingLine > 0
        ? Optional.of("the listing ends after the heading of a group: cut off?")
        : Optional.empty();
  }

  int unfinishedLine() {
    return open.map(o -> o.first().number()).orElse(emptyHeadingLine);
  }

  /** Whether the last line stands among the details of a function and is none that is known. */
  boolean cutInsideDetails(TextLine last) {
    return function.isPresent() && !detailTaken && !last.isEmpty();
  }
}
