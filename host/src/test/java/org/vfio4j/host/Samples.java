// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/** The small fixtures of the tests. */
final class Samples {

  private Samples() {}

  static String text(String name) {
    try (InputStream in = Samples.class.getResourceAsStream(name)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static List<HostTopology> parse(String text) {
    return HostSource.parse("file", "file", text.getBytes(StandardCharsets.UTF_8));
  }

  static HostTopology only(String text) {
    List<HostTopology> hosts = parse(text);
    if (hosts.size() != 1) {
      throw new AssertionError("hosts: " + hosts.size());
    }
    return hosts.getFirst();
  }

  static PciFunction function(HostTopology host, String address) {
    return host.function(PciAddress.parse(address)).orElseThrow();
  }
}
