// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.error;

/** A call of the VFIO user API, or one below it, was refused. Carries the whole {@link Refusal}. */
public final class VfioException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient Refusal refusal;

  /** Wraps the refusal; the message is its sentence, then the call and the errno. */
  public VfioException(Refusal refusal) {
    super(describe(refusal));
    this.refusal = refusal;
  }

  /** Shorthand for a refusal with neither call nor holder. */
  public VfioException(Errno errno, Reason reason, String message, String... devices) {
    this(Refusal.of(errno, reason, message, devices));
  }

  private static String describe(Refusal r) {
    String where = r.call().isEmpty() ? r.errno().name() : r.call() + ": " + r.errno();
    String who = r.holder().map(h -> "; held by " + h.name()).orElse("");
    return r.message() + who + " (" + where + ")";
  }

  /** The same refusal, named after the user's call. A name that is there already stays. */
  public VfioException in(String userCall) {
    return refusal.call().isEmpty() ? new VfioException(refusal.in(userCall)) : this;
  }

  /** All that is known of the refusal. */
  public Refusal refusal() {
    return refusal;
  }

  /** Shorthand for {@code refusal().errno()}. */
  public Errno errno() {
    return refusal.errno();
  }

  /** Shorthand for {@code refusal().reason()}. */
  public Reason reason() {
    return refusal.reason();
  }
}
