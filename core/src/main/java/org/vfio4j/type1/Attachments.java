// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.ReservedRegion;

/**
 * The one list of a container's attachments, with an index by group, by backing group and by
 * reserved region, so that no question costs more with more groups.
 *
 * <p>Whoever changes it holds the container's lock, and so does who uses the views that it hands
 * out. Its own monitor is held besides, for each change and for each question whose answer is a
 * value: those can be asked while the container's lock is held for long, by a map that pins. Under
 * that monitor nothing else is waited for.
 */
final class Attachments {
  private final Map<IommuGroup, Attachment> byGroup = new LinkedHashMap<>();

  private final Map<IommuGroup, Set<Attachment>> byBacking = new HashMap<>();
  private final Map<ReservedRegion, Integer> byRegion = new LinkedHashMap<>();
  private final Set<Attachment> external = new LinkedHashSet<>();
  private final Set<Attachment> unscoped = new LinkedHashSet<>();

  /** Newest first, the order in which the kernel's list is walked. */
  private final List<Domain> domains = new ArrayList<>();

  synchronized Optional<Attachment> find(IommuGroup group) {
    return Optional.ofNullable(byGroup.get(group));
  }

  /** The entries that use a backing group; how many is its use count. */
  Collection<Attachment> users(IommuGroup backing) {
    return Collections.unmodifiableCollection(byBacking.getOrDefault(backing, Set.of()));
  }

  /** The entry that has used a backing group for longest; the others are where it is. */
  Optional<Attachment> firstUser(IommuGroup backing) {
    Iterator<Attachment> users = users(backing).iterator();
    return users.hasNext() ? Optional.of(users.next()) : Optional.empty();
  }

  /** The devices that use a backing group, in the order they came: what a rival is told. */
  synchronized List<String> devices(IommuGroup backing) {
    List<String> names = new ArrayList<>();
    users(backing).forEach(user -> user.members.forEach(d -> names.add(d.name())));
    return names;
  }

  /** How many entries use a backing group. */
  synchronized int useCount(IommuGroup backing) {
    return users(backing).size();
  }

  /** Entries that no IOMMU serves. */
  Collection<Attachment> external() {
    return Collections.unmodifiableCollection(external);
  }

  Collection<Attachment> all() {
    return Collections.unmodifiableCollection(byGroup.values());
  }

  /** The attached groups, oldest first. */
  synchronized List<IommuGroup> groups() {
    return List.copyOf(byGroup.keySet());
  }

  /** How many domains there are. */
  synchronized int domainCount() {
    return domains.size();
  }

  /** What is attached, and what of memory is mapped for it. */
  synchronized Container.Contents contents(int mappings, long bytes) {
    return new Container.Contents(groups(), domainCount(), mappings, bytes);
  }

  /** Whether a group is here that no IOMMU serves. */
  synchronized boolean hasExternal() {
    return !external.isEmpty();
  }

  /** The place of a domain among all, newest 0. */
  synchronized int indexOf(Domain domain) {
    return domains.indexOf(domain);
  }

  List<Domain> domains() {
    return Collections.unmodifiableList(domains);
  }

  synchronized void removeDomain(Domain domain) {
    domains.remove(domain);
  }

  /** Whether every entry reports by pinning what it makes dirty. */
  boolean pinnedScope() {
    return unscoped.isEmpty();
  }

  void scopePinned(Attachment entry) {
    entry.pinnedScope = true;
    unscoped.remove(entry);
  }

  /** Adds the entry, and the domain that it is on if that is new. */
  synchronized void add(Attachment entry, Optional<Domain> domain) {
    byGroup.put(entry.group, entry);
    entry.domain = domain;
    domain.ifPresentOrElse(d -> addTo(d, entry), () -> external.add(entry));
    entry.backing.ifPresent(b -> use(b, entry));
    entry.regions.forEach(r -> byRegion.merge(r, 1, Integer::sum));
    if (!entry.pinnedScope) {
      unscoped.add(entry);
    }
  }

  private void addTo(Domain domain, Attachment entry) {
    domain.add(entry);
    if (!domains.contains(domain)) {
      domains.addFirst(domain);
    }
  }

  private void use(IommuGroup backing, Attachment entry) {
    byBacking.computeIfAbsent(backing, k -> new LinkedHashSet<>()).add(entry);
  }

  /** Removes the entry; tells whether a reserved region left with it. */
  synchronized boolean remove(Attachment entry) {
    byGroup.remove(entry.group);
    entry.domain.ifPresentOrElse(d -> d.remove(entry), () -> external.remove(entry));
    entry.backing.ifPresent(
        b -> byBacking.computeIfPresent(b, (k, users) -> without(users, entry)));
    unscoped.remove(entry);
    int before = byRegion.size();
    entry.regions.forEach(
        r -> byRegion.computeIfPresent(r, (k, users) -> users == 1 ? null : users - 1));
    return byRegion.size() != before;
  }

  private static @Nullable Set<Attachment> without(Set<Attachment> users, Attachment entry) {
    users.remove(entry);
    return users.isEmpty() ? null : users;
  }

  /** What the entries reserve together. */
  Collection<ReservedRegion> regions() {
    return Collections.unmodifiableCollection(byRegion.keySet());
  }
}
