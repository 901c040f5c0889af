// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A call of the VFIO user API, or one below it, was refused. Carries the whole {@link Refusal}. */
public final class VfioException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private transient Refusal refusal;
  private String message;

  /** How to find out who stands in the way; null once that has been asked, or need not be. */
  private transient @Nullable Supplier<Optional<Holder>> who;

  /** Wraps the refusal; the message is its sentence, then the call and the errno. */
  public VfioException(Refusal refusal) {
    this(refusal, null);
  }

  private VfioException(Refusal refusal, @Nullable Supplier<Optional<Holder>> who) {
    super("");
    this.refusal = refusal;
    this.message = describe(refusal);
    this.who = who;
  }

  /** Shorthand for a refusal with neither call nor holder. */
  public VfioException(Errno errno, Reason reason, String message, String... devices) {
    this(Refusal.of(errno, reason, message, devices));
  }

  /**
   * A refusal whose holder takes long to find, such as a process that has to be looked for in all
   * of {@code /proc}. It is thrown with the locks of group, container and machine held; the holder
   * is looked for once, when somebody first reads the {@link #refusal()} or the message, which
   * nothing of the engine does before these locks are left.
   *
   * @param who finds the holder, or nothing; must not throw
   */
  public static VfioException findingHolder(Refusal refusal, Supplier<Optional<Holder>> who) {
    return new VfioException(refusal, who);
  }

  private static String describe(Refusal r) {
    String where = r.call().isEmpty() ? r.errno().name() : r.call() + ": " + r.errno();
    String who = r.holder().map(h -> "; held by " + h.name()).orElse("");
    return r.message() + who + " (" + where + ")";
  }

  /** The same refusal, named after the user's call. A name that is there already stays. */
  public VfioException in(String userCall) {
    return refusal.call().isEmpty() ? new VfioException(refusal.in(userCall), who) : this;
  }

  @Override
  public String getMessage() {
    ask();
    return message;
  }

  /** All that is known of the refusal. */
  public Refusal refusal() {
    ask();
    return refusal;
  }

  private synchronized void ask() {
    Supplier<Optional<Holder>> asked = who;
    if (asked != null) {
      who = null;
      asked
          .get()
          .ifPresent(
              holder -> {
                refusal = refusal.heldBy(holder);
                message = describe(refusal);
              });
    }
  }

  /** What the kernel answers. */
  public Errno errno() {
    return refusal.errno();
  }

  /** The stable code. */
  public Reason reason() {
    return refusal.reason();
  }
}
