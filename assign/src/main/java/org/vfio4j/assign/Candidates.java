// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.vfio4j.error.Reason;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.PciAddress;
import org.vfio4j.host.PciFunction;

/** Changes that may help against a refusal; whether one does is for the engine to say. */
final class Candidates {
  private final RequestCandidates ofRequest;
  private final HostCandidates ofHost;
  private final DefinedMdevs defined;
  private final Request request;

  Candidates(Request request, HostTopology host) {
    ofRequest = new RequestCandidates(request, host);
    ofHost = new HostCandidates(request, host);
    defined = new DefinedMdevs(host);
    this.request = request;
  }

  /** Changes to try, the least intrusive first. */
  List<Fix> of(String vm, DeviceVerdict device, DeviceRefusal refusal) {
    DeviceRequest wanted = device.request();
    List<Fix> found = new ArrayList<>();
    switch (refusal.code()) {
      case RefusalCode.Engine(Reason reason) -> found.addAll(of(vm, wanted, refusal, reason));
      case RefusalCode.Host.NO_IOMMU_GROUP -> found.addAll(ofHost.showGroups(wanted, true));
      case RefusalCode.Host.GROUP_UNKNOWN -> found.addAll(ofHost.showGroups(wanted, false));
      case RefusalCode.Host.MDEV_IN_USE -> found.addAll(ofRequest.eitherOf(vm, wanted, refusal));
      case RefusalCode.Host.MDEV_NOT_OFFERED -> found.addAll(defined.candidates(wanted, request));
      case RefusalCode.Host _ -> {}
    }
    found.addAll(ofRequest.another(vm, wanted));
    return found;
  }

  private List<Fix> of(String vm, DeviceRequest wanted, DeviceRefusal refusal, Reason reason) {
    return switch (reason) {
      case GROUP_NOT_VIABLE -> {
        List<Fix> found = new ArrayList<>(ofHost.removeVirtual(wanted));
        found.addAll(unblock(vm, wanted));
        yield found;
      }
      case BACKING_GROUP_HELD, GROUP_OPEN -> ofRequest.join(vm, wanted, refusal);
      case MULTIPLE_ADDRESS_SPACES -> List.of(new Fix.ShareAddressSpace(vm));
      case FUNCTION_WRAPPED -> List.of(new Fix.AskWhole(vm, PciAddress.parse(wanted.device())));
      case INTERRUPTS_NOT_ISOLATED ->
          List.of(new Fix.RemapInterrupts(), new Fix.AllowUnsafeInterrupts());
      case LOCKED_MEMORY -> ofRequest.moreLocked(vm);
      case ENTRY_LIMIT -> List.of(ofHost.moreEntries());
      case IOVA_NOT_AVAILABLE, APERTURE, RESERVED_REGION -> ofRequest.lessMemory(vm);
      case VF_TOKEN -> {
        List<Fix> found = new ArrayList<>(ofRequest.useToken(vm, wanted));
        found.addAll(ofHost.releasePhysical(wanted));
        yield found;
      }
      case DEVICE_BUSY -> ofHost.removeVirtual(wanted);
      case MDEV_INSTANCES -> defined.candidates(wanted, request);
      default -> List.of();
    };
  }

  /** Members of the group that a host driver uses: release them, or give them away too. */
  private List<Fix> unblock(String vm, DeviceRequest wanted) {
    Optional<Fix.Unbind> release = ofHost.unbind(wanted);
    if (release.isEmpty()) {
      return List.of();
    }
    List<PciAddress> functions =
        release.get().functions().stream().map(PciFunction::address).toList();
    return List.of(release.get(), new Fix.GiveToo(vm, functions));
  }

  /** The last resort: do not ask for it. */
  Fix without(String vm, DeviceRequest wanted) {
    return new Fix.LeaveOut(vm, wanted);
  }
}
