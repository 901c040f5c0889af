// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host.tree;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import org.junit.jupiter.api.Test;
import org.vfio4j.host.input.BadInputException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

class TreeReaderTest {

  private static Tree read(String json) {
    try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), json)) {
      return TreeReader.read(parser, "file");
    }
  }

  @Test
  void shouldKnowWhereEachValueStands() {
    Tree.Obj root = read("{\n  \"a\": [1,\n    {\"b:c\": true}]\n}").asObject();
    Tree inner = root.required("a").asList().get(1).asObject().required("b:c");
    assertThat(inner.at().path()).isEqualTo("a[1][\"b:c\"]");
    assertThat(inner.at().line()).isEqualTo(3);
    assertThat(inner.asBoolean()).isTrue();
    assertThat(inner.at().error("wrong")).hasMessage("file:3: a[1][\"b:c\"]: wrong");
  }

  @Test
  void shouldHoldTheLimitOfDepth() {
    int deepest = TreeReader.MAX_DEPTH;
    assertThat(read("[".repeat(deepest) + "]".repeat(deepest)).asList()).hasSize(1);
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> read("[".repeat(deepest + 2) + "]".repeat(deepest + 2)))
        .withMessageContaining("nested deeper than 32");
  }

  @Test
  void shouldHoldTheLimitOfValues() {
    int most = TreeReader.MAX_VALUES - 1;
    assertThat(read("[" + "1,".repeat(most - 1) + "1]").asList()).hasSize(most);
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> read("[" + "1,".repeat(most) + "1]"))
        .withMessageContaining("more than 500000 values");
  }

  @Test
  void shouldNameTheTypeThatItFinds() {
    Tree.Obj root = read("{\"n\": 1.5, \"t\": \"x\", \"z\": null}").asObject();
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> root.required("n").asInt(0, 9))
        .withMessage("file:1: n: must be a whole number, not the number 1.5");
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> root.required("t").asList())
        .withMessage("file:1: t: must be a list, not the text 'x'");
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> root.required("q"))
        .withMessage("file:1: missing field 'q'");
    assertThat(root.required("n").asScalar()).isEqualTo("1.5");
    assertThat(root.required("z").isNull()).isTrue();
  }

  @Test
  void shouldRejectAnEmptyText() {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> read(" "))
        .withMessageContaining("empty");
  }
}
