// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.Optional;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.profile.KernelVersion;

/**
 * Whose kernel answers, and why that one.
 *
 * @param profile its answers
 * @param basis why
 * @param release the release that was asked for or that the host runs, as it is written there
 */
public record AnsweringKernel(KernelProfile profile, Basis basis, Optional<String> release) {
  /** The first version that has iommufd. */
  private static final KernelVersion IOMMUFD = new KernelVersion(6, 2);

  /** Why a kernel answers. */
  public enum Basis {
    /** The caller chose it. */
    CHOSEN("chosen"),
    /** The host runs it. */
    HOST("host"),
    /** The host's kernel is not known. */
    DEFAULT("default");

    private final String word;

    Basis(String word) {
      this.word = word;
    }

    /** The word for it in a verdict. */
    public String word() {
      return word;
    }
  }

  /** Whether a VMM on that kernel could use iommufd instead of groups and containers. */
  public boolean hasIommufd() {
    return KernelVersion.parse(profile.name()).filter(v -> !v.isBefore(IOMMUFD)).isPresent();
  }

  /** Why it answers, in a user's words, without a full stop. */
  public String sentence() {
    String why =
        switch (basis) {
          case CHOSEN ->
              release.map(r -> "as %s was asked for".formatted(r)).orElse("as asked for");
          case HOST -> "as the host runs " + release.orElse("it");
          case DEFAULT -> "as the source does not say what the host runs";
        };
    return "Linux %s, %s%s".formatted(profile.name(), why, nearest());
  }

  /** Where no profile is of that very version. */
  private String nearest() {
    Optional<KernelVersion> wanted = release.flatMap(KernelVersion::parse);
    Optional<KernelVersion> found = KernelVersion.parse(profile.name());
    if (wanted.isEmpty() || found.isEmpty() || wanted.equals(found)) {
      return "";
    }
    return wanted.get().isBefore(found.get())
        ? "; nothing is known of an older one"
        : "; no difference of a newer one is known";
  }
}
