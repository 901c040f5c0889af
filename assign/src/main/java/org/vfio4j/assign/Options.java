// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.vfio4j.host.HostTopology;
import org.vfio4j.profile.KernelProfile;

/**
 * How to check.
 *
 * @param profile whose kernel answers; if not given, the host's own, where its version is known
 * @param strict whether what the source does not say is a refusal
 * @param forced functions that may be taken although the host depends on them, by address
 */
public record Options(Optional<KernelProfile> profile, boolean strict, Set<String> forced) {
  /** The host's own kernel, not strict, nothing forced. */
  public static final Options DEFAULT = new Options(Optional.empty(), false, Set.of());

  private static final Pattern RELEASE = Pattern.compile("([0-9]{1,4})\\.([0-9]{1,4})\\b.*");

  /** Copies the set. */
  public Options {
    forced = Set.copyOf(forced);
  }

  /** With a kernel that answers whatever the host's is. */
  public Options(KernelProfile profile, boolean strict, Set<String> forced) {
    this(Optional.of(profile), strict, forced);
  }

  /**
   * Whose kernel answers for a host: the one that was chosen; or the newest profile that is not
   * newer than the host's kernel, the oldest for one that is older than all; or the default one
   * where the host's kernel is not known.
   */
  public KernelProfile profileFor(HostTopology host) {
    return profile
        .or(() -> host.kernel().map(RELEASE::matcher).filter(Matcher::matches).map(Options::newest))
        .orElse(KernelProfile.DEFAULT);
  }

  private static KernelProfile newest(Matcher release) {
    long wanted = number(release);
    List<KernelProfile> all = KernelProfile.all();
    KernelProfile found = all.getFirst();
    for (KernelProfile each : all) {
      Matcher name = RELEASE.matcher(each.name());
      if (name.matches() && number(name) <= wanted) {
        found = each;
      }
    }
    return found;
  }

  private static long number(Matcher release) {
    return Long.parseLong(release.group(1)) * 10_000 + Long.parseLong(release.group(2));
  }
}
