// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli.explain;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** All rules, and the choice between them. */
public final class Rulebook {

  /** The files of the rules, by who speaks. */
  static final List<String> FILES =
      List.of(
          "groups",
          "memory",
          "kernel",
          "power",
          "iommu",
          "qemu",
          "libvirt",
          "proxmox",
          "kubernetes",
          "openstack",
          "vmms",
          "dpdk",
          "binding",
          "sriov",
          "mdev",
          "graphics",
          "outcomes");

  private final List<Rule> rules;
  private final KnownCalls calls = new KnownCalls();

  /** Reads the rules that are part of the program. */
  public Rulebook() {
    List<Rule> all = new ArrayList<>();
    for (String file : FILES) {
      Block.read("rules/" + file + ".txt").stream().map(Rule::of).forEach(all::add);
    }
    this.rules = List.copyOf(all);
  }

  /** All rules, in the order of their files. */
  public List<Rule> rules() {
    return rules;
  }

  KnownCalls calls() {
    return calls;
  }

  /** The kind of a message: the heaviest that fits, of equal ones that which stands first. */
  Optional<Finding> find(Statement statement, Scene scene) {
    Optional<Finding> best = Optional.empty();
    for (Rule rule : rules) {
      Optional<Finding> found = rule.find(statement, scene);
      int least = best.map(Finding::weight).orElse(Integer.MIN_VALUE);
      if (found.isPresent() && found.get().weight() > least) {
        best = found;
      }
    }
    return best;
  }
}
