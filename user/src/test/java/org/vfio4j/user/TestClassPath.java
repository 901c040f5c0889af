// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.io.File;
import java.nio.file.Path;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What these tests run with, modules too, as a class path for a tool or another process. */
public final class TestClassPath {
  private TestClassPath() {}

  /** All of it. */
  public static String all() {
    // Surefire's own name for it, where it starts the tests from a jar that only refers to it.
    String classes =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    // Tests on the module path are a patch of their module, and in neither path.
    Path tests = Path.of(System.getProperty("basedir", "."), "target", "test-classes");
    return Stream.of(tests.toString(), System.getProperty("jdk.module.path", ""), classes)
        .filter(path -> !path.isEmpty())
        .collect(Collectors.joining(File.pathSeparator));
  }
}
