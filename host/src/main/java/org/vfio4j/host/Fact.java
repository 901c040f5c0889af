// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import java.util.Optional;

/**
 * What a source says about a thing that a device may have or not have. Three answers must be told
 * apart: the source does not say, the source says there is none, and the value. A function whose
 * driver is {@link None} is unbound; one whose driver is {@link Unknown} may be bound to anything.
 *
 * @param <T> type of the value
 */
public sealed interface Fact<T> {

  /**
   * The source gives the value.
   *
   * @param content the value
   * @param <T> type of the value
   */
  record Known<T>(T content) implements Fact<T> {
    @Override
    public String toString() {
      return content.toString();
    }
  }

  /**
   * The source says that there is none.
   *
   * @param <T> type of the value
   */
  record None<T>() implements Fact<T> {
    @Override
    public String toString() {
      return "none";
    }
  }

  /**
   * The source does not say.
   *
   * @param <T> type of the value
   */
  record Unknown<T>() implements Fact<T> {
    @Override
    public String toString() {
      return "unknown";
    }
  }

  /** The fact with this value. */
  static <T> Fact<T> known(T value) {
    return new Known<>(value);
  }

  /** The fact that there is none. */
  static <T> Fact<T> none() {
    return new None<>();
  }

  /** The absence of a fact. */
  static <T> Fact<T> unknown() {
    return new Unknown<>();
  }

  /** The value where there is one; empty both for none and for unknown. */
  default Optional<T> value() {
    return this instanceof Known<T>(T content) ? Optional.of(content) : Optional.empty();
  }

  /** Whether the source says that there is none. */
  default boolean isNone() {
    return this instanceof None<T>;
  }

  /** Whether the source does not say. */
  default boolean isUnknown() {
    return this instanceof Unknown<T>;
  }
}
