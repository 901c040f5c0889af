// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RequestReader;
import org.vfio4j.assign.Verdict;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.Mdev;
import org.vfio4j.host.PciFunction;
import org.vfio4j.host.PciIds;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;

/** What is drawn of hosts and of verdicts. */
class PictureTest {

  private static final double READABLE = 4.5;

  @TempDir Path folder;

  static Stream<Path> hosts() throws IOException {
    try (Stream<Path> files = Files.list(Ran.ROOT.resolve("examples/hosts"))) {
      return files.sorted().toList().stream();
    }
  }

  static Stream<Path> requests() throws IOException {
    List<Path> all = new ArrayList<>();
    all.add(Ran.ROOT.resolve("examples/tour.yaml"));
    try (Stream<Path> files = Files.list(Ran.ROOT.resolve("examples/matrix"))) {
      files.sorted().forEach(all::add);
    }
    return all.stream();
  }

  private static HostTopology host(Path file) {
    return HostSource.read(file).getFirst();
  }

  private static Picture check(Path file) throws IOException {
    return check(file, PciIds.NONE);
  }

  private static Picture check(Path file, PciIds names) throws IOException {
    Request request = RequestReader.read(file.toString(), Files.readString(file));
    HostTopology host = host(file.resolveSibling(request.host()));
    return CheckPicture.of(Check.verdict(request, host, Options.DEFAULT), request, host, names);
  }

