// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.vfio4j.host.input.BadInputException;

/**
 * Reads text that people paste: what lspci and other programs print, listings of groups in many
 * shapes, kernel logs, and prose between them. A line is offered to each form of text in turn; one
 * that none takes, and that names something we ask about, is told as lost.
 */
final class TextReader {

  private static final Pattern CUT =
      Pattern.compile("(?i)[0-9a-f:.]{1,12}|io?m?m?u?|iommu g?r?o?u?p?|gr?o?u?p?|\\[[^\\]]*");
  private static final Pattern CUT_LOG =
      Pattern.compile(
          "\\[ *[0-9][0-9.]{0,16}(?:\\] ?[\\w-]{0,40}(?: [0-9a-fA-F:.]{0,16}(?:"
              + " A?d?d?i?n?g?)?)?)?");
  private static final Pattern HEADING = Pattern.compile("#{1,6} +(\\S.*)");
  private static final Pattern KERNEL =
      Pattern.compile(
          "(?i)\\b(?:kernel|linux|with)\\s+v?([0-9]+\\.[0-9]+(?:\\.[0-9]+){0,4}(?:-[\\w.]*\\w)?)");
  private static final String COMMAND_LINE = "command line: ";
  private static final Pattern BOOT_IMAGE = Pattern.compile("BOOT_IMAGE=\\S*vmlinuz.*");
  private static final Pattern IMAGE_VERSION = Pattern.compile(".*vmlinuz-([0-9][\\w.+-]*).*");
  private static final Pattern OPTION = Pattern.compile("[\\w./,-]+(?:=\\S*)?");
  private static final Pattern SETTING = Pattern.compile("[^\\s=]+=\\S+");

  private static final Pattern GROUP_COLUMN =
      Pattern.compile("(?i)[|#\\s]*(?:IOMMU[ _]?)?Group\\s*(?:\\||\\s{2,}|\\t)");

  private final String source;
  private final TextReading reading;
  private final Listings listings = new Listings();
  private final SaysNothing saysNothing = SaysNothing.load();
  private final List<TextForm> forms;
  private TextLine last = new TextLine(0, "", "");
  private boolean lastTaken = true;
  private String commandLine = "";

  private TextReader(String source, List<TextLine> lines) {
    this.source = source;
    this.reading = new TextReading(source);
    this.forms =
        List.of(
            new MdevctlText(lines),
            new NodedevXml(),
            new PciTableJson(),
            new VmmRecords(),
            new LshwBlocks(),
            new PciTable(),
            new LspciTree(),
            new NodedevTree(),
            new GroupPaths(),
            new DriverLists(),
            listings,
            new LogForm(saysNothing));
  }

  /** Reads the hosts of a text. */
  static List<HostTopology> read(String source, String name, String text) {
    List<TextLine> lines = TextLine.of(text);
    TextReader reader = new TextReader(source, lines);
    lines.forEach(reader::line);
    reader.end(text.endsWith("\n") || text.endsWith("\r"));
    return Joining.hosts(source, name, reader.reading);
  }

  private void line(TextLine line) {
    reading.at(line.number());
    lastTaken = take(line);
    if (!lastTaken && line.isTooLong()) {
      listings.prose();
      reading.lost(line, Loss.Reason.CUT);
    } else if (!lastTaken) {
      untaken(line);
    }
    last = line;
  }

  private boolean take(TextLine line) {
    for (TextForm form : forms) {
      if ((!line.isTooLong() || form.takesLongLines()) && form.take(line, reading)) {
        return true;
      }
    }
    return line.isEmpty();
  }

  private void untaken(TextLine line) {
    if (GROUP_COLUMN.matcher(line.bare()).lookingAt()) {
      reading.section().numbersAreGroups();
    }
    if (!IommuSign.in(line.bare()).isEmpty()) {
      reading.section().signs(line.bare());
    }
    Matcher prompt = Prompt.PATTERN.matcher(line.bare());
    if (prompt.matches()) {
      reading.command(prompt.group(1));
      reading.section().endRun();
      listings.endOutput(reading);
    }
    boolean named = prose(line.bare());
    if (!named && !prompt.matches() && saysNothing.loses(line)) {
      reading.lost(line, Loss.Reason.NOT_READ);
    }
  }

  /** What a sentence or a title says of what follows it; whether it is one that says something. */
  private boolean prose(String text) {
    listings.prose();
    boolean goesOn =
        !commandLine.isEmpty()
            && commandLine.length() < TextLine.MAX_LENGTH
            && text.contains("=")
            && all(OPTION, text);
    if (goesOn) {
      // A wrapped command line: whether within an option or between two cannot be seen.
      reading.section().commandLine(commandLine + text);
      commandLine = commandLine + " " + text;
      reading.section().commandLine(commandLine);
      return true;
    }
    commandLine = commandLine(text);
    if (!commandLine.isEmpty()) {
      Matcher version = IMAGE_VERSION.matcher(commandLine);
      if (version.matches()) {
        reading.kernel(version.group(1));
      }
      reading.section().commandLine(commandLine);
      return true;
    }
    Matcher title = HEADING.matcher(text);
    if (title.matches() && !saysNothing.isListed(text)) {
      reading.label(slug(title.group(1)));
      return false;
    }
    Matcher kernel = KERNEL.matcher(text);
    if (kernel.find()) {
      reading.label("kernel-" + kernel.group(1));
    }
    return false;
  }

  /** The command line of the kernel in the line: from the image on; empty if there is none. */
  private static String commandLine(String text) {
    int image = text.indexOf("BOOT_IMAGE=");
    if (image < 0 || !BOOT_IMAGE.matcher(text).region(image, text.length()).matches()) {
      return "";
    }
    int title = text.lastIndexOf(COMMAND_LINE, image);
    String before = text.substring(title < 0 ? 0 : title + COMMAND_LINE.length(), image).strip();
    return before.isEmpty() || all(SETTING, before) ? text.substring(image) : "";
  }

  /** Whether each word is of the pattern; a group that repeats would need a stack as deep. */
  private static boolean all(Pattern pattern, String words) {
    return Stream.of(words.split(" ", -1)).allMatch(w -> pattern.matcher(w).matches());
  }

  private static String slug(String title) {
    String words = title.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9.]+", "-");
    return words.replaceAll("^-|-$", "");
  }

  private void end(boolean terminated) {
    forms.forEach(f -> f.end(reading));
    Optional<String> unfinished = listings.unfinished();
    if (unfinished.isPresent()) {
      throw new BadInputException(source, listings.unfinishedLine(), "", unfinished.get());
    }
    if (reading.sections().values().stream().allMatch(s -> s.host().isEmpty())) {
      return;
    }
    boolean cutLog = CUT_LOG.matcher(last.bare()).matches();
    boolean cut = listings.cutInsideDetails(last) || CUT.matcher(last.bare()).matches();
    if (!terminated && !last.isEmpty() && (cutLog || cut && !lastTaken)) {
      throw new BadInputException(source, last.number(), "", "the last line is cut off");
    }
  }
}
