// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A line of lspci or of a group listing that names a function.
 *
 * @param address its address
 * @param classCode its class, from the number or from the name
 * @param id vendor and device
 * @param description the rest of the line
 * @param resettable what the flag {@code [R]} says, in listings that have it
 * @param complete false where the line seems to go on in the next one, as mail programs wrap it
 */
record ListingEntry(
    PciAddress address,
    Optional<PciClass> classCode,
    Optional<PciId> id,
    Optional<String> description,
    Optional<Boolean> resettable,
    boolean complete) {

  private static final String ADDRESS =
      "((?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])";
  private static final String ID = "([0-9a-fA-F]{4}:[0-9a-fA-F]{4})";
  private static final Pattern START = Pattern.compile(ADDRESS + "(?:\\s.*)?");
  private static final Pattern FLAGGED =
      Pattern.compile("\\[" + ID + "\\]\\s+(\\[R\\])?\\s*" + ADDRESS + "\\s+(\\S.*)");
  private static final Pattern NUMBERS =
      Pattern.compile(ADDRESS + "\\s+(?:Class )?([0-9a-fA-F]{4}): " + ID + "(?:\\s.*)?");
  private static final Pattern NAMES_AND_NUMBERS =
      Pattern.compile(ADDRESS + "\\s+([^\\[\\]]{0,100})\\[([0-9a-fA-F]{4})\\]:\\s*(.*)");
  private static final Pattern NAMES =
      Pattern.compile(ADDRESS + "\\s+([A-Za-z0-9][^:\\[\\]]{2,70}): (.+)");
  private static final Pattern ID_ONLY = Pattern.compile(ADDRESS + "\\s+\\[?" + ID + "\\]?.*");
  private static final Pattern LAST_ID = Pattern.compile("(.*)\\[" + ID + "\\](.*)");
  private static final Pattern REVISION = Pattern.compile("\\(rev [0-9a-f]{2}\\)");
  private static final Pattern PROG_IF = Pattern.compile("\\(prog-if ([0-9a-fA-F]{2})");

  /** Whether the text, without leading blanks, begins like an entry. */
  static boolean begins(String text) {
    return START.matcher(text).matches() || FLAGGED.matcher(text).matches();
  }

  /**
   * Reads an entry.
   *
   * @param text the line, without leading blanks
   * @param grouped whether the line stands under the heading of a group: then an address alone, or
   *     one with any text, is an entry too
   */
  static Optional<ListingEntry> parse(String text, boolean grouped) {
    Matcher flagged = FLAGGED.matcher(text);
    if (flagged.matches()) {
      return flagged(flagged);
    }
    if (!START.matcher(text).matches()) {
      return Optional.empty();
    }
    Matcher numbers = NUMBERS.matcher(text);
    if (numbers.matches()) {
      return entry(
          numbers.group(1),
          Optional.of(PciClass.parse(numbers.group(2))),
          Optional.of(PciId.parse(numbers.group(3))),
          "",
          true);
    }
    Matcher both = NAMES_AND_NUMBERS.matcher(text);
    if (both.matches()) {
      return namesAndNumbers(both);
    }
    Matcher names = NAMES.matcher(text);
    if (names.matches()) {
      Optional<PciClass> named = PciClassNames.classOf(names.group(2));
      if (named.isPresent() || grouped) {
        return entry(names.group(1), named, Optional.empty(), names.group(3), true);
      }
    }
    return grouped ? bare(text) : Optional.empty();
  }

  private static Optional<ListingEntry> flagged(Matcher m) {
    String[] words = m.group(4).split("\\s{2,}", 2);
    return PciAddress.tryParse(m.group(3))
        .map(
            address ->
                new ListingEntry(
                    address,
                    PciClassNames.classOf(words[0]),
                    Optional.of(PciId.parse(m.group(1))),
                    words.length > 1 ? Optional.of(words[1].strip()) : Optional.empty(),
                    Optional.of(m.group(2) != null),
                    true));
  }

  private static Optional<ListingEntry> namesAndNumbers(Matcher m) {
    Matcher last = LAST_ID.matcher(m.group(4));
    boolean hasId = last.matches();
    // lspci cuts very long lines itself, the id with them; the revision still follows.
    boolean complete = hasId || REVISION.matcher(m.group(4)).find();
    Optional<PciId> id = hasId ? Optional.of(PciId.parse(last.group(2))) : Optional.empty();
    Matcher progIf = PROG_IF.matcher(hasId ? last.group(3) : "");
    String code = m.group(3) + (progIf.find() ? progIf.group(1) : "");
    String description = hasId ? last.group(1) : m.group(4);
    return entry(m.group(1), Optional.of(PciClass.parse(code)), id, description, complete);
  }

  private static Optional<ListingEntry> bare(String text) {
    Matcher idOnly = ID_ONLY.matcher(text);
    if (idOnly.matches()) {
      return entry(
          idOnly.group(1), Optional.empty(), Optional.of(PciId.parse(idOnly.group(2))), "", true);
    }
    String[] words = text.split("\\s+", 2);
    return entry(
        words[0], Optional.empty(), Optional.empty(), "", words.length < 2 || words[1].isBlank());
  }

  private static Optional<ListingEntry> entry(
      String address,
      Optional<PciClass> classCode,
      Optional<PciId> id,
      String description,
      boolean complete) {
    Optional<String> words = Optional.of(description.strip()).filter(d -> !d.isEmpty());
    return PciAddress.tryParse(address)
        .map(a -> new ListingEntry(a, classCode, id, words, Optional.empty(), complete));
  }
}
