// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A test that must leave nothing behind: no descriptor and no mapping outlives it. */
@Timeout(60)
abstract class LeakCheck {
  @TempDir Path folder = Path.of("");

  final Arena arena = Arena.ofShared();
  private Held before = new Held(new TreeMap<>(), 0);

  @BeforeEach
  void remember() throws Exception {
    before = Held.now();
  }

  @AfterEach
  void shouldLeaveNothingBehind() throws Exception {
    arena.close();
    assertThat(Held.now()).isEqualTo(before);
  }
}
