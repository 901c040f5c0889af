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

  @Test
  void shouldReplaceWhatSteersATerminal() {
    assertThat(Text.printable("a\u001b[31m\n\u202eb")).isEqualTo("a [31m  b");
  }

  @Test
  void shouldEscapeWhatXmlForbids() {
    assertThat(Svg.escape("<a & \"b\">\u0001\ufffe")).isEqualTo("&lt;a &amp; &quot;b&quot;&gt;  ");
  }
}
