// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TextTest {
  @Test
  void shouldBreakAtSpacesOnly() {
    assertThat(Text.wrap("one two three", 7)).containsExactly("one two", "three");
    assertThat(Text.wrap("unbreakable word", 4)).containsExactly("unbreakable", "word");
    assertThat(Text.wrap("", 10)).containsExactly("");
  }

  @Test
  void shouldCutWithDots() {
    assertThat(Text.cut("abcdef", 6)).isEqualTo("abcdef");
    assertThat(Text.cut("abcdefg", 6)).isEqualTo("abcd..");
    assertThat(Text.cut("abcdefg", 1)).isEqualTo("a");
  }

  /** What an "@|" would be to picocli's markup is text here: it comes from a file. */
  @Test
  void shouldCountColumnsAndNotUnitsOfTheEncoding() {
    assertThat(Text.width("ab")).isEqualTo(2);
    assertThat(Text.width("\u6f22\u5b57")).isEqualTo(4);
    assertThat(Text.width("@|bold a|@")).isEqualTo(10);
    assertThat(Text.pad("\u6f22", 4)).isEqualTo("\u6f22  ");
    assertThat(Text.padLeft("\u6f22", 4)).isEqualTo("  \u6f22");
    assertThat(Text.cut("\u6f22\u5b57\u6f22", 5)).isEqualTo("\u6f22..");
    assertThat(Text.cut("a\ud83d\ude00\ud83d\ude00bc", 5).codePoints())
        .isNotEmpty()
        .noneMatch(c -> Character.getType(c) == Character.SURROGATE);
    assertThat(Text.wrap("\u6f22\u5b57 \u6f22", 5)).containsExactly("\u6f22\u5b57", "\u6f22");
  }

  @Test
  void shouldReplaceWhatSteersATerminal() {
    assertThat(Text.printable("a\u001b[31m\n\u202eb")).isEqualTo("a [31m  b");
  }

  @Test
  void shouldEscapeWhatXmlForbids() {
    assertThat(Svg.escape("<a & \"b\">\u0001\ufffe")).isEqualTo("&lt;a &amp; &quot;b&quot;&gt;  ");
  }
}
