// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.vfio4j.error.Errno;

/** What is known of refusals and messages. */
final class Knowledge {

  private static final int MAX_SUGGESTIONS = 3;
  private static final int MAX_DISTANCE = 4;

  /** Words too common to say that two messages are alike. */
  private static final Set<String> COMMON =
      Set.of(
          "the", "for", "and", "not", "from", "with", "that", "this", "has", "have", "are", "all",
          "vfio", "pci", "error", "failed", "device", "group", "0000", "qemu", "iommu");

  private static final Map<String, Errno> SENTENCES =
      Map.ofEntries(
          Map.entry("operation not permitted", Errno.EPERM),
          Map.entry("no such file or directory", Errno.ENOENT),
          Map.entry("input/output error", Errno.EIO),
          Map.entry("argument list too long", Errno.E2BIG),
          Map.entry("bad file descriptor", Errno.EBADF),
          Map.entry("cannot allocate memory", Errno.ENOMEM),
          Map.entry("permission denied", Errno.EACCES),
          Map.entry("bad address", Errno.EFAULT),
          Map.entry("device or resource busy", Errno.EBUSY),
          Map.entry("file exists", Errno.EEXIST),
          Map.entry("no such device", Errno.ENODEV),
          Map.entry("invalid argument", Errno.EINVAL),
          Map.entry("too many open files", Errno.EMFILE),
          Map.entry("inappropriate ioctl for device", Errno.ENOTTY),
          Map.entry("no space left on device", Errno.ENOSPC),
          Map.entry("numerical result out of range", Errno.ERANGE),
          Map.entry("value too large for defined data type", Errno.EOVERFLOW),
          Map.entry("file descriptor in bad state", Errno.EBADFD),
          Map.entry("operation not supported", Errno.EOPNOTSUPP));

  private static final Pattern ERRNO_NAME = Pattern.compile("\\bE[A-Z0-9]{2,10}\\b");
  private static final Pattern ERRNO_NUMBER =
      Pattern.compile(
          "(?:errno[ =:]*|error[ =:]+|= |code: )-?(\\d{1,3})\\b", Pattern.CASE_INSENSITIVE);

  private final List<Code> codes = Block.read("codes.txt").stream().map(Code::of).toList();
  private final List<Symptom> symptoms =
      Block.read("symptoms.txt").stream().map(Symptom::of).toList();

  List<Code> codes() {
    return codes;
  }

  List<Symptom> symptoms() {
    return symptoms;
  }

  /** The code of this name, in any case and with any separators. */
  Optional<Code> code(String name) {
    String wanted = name.strip().toUpperCase(Locale.ROOT).replaceAll("[ -]+", "_");
    return codes.stream().filter(c -> c.name().equals(wanted)).findFirst();
  }

  /** The errno of this name or number, with or without a minus sign. */
  static Optional<Errno> errno(String text) {
    String bare = text.strip().replaceFirst("^-", "").toUpperCase(Locale.ROOT);
    return Stream.of(Errno.values())
        .filter(e -> e.name().equals(bare) || Integer.toString(e.number()).equals(bare))
        .findFirst();
  }

  /** An errno that a message names: by name, by number, or by the C library's sentence for it. */
  static Optional<Errno> errnoIn(String message) {
    Matcher name = ERRNO_NAME.matcher(message);
    while (name.find()) {
      Optional<Errno> found = errno(name.group());
      if (found.isPresent()) {
        return found;
      }
    }
    Matcher number = ERRNO_NUMBER.matcher(message);
    if (number.find()) {
      Optional<Errno> found = errno(number.group(1));
      if (found.isPresent()) {
        return found;
      }
    }
    String lower = message.toLowerCase(Locale.ROOT);
    return SENTENCES.entrySet().stream()
        .filter(s -> lower.contains(s.getKey()))
        .map(Map.Entry::getValue)
        .findFirst();
  }

  /** The codes that a kernel answers with this errno. */
  List<Code> codesOf(Errno errno) {
    return codes.stream().filter(c -> c.answersWith(errno)).toList();
  }

  /** The kinds of message that this one is, the closest first. */
  List<Symptom> symptomsOf(String message) {
    return symptoms.stream()
        .filter(s -> s.match(message) > 0)
        .sorted(Comparator.comparingInt((Symptom s) -> s.match(message)).reversed())
        .toList();
  }

  /** What could have been meant: codes spelled alike, then samples with words in common. */
  List<String> near(String query) {
    List<String> near = new ArrayList<>();
    String word = query.strip().toUpperCase(Locale.ROOT);
    Stream.concat(codes.stream().map(Code::name), Stream.of(Errno.values()).map(Errno::name))
        .filter(n -> distance(n, word) <= Math.min(MAX_DISTANCE, n.length() / 3))
        .sorted(Comparator.comparingInt(n -> distance(n, word)))
        .forEach(near::add);
    Set<String> words = words(query);
    symptoms.stream()
        .flatMap(s -> s.samples().stream())
        .filter(s -> common(words, s) > 0)
        .sorted(Comparator.comparingInt((String s) -> common(words, s)).reversed())
        .forEach(near::add);
    return near.stream().limit(MAX_SUGGESTIONS).toList();
  }

  private static int common(Set<String> words, String sample) {
    Set<String> both = new HashSet<>(words(sample));
    both.retainAll(words);
    return both.size();
  }

  private static Set<String> words(String text) {
    Set<String> words = new HashSet<>(List.of(text.toLowerCase(Locale.ROOT).split("[^a-z0-9]+")));
    words.removeIf(w -> w.length() < 3 || COMMON.contains(w));
    return words;
  }

  /** How many letters must be put in, taken out or changed to turn one word into the other. */
  private static int distance(String a, String b) {
    if (Math.abs(a.length() - b.length()) > MAX_DISTANCE) {
      return Integer.MAX_VALUE;
    }
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int changed = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(changed, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
