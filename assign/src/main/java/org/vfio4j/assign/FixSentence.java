// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.util.List;
import java.util.stream.Collectors;
import org.vfio4j.host.MdevDefinition;
import org.vfio4j.host.PciFunction;

/** Fixes in a user's words. */
final class FixSentence {
  private FixSentence() {}

  static String of(Fix fix) {
    return switch (fix) {
      case Fix.Unbind(List<PciFunction> functions) ->
          "unbind "
              + functions.stream()
                  .map(f -> f.address() + f.driver().value().map(d -> " from " + d).orElse(""))
                  .collect(Collectors.joining(" and "));
      case Fix.GiveToo f -> "give %s to %s too".formatted(joined(f.functions()), f.vm());
      case Fix.Move f -> "give %s to %s, which has the group".formatted(f.device(), f.to());
      case Fix.Together(List<Fix> fixes) ->
          fixes.stream().map(Fix::sentence).collect(Collectors.joining(", and "));
      case Fix.ShareAddressSpace f ->
          "set viommu: false for %s, so that its devices share one address space".formatted(f.vm());
      case Fix.AskWhole f -> "ask for %s once: do not wrap it".formatted(f.function());
      case Fix.RaiseMemlock f ->
          "raise memlock to %s for %s%s".formatted(Sizes.of(f.bytes()), f.vm(), because(f));
      case Fix.LessMemory f -> "give %s at most %s of RAM".formatted(f.vm(), Sizes.of(f.bytes()));
      case Fix.AskFor f ->
          "ask for %s instead, the same model in group %d"
              .formatted(f.device().of(f.other().toString()), f.group());
      case Fix.UseToken f -> token(f);
      case Fix.LeaveOut f -> "leave %s out of %s".formatted(f.device(), f.vm());
      case Fix.RemapInterrupts _ ->
          "turn interrupt remapping on, in firmware or on the kernel's command line";
      case Fix.AllowUnsafeInterrupts _ ->
          "load vfio_iommu_type1 with allow_unsafe_interrupts=1: every guest can then forge"
              + " interrupts";
      case Fix.RaiseEntryLimit f -> "load vfio_iommu_type1 with dma_entry_limit=" + f.limit();
      case Fix.ReleasePhysical f ->
          "give %s, its physical function, back to its own driver, and switch the virtual functions on again (sriov_numvfs): they go with vfio-pci"
              .formatted(f.function());
      case Fix.NoVirtualFunctions f ->
          "switch the virtual functions of %s off first: write 0 to its sriov_numvfs"
              .formatted(f.function());
      case Fix.StartManually(MdevDefinition d) ->
          "keep mdev %s from starting by itself: mdevctl modify -p %s -u %s --manual"
              .formatted(d.uuid(), d.parent(), d.uuid());
      case Fix.DefineAs(MdevDefinition d, String type) ->
          // mdevctl 1.4 takes a type only beside what starts it.
          "define mdev %s as %s: mdevctl modify -p %s -u %s -t %s --%s"
              .formatted(d.uuid(), type, d.parent(), d.uuid(), type, d.start().word());
      case Fix.ShowGroups f ->
          f.off()
              ? "switch the IOMMU on: VT-d or AMD-Vi in firmware, and intel_iommu=on on the"
                  + " kernel's command line where the CPU is Intel's; then check again, as it"
                  + " shows its groups only then"
              : "check on the host itself, or on what 'vfio capture' says there with the IOMMU on";
    };
  }

  private static String token(Fix.UseToken fix) {
    String device = fix.device().device();
    if (fix.holder().isPresent()) {
      return "give %s in %s and %s in %s one token: vf_token: %s (QEMU's vf-token=)"
          .formatted(
              fix.physical(), fix.holder().get(), device, fix.vm(), fix.token().orElseThrow());
    }
    return fix.token()
        .map(t -> "give %s the token of %s: vf_token: %s".formatted(device, fix.physical(), t))
        .orElseGet(
            () ->
                "give %s the token that the user of %s has set: vf_token: (QEMU's vf-token=)"
                    .formatted(device, fix.physical()));
  }

  private static String because(Fix.RaiseMemlock fix) {
    return fix.spaces() == 1
        ? ""
        : ": with viommu, RAM counts once for each of its %d devices".formatted(fix.spaces());
  }

  private static String joined(List<?> things) {
    return things.stream().map(Object::toString).collect(Collectors.joining(" and "));
  }
}
