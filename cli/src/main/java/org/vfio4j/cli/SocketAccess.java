// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.attribute.GroupPrincipal;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipal;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;
import org.vfio4j.user.Server;

/**
 * Whose a socket is, and who may connect.
 *
 * @param user absent for who runs this
 * @param group absent for nobody besides
 */
record SocketAccess(
    Optional<UserPrincipal> user,
    Optional<GroupPrincipal> group,
    Set<PosixFilePermission> permissions) {

  /** Why there is no such access. */
  static final class UnknownException extends Exception {
    private static final long serialVersionUID = 1;

    private UnknownException(String message) {
      super(message);
    }
  }

  /**
   * Looks names up.
   *
   * @param user by name or number
   * @param group by name or number
   * @param mode three octal digits; 600, and 660 with a group, if not said
   * @throws UnknownException if this machine has no such user or group, or the mode is none
   */
  static SocketAccess of(Optional<String> user, Optional<String> group, Optional<String> mode)
      throws IOException, UnknownException {
    UserPrincipalLookupService names = FileSystems.getDefault().getUserPrincipalLookupService();
    Optional<UserPrincipal> owner = Optional.empty();
    if (user.isPresent()) {
      try {
        owner = Optional.of(names.lookupPrincipalByName(named(user.get())));
      } catch (UserPrincipalNotFoundException _) {
        throw new UnknownException("No user '%s' on this machine".formatted(user.get()));
      }
    }
    Optional<GroupPrincipal> members = Optional.empty();
    if (group.isPresent()) {
      try {
        members = Optional.of(names.lookupPrincipalByGroupName(named(group.get())));
      } catch (UserPrincipalNotFoundException _) {
        throw new UnknownException("No group '%s' on this machine".formatted(group.get()));
      }
    }
    return new SocketAccess(
        owner, members, permissions(mode.orElse(group.isPresent() ? "660" : "600")));
  }

  /** A negative number would be taken for one, and mean that nothing is changed. */
  private static String named(String name) throws UserPrincipalNotFoundException {
    if (name.startsWith("-")) {
      throw new UserPrincipalNotFoundException(name);
    }
    return name;
  }

  private static Set<PosixFilePermission> permissions(String octal) throws UnknownException {
    if (!octal.matches("0?[0-7]{3}")) {
      throw new UnknownException("Mode '%s': three octal digits, as in 660".formatted(octal));
    }
    int bits = Integer.parseInt(octal, 8);
    PosixFilePermission[] all = PosixFilePermission.values();
    Set<PosixFilePermission> set = EnumSet.noneOf(PosixFilePermission.class);
    for (int n = 0; n < all.length; n++) {
      if ((bits >> (all.length - 1 - n) & 1) != 0) {
        set.add(all[n]);
      }
    }
    return set;
  }

  /** Makes a server's socket so. */
  Server.Builder apply(Server.Builder builder) {
    builder.permissions(permissions);
    user.ifPresent(builder::owner);
    group.ifPresent(builder::group);
    return builder;
  }
}