  private static Document parse(String svg) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(svg)));
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldDrawOrCountEveryFunctionOfAHost(Path file) throws Exception {
    HostTopology host = host(file);
    String text =
        parse(Svg.of(HostPicture.of(host, PciIds.NONE))).getDocumentElement().getTextContent();
    for (PciFunction function : host.functions()) {
      assertThat(text)
          .containsAnyOf(function.address().toString(), DeviceTiles.brief(function.address()));
    }
    for (Mdev mdev : host.mdevs()) {
      assertThat(text).contains(mdev.uuid().toString());
    }
  }

  @ParameterizedTest
  @MethodSource("requests")
  void shouldDrawOrCountEveryFunctionBesideARequest(Path file) throws Exception {
    Request request = RequestReader.read(file.toString(), Files.readString(file));
    String text = parse(Svg.of(check(file))).getDocumentElement().getTextContent();
    for (PciFunction function : host(file.resolveSibling(request.host())).functions()) {
      assertThat(text).contains(function.address().toString());
    }
    request.vms().forEach(vm -> assertThat(text).contains(vm.name()));
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldKeepThePartsOfAHostApart(Path file) {
    shouldKeepApart(HostPicture.of(host(file), PciIds.NONE));
  }

  @ParameterizedTest
  @MethodSource("requests")
  void shouldKeepThePartsOfARequestApart(Path file) throws IOException {
    shouldKeepApart(check(file));
  }

  /** No text on text or on a sign; every text in the picture; boxes apart, or one in the other. */
  private static void shouldKeepApart(Picture picture) {
    Area all = new Area(0, 0, picture.width(), picture.height());
    List<Area> read = new ArrayList<>();
    List<Area> boxes = new ArrayList<>();
    Deque<Integer> open = new ArrayDeque<>();
    for (Shape shape : picture.shapes()) {
      switch (shape) {
        case Shape.Label label -> read.add(label.area());
        case Shape.Sign(Icon icon, Area area, Colour _) -> {
          // A cross stands on the line it ends.
          if (icon != Icon.CROSS) {
            read.add(area);
          }
        }
        case Shape.Box(Area area, double _, Paint paint) -> {
          if (paint.edge().isPresent()) {
            boxes.add(area);
          }
          assertThat(all.contains(area)).as("%s in %s", area, all).isTrue();
        }
        case Shape.Open _ -> open.push(boxes.size());
        case Shape.Close _ -> open.pop();
        case Shape.Line _ -> {}
      }
    }
    assertThat(open).isEmpty();
    assertThat(read).allMatch(all::contains);
    for (int i = 0; i < read.size(); i++) {
      for (int j = i + 1; j < read.size(); j++) {
        assertThat(read.get(i).inset(1).overlaps(read.get(j).inset(1)))
            .as("%s on %s", read.get(i), read.get(j))
            .isFalse();
      }
    }
    for (Area a : boxes) {
      assertThat(boxes)
          .allMatch(b -> !a.overlaps(b) || a.contains(b) || b.contains(a), "apart from " + a);
      assertThat(read)
          .allMatch(b -> !a.overlaps(b) || a.contains(b), "text within or without " + a);
    }
  }

  @ParameterizedTest
  @MethodSource("hosts")
  void shouldBeAsWideAsAPageAndNotEndless(Path file) {
    HostTopology host = host(file);
    Picture picture = HostPicture.of(host, PciIds.NONE);
    assertThat(picture.width()).isEqualTo(840);
    assertThat(picture.height()).isBetween(150, 400 + 60 * host.functions().size());
    assertThat(picture.height()).isLessThan(2400);
    assertThat(HostPicture.of(host(file), PciIds.NONE)).isEqualTo(picture);
    assertThat(Svg.of(picture)).hasSizeLessThan(4000 + 1500 * host.functions().size());
  }

  @Test
  void shouldNeedNothingFromElsewhere() throws Exception {
    String svg = Svg.of(HostPicture.of(host(Ran.host("vgpu-server")), PciIds.NONE));
    assertThat(svg).doesNotContain("href", "<script", "url(", "@import", "@font-face", "onload");
    Document drawing = parse(svg);
    assertThat(drawing.getDocumentElement().getAttribute("role")).isEqualTo("img");
    assertThat(drawing.getDocumentElement().getAttribute("aria-labelledby"))
        .isEqualTo("title desc");
    assertThat(svg)
        .contains("<title id=\"title\">IOMMU groups of vgpu-server</title>", "<desc id=");
    assertThat(svg).contains("@media (prefers-color-scheme:dark)");
  }

  @ParameterizedTest
  @EnumSource(Colour.class)
  void shouldBeReadableOnBothGrounds(Colour colour) {
    if (Set.of(Colour.GROUND, Colour.PANEL, Colour.EDGE).contains(colour)) {
      return;
    }
    for (Colour ground : List.of(Colour.GROUND, Colour.PANEL)) {
      assertThat(contrast(colour.light(), ground.light())).isGreaterThanOrEqualTo(READABLE);
      assertThat(contrast(colour.dark(), ground.dark())).isGreaterThanOrEqualTo(READABLE);
    }
  }

  /** On the tint of a frame as well, whichever its colour. */
  @Test
  void shouldBeReadableOnTheTintOfAFrame() {
    for (Holding holding : Holding.values()) {
      Colour colour = Colour.of(holding);
      for (Colour text : List.of(Colour.INK, Colour.DIM, colour)) {
        assertThat(contrast(text.light(), mix(colour.light(), Colour.GROUND.light())))
            .as("%s on %s", text, colour)
            .isGreaterThanOrEqualTo(READABLE);
        assertThat(contrast(text.dark(), mix(colour.dark(), Colour.GROUND.dark())))
            .as("%s on %s", text, colour)
            .isGreaterThanOrEqualTo(READABLE);
      }
    }
  }

  private static String mix(String tint, String ground) {
    StringBuilder mixed = new StringBuilder("#");
    double part = Paint.tint(Colour.INK).opacity();
    for (int i = 1; i < 7; i += 2) {
      int a = Integer.parseInt(tint.substring(i, i + 2), 16);
      int b = Integer.parseInt(ground.substring(i, i + 2), 16);
      mixed.append("%02x".formatted(Math.round(a * part + b * (1 - part))));
    }
    return mixed.toString();
  }

  /** The contrast of two colours as WCAG 2 defines it, 1 to 21. */
  private static double contrast(String a, String b) {
    double first = luminance(a);
    double second = luminance(b);
    return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
  }

  private static double luminance(String colour) {
    double[] weights = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
      double c = Integer.parseInt(colour.substring(1 + 2 * i, 3 + 2 * i), 16) / 255.0;
      sum += weights[i] * (c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
  }

  @Test
  void shouldDrawWhatACaptureSaysAndNotWhatItDoes() throws Exception {
    Path file = folder.resolve("evil.json");
    Files.writeString(
        file,
        """
        {"vfio4j-capture": 3, "name": "</svg><script>alert(1)</script>", "origin": "manual",
         "functions": [{"address": "0000:01:00.0", "class": "0200", "group": 1,
           "driver": "igb\\u001b[31mRED\\u202e<&\\"", "description": "%s\\ud83d\\ude80]]>"}]}
        """
            .formatted("\u7f51\u7edc\u9002\u914d\u5668 W".repeat(40)));
    String svg = Svg.of(HostPicture.of(host(file), PciIds.NONE));
    assertThat(svg).doesNotContain("<script", "\u001b", "\u202e");
    assertThat(svg).contains("&lt;script&gt;");
    parse(svg);
    shouldKeepApart(HostPicture.of(host(file), PciIds.NONE));
  }

  @Test
  void shouldDrawNothingOfNothing() throws Exception {
    Path file = folder.resolve("empty.json");
    Files.writeString(
        file,
        "{\"vfio4j-capture\": 3, \"name\": \"empty\", \"origin\": \"manual\", \"functions\": []}");
    parse(Svg.of(HostPicture.of(host(file), PciIds.NONE)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"host", "check"})
  void shouldNotDrawSvgUnderAWrongName(String command) {
    Path source =
        command.equals("host") ? Ran.host("two-nics") : Ran.ROOT.resolve("examples/tour.yaml");
    Path file = folder.resolve("x.png");
    Ran ran = Ran.vfio(command, source, "--svg", file);
    assertThat(ran.status()).isEqualTo(2);
    assertThat(ran.out()).isEmpty();
    assertThat(ran.err()).contains("x.png", "is SVG", "*.svg").hasLineCount(1);
    assertThat(file).doesNotExist();
  }

  @Test
  void shouldPrintThePictureOfAVerdictAndKeepItsStatus() throws Exception {
    Ran ran = Ran.vfio("check", Ran.ROOT.resolve("examples/matrix/1.yaml"), "--svg", "-");
    assertThat(ran.status()).isEqualTo(1);
    assertThat(ran.err()).isEmpty();
    String text = parse(ran.out()).getDocumentElement().getTextContent();
    assertThat(text).contains("Refused: 1 of 2 devices for 2 VMs", "GROUP_OPEN", "web", "db");
  }

  @Test
  void shouldDrawAVerdictBesideItsText() throws IOException {
    Path file = folder.resolve("a.svg");
    Path request = Ran.ROOT.resolve("examples/tour.yaml");
    Ran ran = Ran.vfio("check", request, "--svg", file);
    assertThat(ran.status()).isZero();
    assertThat(ran.out()).contains("admitted: 6 devices", "drawn: ");
    assertThat(Ran.vfio("check", request, "--svg", file).err()).contains("--overwrite");
    assertThat(Ran.vfio("check", request, "--svg", file, "--overwrite").status()).isZero();
    Ran json = Ran.vfio("check", request, "--svg", file, "--overwrite", "--json");
    assertThat(json.out()).startsWith("{").doesNotContain("drawn");
  }

  /** Who asks for much gets a picture that can be looked at. */
  @Test
  void shouldCountTheVmsBeyondTheFirst() {
    HostTopology host = host(Ran.host("two-nics"));
    Request request =
        new Request(
            "many",
            "",
            Stream.iterate(0, i -> i + 1)
                .limit(300)
                .map(
                    i ->
                        org.vfio4j.assign.VmRequest.of(
                            "vm" + i, org.vfio4j.assign.DeviceRequest.whole("0000:01:00.0")))
                .toList());
    Verdict verdict = Check.verdict(request, host, Options.DEFAULT);
    Picture picture = CheckPicture.of(verdict, request, host, PciIds.NONE);
    assertThat(picture.height()).isLessThan(3000);
    String text =
        picture.shapes().stream()
            .flatMap(s -> s instanceof Shape.Label label ? Stream.of(label.text()) : Stream.of())
            .collect(Collectors.joining(" "));
    assertThat(text).contains("vm0", "and 288 VMs more, 288 of them refused");
  }

  /** A refusal is tied to what the holder has of the group. */
  @Test
  void shouldLeadFromARefusalToItsHolder() throws IOException {
    Picture picture = check(Ran.ROOT.resolve("examples/matrix/1.yaml"));
    Optional<Shape> broken =
        picture.shapes().stream()
            .filter(
                s ->
                    s instanceof Shape.Line(String path, Paint paint)
                        && paint.dashed()
                        && path.matches("M\\S+ \\S+H\\S+V\\S+H\\S+"))
            .findFirst();
    assertThat(broken).isPresent();
    assertThat(check(Ran.ROOT.resolve("examples/matrix/0.yaml")).shapes())
        .noneMatch(s -> s instanceof Shape.Line(String _, Paint paint) && paint.dashed());
  }

  /** The pictures that the README shows; {@code docs/pictures/run} draws them anew. */
  @Test
  void shouldBeThePicturesOfTheReadme() throws IOException {
    Path pictures = Ran.ROOT.resolve("docs/pictures");
    PciIds names = PciIds.of(Files.readString(pictures.resolve("pci.ids")));
    String host = Svg.of(HostPicture.of(host(Ran.host("vgpu-server")), names));
    String refused = Svg.of(check(pictures.resolve("refused.yaml"), names));
    if (Boolean.getBoolean("vfio4j.pictures.write")) {
      Files.writeString(pictures.resolve("host.svg"), host);
      Files.writeString(pictures.resolve("check.svg"), refused);
    }
    assertThat(pictures.resolve("host.svg")).hasContent(host);
    assertThat(pictures.resolve("check.svg")).hasContent(refused);
    assertThat(Files.readString(Ran.ROOT.resolve("README.md")))
        .contains("docs/pictures/host.svg", "docs/pictures/check.svg");
  }
}
