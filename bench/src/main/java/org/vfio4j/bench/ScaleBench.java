// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** One more group, in a container of many and beside many containers. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ScaleBench {
  private static final ReservedRegion MSI =
      new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI);

  /** How many there are before the one that is measured. */
  @Param({"100", "10000"})
  int size;

  private final Type1Parameters parameters = new Type1Parameters();
  private final List<Container> others = new ArrayList<>();
  private SoftIommu iommu = new SoftIommu(KernelProfile.DEFAULT);
  private Container crowded = container("unused");
  private List<IommuGroup> more = List.of();
  private int next;

  private Container container(String name) {
    return new Container(name, iommu, KernelProfile.DEFAULT, Type1.V2, parameters);
  }

  private IommuGroup group(int id) {
    IommuGroup group = iommu.addGroup(id, IommuUnit.VT_D, List.of(MSI));
    SoftFunction function =
        SoftFunction.endpoint("%04x:%02x:00.0".formatted(id >> 8, id & 0xff), 0x8086, 0x10d3);
    iommu.addDevice(group, function);
    return group;
  }

  /** A container with that many groups, as many containers of one group, and some more groups. */
  @Setup
  public void setup() {
    iommu = new SoftIommu(KernelProfile.DEFAULT);
    crowded = container("crowded");
    int id = 0;
    for (int i = 0; i < size; i++) {
      crowded.attach(group(id++));
      Container other = container("other");
      other.attach(group(id++));
      others.add(other);
    }
    List<IommuGroup> spare = new ArrayList<>();
    for (int i = 0; i < 64; i++) {
      spare.add(group(id++));
    }
    more = spare;
  }

  private IommuGroup another() {
    next = (next + 1) % more.size();
    return more.get(next);
  }

  /** Attach and detach in the container that has many groups already. */
  @Benchmark
  public int groups() {
    IommuGroup group = another();
    crowded.attach(group);
    int users = crowded.useCount(group);
    crowded.detach(group);
    return users;
  }

  /** A container more: made, given a group, and closed. */
  @Benchmark
  public int containers() {
    IommuGroup group = another();
    try (Container container = container("one more")) {
      container.attach(group);
      return container.useCount(group);
    }
  }
}
