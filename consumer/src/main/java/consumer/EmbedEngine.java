// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package consumer;

import java.util.List;
import org.vfio4j.error.VfioException;
import org.vfio4j.iommu.Device;
import org.vfio4j.iommu.IommuGroup;
import org.vfio4j.iommu.IommuUnit;
import org.vfio4j.iommu.SoftIommu;
import org.vfio4j.profile.KernelProfile;
import org.vfio4j.type1.Container;
import org.vfio4j.type1.Type1;
import org.vfio4j.type1.Type1Parameters;

/** Has two VMs ask for one IOMMU group, on an IOMMU in software. */
final class EmbedEngine {
  private record Nic(String name) implements Device {
    @Override
    public Bus bus() {
      return Bus.PCI;
    }
  }

  public static void main(String[] arguments) {
    // @start region="readme"
    KernelProfile kernel = KernelProfile.DEFAULT;
    SoftIommu iommu = new SoftIommu(kernel);
    IommuGroup nics = iommu.addGroup(1, IommuUnit.VT_D, List.of());
    iommu.addDevice(nics, new Nic("0000:01:00.0"));
    try (Container web = new Container("web", iommu, kernel, Type1.V2, new Type1Parameters());
        Container db = new Container("db", iommu, kernel, Type1.V2, new Type1Parameters())) {
      web.attach(nics);
      db.attach(nics);
    } catch (VfioException e) {
      System.out.println(e.errno() + " " + e.reason() + ": " + e.refusal().message());
    }
    // @end
  }
}
