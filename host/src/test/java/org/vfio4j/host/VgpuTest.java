// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Virtual functions that are virtual GPUs. */
class VgpuTest {

  private static final String GPU = "sys/devices/pci0000:00/0000:00:02.0";
  private static final String VF = "sys/devices/pci0000:00/0000:00:02.4";
  private static final List<Vgpu.Type> TYPES =
      List.of(new Vgpu.Type(7, "ACME X-1Q"), new Vgpu.Type(1148, "ACME X-2Q"));

  @TempDir private Path root;

  private Optional<Vgpu> read(String current, String creatable) throws IOException {
    SysfsTree tree = new SysfsTree(root).function(GPU, "0x030200", 1).function(VF, "0x030200", 2);
    tree.link(VF + "/physfn", GPU).link(VF + "/driver", "sys/bus/pci/drivers/nvidia");
    tree.file(VF + "/nvidia/current_vgpu_type", current);
    tree.file(VF + "/nvidia/creatable_vgpu_types", creatable);
    HostTopology host = HostSource.read(root).getFirst();
    String capture = CaptureWriter.write(host);
    assertThat(CaptureSchema.errors(capture)).isEmpty();
    HostTopology back =
        HostSource.parse("c.json", "c", capture.getBytes(StandardCharsets.UTF_8)).getFirst();
    assertThat(Samples.function(host, "00:02.0").vgpu()).isEmpty();
    assertThat(back.functions()).isEqualTo(host.functions());
    return Samples.function(host, "00:02.4").vgpu();
  }

  @Test
  void shouldReadAFunctionThatHasNoTypeYet() throws IOException {
    assertThat(read("0\n", "ID    : vGPU Name\n7     : ACME X-1Q\n1148  : ACME X-2Q\n"))
        .contains(new Vgpu(Fact.none(), Optional.of(TYPES)));
  }

  @Test
  void shouldReadAFunctionOfAType() throws IOException {
    assertThat(read("1148\n", "ID    : vGPU Name\n"))
        .contains(new Vgpu(Fact.known(1148), Optional.of(List.of())));
  }

  @Test
  void shouldReadTypesWithoutATitle() throws IOException {
    assertThat(read("0", "7 : ACME X-1Q\n1148 : ACME X-2Q"))
        .contains(new Vgpu(Fact.none(), Optional.of(TYPES)));
  }

  @Test
  void shouldLeaveUnknownWhatIsOfAnotherForm() throws IOException {
    assertThat(read("busy\n", "7 : ACME X-1Q\nand more\n"))
        .contains(new Vgpu(Fact.unknown(), Optional.empty()));
  }
}
