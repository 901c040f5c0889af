// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.testing;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.ReservedRegion;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.soft.SoftFunction;
import org.vfio4j.soft.SoftMachine;

/** QEMU's q35 with intel-iommu, as the kernels of the transcripts found it. */
public final class Q35 {
  /** The MSI window of x86. */
  public static final ReservedRegion MSI =
      new ReservedRegion(0xfee00000L, 0xfeefffffL, ReservedRegion.Type.MSI);

  private static final String TABLE =
      """
      0000:00:00.0 8086 29c0 0 -
      0000:00:02.0 1234 11e8 1 vfio-pci
      0000:00:03.0 1234 11e8 2 vfio-pci
      0000:00:04.0 1234 11e8 3 vfio-pci
      0000:00:05.0 8086 10d3 4 e1000e
      0000:00:05.1 8086 10d3 5 e1000e
      0000:00:06.0 1b36 000c 6 pcieport
      0000:00:07.0 1b36 000c 7 pcieport
      0000:00:08.0 1b36 000c 8 pcieport
      0000:00:0a.0 1234 11e8 9 vfio-pci
      0000:00:0a.1 1234 11e8 9 vfio-pci
      0000:00:1f.0 8086 2918 10 -
      0000:00:1f.2 8086 2922 10 -
      0000:00:1f.3 8086 2930 10 -
      0000:01:00.0 1b36 000e 11 -
      0000:02:01.0 1234 11e8 11 vfio-pci
      0000:02:02.0 1234 11e8 11 vfio-pci
      0000:02:03.0 8086 100e 11 e1000
      0000:03:00.0 1b36 0010 12 vfio-pci
      0000:04:00.0 8086 10d3 13 e1000e
      """;

  private Q35() {}

  /** The machine with interrupt remapping. */
  public static SoftMachine machine(KernelProfile profile) {
    return machine(profile, IommuUnit.VT_D.withPageSizes(profile.pageSizes()));
  }

  /** The machine of the transcripts without interrupt remapping, which snoops. */
  public static SoftMachine withoutInterruptRemapping(KernelProfile profile) {
    IommuUnit unit = IommuUnit.VT_D.withPageSizes(profile.pageSizes());
    return machine(profile, unit.withInterruptRemapping(false).withCoherent(true));
  }

  /** The machine behind an IOMMU of the caller's. */
  public static SoftMachine machine(KernelProfile profile, IommuUnit unit) {
    SoftMachine machine = new SoftMachine(profile);
    Map<Integer, IommuGroup> groups = new LinkedHashMap<>();
    TABLE
        .lines()
        .map(line -> line.split(" "))
        .forEach(
            f -> {
              IommuGroup group =
                  groups.computeIfAbsent(
                      Integer.parseInt(f[3]), id -> machine.addGroup(id, unit, List.of(MSI)));
              machine.addFunction(function(f), Optional.of(group));
              if (!f[4].equals("-")) {
                machine.bind(f[0], f[4]);
              }
            });
    return machine;
  }

  private static SoftFunction function(String[] f) {
    SoftFunction function =
        SoftFunction.endpoint(f[0], Integer.parseInt(f[1], 16), Integer.parseInt(f[2], 16));
    boolean bridge = f[1].equals("1b36") && (f[2].equals("000c") || f[2].equals("000e"));
    function = bridge ? function.asBridge() : function;
    return f[0].startsWith("0000:00:") ? function : function.belowBridge();
  }
}
