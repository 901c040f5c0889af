// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

/** A sign, drawn in lines on a square of 24 by 24. */
enum Icon {
  DISPLAY("M3 5h18v12H3zM9 21h6M12 17v4"),
  NETWORK("M9 3h6v6H9zM3 15h6v6H3zM15 15h6v6h-6zM12 9v3M6 15v-3h12v3"),
  DISK("M4 4h16v16H4zM4 14h16M16 17h.01M12 17h.01"),
  USB("M12 3v15M12 3l-2 3h4zM12 14l-5-3V8M12 12l5-3V7M10 20a2 2 0 1 0 4 0a2 2 0 1 0-4 0"),
  AUDIO("M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.5 6.500a8 8 0 0 1 0 11"),
  ACCELERATOR("M13 2L5 14h6l-1 8l8-12h-6z"),
  CHIP("M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4"),
  MEDIATED("M5 5h10v10H5zM9 19h10V9"),
  MEMORY_NODE("M4 8h16v8H4zM7 8V5M12 8V5M17 8V5M7 19v-3M12 19v-3M17 19v-3"),
  OPEN_SHIELD("M12 3l8 3v5c0 5-3 8-8 10c-5-2-8-5-8-10V6zM5 4l14 16"),
  VM("M3 4h18v13H3zM8 21h8M10 8l5 2.500l-5 2.500z"),
  TICK("M4 12l5 6L20 6"),
  CROSS("M5 5l14 14M19 5L5 19");

  private final String path;

  Icon(String path) {
    this.path = path;
  }

  String path() {
    return path;
  }
}
