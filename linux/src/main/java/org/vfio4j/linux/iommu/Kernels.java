// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.iommu;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.profile.KernelProfile;

/** Which kernel runs, and whose answers it should give. */
public final class Kernels {
  private static final Pattern VERSION = Pattern.compile("(\\d+)\\.(\\d+).*", Pattern.DOTALL);

  private Kernels() {}

  /** The release of the running kernel, as {@code uname -r} prints it. */
  public static String release() throws IOException {
    return Files.readString(Path.of("/proc/sys/kernel/osrelease")).strip();
  }

  /** The profile of the running kernel. */
  public static KernelProfile running() {
    try {
      return profile(release());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The profile of a release: the newest that is not newer. */
  public static KernelProfile profile(String release) {
    int wanted = number(release);
    List<KernelProfile> all = KernelProfile.all();
    KernelProfile found = all.getFirst();
    for (KernelProfile each : all) {
      if (number(each.name()) <= wanted) {
        found = each;
      }
    }
    return found;
  }

  private static int number(String release) {
    Matcher version = VERSION.matcher(release);
    if (!version.matches()) {
      throw new IllegalArgumentException("no kernel's release: " + release);
    }
    return Integer.parseInt(version.group(1)) * 1000 + Integer.parseInt(version.group(2));
  }
}
