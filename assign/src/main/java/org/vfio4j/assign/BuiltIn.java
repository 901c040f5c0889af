// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/** A device that this project implements: it needs no hardware, and takes none of a host. */
public enum BuiltIn {
  /** Intel's DMA engine, for which Linux has the driver ioatdma. */
  IOAT,
  /** QEMU's educational device. */
  EDU;

  /** The word for it in a request and on the command line. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** The device of this word. */
  public static Optional<BuiltIn> of(String word) {
    return Stream.of(values()).filter(b -> b.word().equals(word)).findFirst();
  }
}
