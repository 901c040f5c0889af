// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.vfio4j.error.Errno;

/** Errnos in messages: by number, by name, or as a sentence of glibc, musl, Go or Rust. */
public final class Errnos {

  private static final Map<String, Errno> SENTENCES = sentences();

  private static final List<Pattern> NUMBERS =
      Stream.of(
              "\\[errno ([0-9]{1,3})\\]",
              "\\bos error ([0-9]{1,3})\\b",
              "\\bcode: ([0-9]{1,3}), kind",
              "\\berror\\(([0-9]{1,3})\\)",
              "= -([0-9]{1,3})\\b",
              "\\bfail(?:ed|ure)?[:,]? \\(?-([0-9]{1,3})\\b",
              "\\berrno[ =:]{1,3}-?([0-9]{1,3})\\b",
              "\\berror(?: code)?[ =:]{1,3}-?([0-9]{1,3})\\b(?![0-9]* (?:reason|from))",
              "\\b(?:ret|rc|retval|err|status)[ =:]{1,3}-([0-9]{1,3})\\b",
              "\\(-([0-9]{1,3})\\)",
              ": -([0-9]{1,3})\\W*$")
          .map(p -> Pattern.compile(p, Pattern.CASE_INSENSITIVE))
          .toList();

  private static final Pattern NAME = Pattern.compile("\\bE[A-Z0-9]{2,10}\\b");

  private Errnos() {}

  private static Map<String, Errno> sentences() {
    // In the order in which they are looked for: what begins like another comes before it.
    Map<String, Errno> all = new LinkedHashMap<>();
    all.put("operation not permitted", Errno.EPERM);
    all.put("no such file or directory", Errno.ENOENT);
    all.put("does not exist", Errno.ENOENT);
    all.put("no file or directory", Errno.ENOENT);
    // As glibc says it in German, French and Spanish.
    all.put("datei oder verzeichnis nicht gefunden", Errno.ENOENT);
    all.put("kein passendes ger\u00e4t gefunden", Errno.ENODEV);
    all.put("ger\u00e4t oder die ressource ist belegt", Errno.EBUSY);
    all.put("das argument ist ung\u00fcltig", Errno.EINVAL);
    all.put("keine berechtigung", Errno.EACCES);
    all.put("vorgang nicht zul\u00e4ssig", Errno.EPERM);
    all.put("nicht gen\u00fcgend hauptspeicher", Errno.ENOMEM);
    all.put("aucun fichier ou dossier de ce", Errno.ENOENT);
    all.put("aucun p\u00e9riph\u00e9rique de ce type", Errno.ENODEV);
    all.put("p\u00e9riph\u00e9rique ou ressource occup\u00e9", Errno.EBUSY);
    all.put("argument invalide", Errno.EINVAL);
    all.put("permission non accord\u00e9e", Errno.EACCES);
    all.put("op\u00e9ration non permise", Errno.EPERM);
    all.put("impossible d'allouer de la m\u00e9moire", Errno.ENOMEM);
    all.put("no existe el fichero o el directorio", Errno.ENOENT);
    all.put("no existe el dispositivo", Errno.ENODEV);
    all.put("dispositivo o recurso ocupado", Errno.EBUSY);
    all.put("argumento inv\u00e1lido", Errno.EINVAL);
    all.put("permiso denegado", Errno.EACCES);
    all.put("operaci\u00f3n no permitida", Errno.EPERM);
    all.put("no se pudo asignar memoria", Errno.ENOMEM);
    all.put("no such device or address", Errno.ENXIO);
    all.put("no such device", Errno.ENODEV);
    all.put("input/output error", Errno.EIO);
    all.put("i/o error", Errno.EIO);
    all.put("argument list too long", Errno.E2BIG);
    all.put("bad file descriptor", Errno.EBADF);
    all.put("cannot allocate memory", Errno.ENOMEM);
    all.put("out of memory", Errno.ENOMEM);
    all.put("permission denied", Errno.EACCES);
    all.put("bad address", Errno.EFAULT);
    all.put("resource busy", Errno.EBUSY);
    all.put("file exists", Errno.EEXIST);
    all.put("invalid argument", Errno.EINVAL);
    all.put("too many open files", Errno.EMFILE);
    all.put("inappropriate ioctl for device", Errno.ENOTTY);
    all.put("not a tty", Errno.ENOTTY);
    all.put("no space left on device", Errno.ENOSPC);
    all.put("numerical result out of range", Errno.ERANGE);
    all.put("value too large for defined data type", Errno.EOVERFLOW);
    all.put("file descriptor in bad state", Errno.EBADFD);
    all.put("operation not supported", Errno.EOPNOTSUPP);
    all.put("resource temporarily unavailable", Errno.EAGAIN);
    all.put("device or resource busy", Errno.EBUSY);
    return all;
  }

  /**
   * The errno of this name, number or sentence, and of nothing else; a minus sign may stand first.
   */
  public static Optional<Errno> named(String text) {
    String bare = text.strip().replaceFirst("^-", "").toUpperCase(Locale.ROOT);
    Optional<Errno> sentence =
        Optional.ofNullable(SENTENCES.get(bare.toLowerCase(Locale.ROOT).replaceFirst("[.!]$", "")));
    return sentence.or(
        () ->
            Stream.of(Errno.values())
                .filter(e -> e.name().equals(bare) || Integer.toString(e.number()).equals(bare))
                .findFirst());
  }

  /** The errno that a message names. */
  static Optional<Errno> in(String message) {
    String lower = message.toLowerCase(Locale.ROOT);
    // The last of several: what stands behind is what the innermost call answered.
    Optional<Errno> last = Optional.empty();
    int at = -1;
    for (Map.Entry<String, Errno> sentence : SENTENCES.entrySet()) {
      int found = lower.lastIndexOf(sentence.getKey());
      if (found > at) {
        at = found;
        last = Optional.of(sentence.getValue());
      }
    }
    for (Pattern number : NUMBERS) {
      Matcher matcher = number.matcher(message);
      if (matcher.find()) {
        Optional<Errno> named = Errno.of(Integer.parseInt(matcher.group(1)));
        if (named.isPresent()) {
          return named;
        }
      }
    }
    if (last.isPresent()) {
      return last;
    }
    Matcher name = NAME.matcher(message);
    while (name.find()) {
      Optional<Errno> named = named(name.group());
      if (named.isPresent()) {
        return named;
      }
    }
    return Optional.empty();
  }
}
