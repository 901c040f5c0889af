// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A message and what kind it is.
 *
 * @param rule the kind
 * @param statement the message
 * @param things what it is about, by name; what only one other line names is among them
 * @param weight how much of the message the rule answers for: the heaviest decides
 */
public record Finding(Rule rule, Statement statement, Map<String, String> things, int weight) {

  /** The line that it stands in. */
  public LogLine line() {
    return statement.line();
  }

  /** Who says it, for a reader; empty where the message does not show that. */
  public Optional<Speaker> speaker() {
    return rule.by().stream()
        .filter(statement.speakers()::contains)
        .findFirst()
        .or(() -> rule.by().size() == 1 ? rule.by().stream().findFirst() : Optional.empty());
  }

  /** Why it happened. */
  public List<String> causes() {
    return rule.filled(rule.causes(), things);
  }

  /** Commands that show whether it is so. */
  public List<String> verify() {
    return rule.filled(rule.verify(), things);
  }

  /** What can be done. */
  public List<String> fixes() {
    return rule.filled(rule.fixes(), things);
  }

  /** The same with more things known, as from a host. */
  public Finding with(Map<String, String> more) {
    Map<String, String> all = new java.util.LinkedHashMap<>(more);
    all.putAll(things);
    return new Finding(rule, statement, all, weight);
  }
}
