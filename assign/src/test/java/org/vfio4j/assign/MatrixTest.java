// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.error.Errno;
import org.vfio4j.host.HostSource;
import org.vfio4j.profile.KernelProfile;

/** The acceptance table of the seed's series, from the files that the README shows. */
class MatrixTest {
  private static final Path EXAMPLES = Path.of("..", "examples");

  private static Verdict verdict(String file) throws IOException {
    Path path = EXAMPLES.resolve(file);
    Request request = RequestReader.read(path.toString(), Files.readString(path));
    return Check.verdict(
        request, HostSource.read(path.resolveSibling(request.host())).getFirst(), Options.DEFAULT);
  }

  @ParameterizedTest
  @ValueSource(strings = {"matrix/0.yaml", "matrix/3.yaml", "tour.yaml"})
  void shouldAdmit(String file) throws IOException {
    assertThat(verdict(file)).isInstanceOf(Verdict.Admitted.class);
  }

  @ParameterizedTest
  @CsvSource({
    "matrix/1.yaml, EBUSY, open, GROUP_OPEN, web",
    "matrix/2.yaml, EINVAL, VFIO_GROUP_SET_CONTAINER, MULTIPLE_ADDRESS_SPACES, web",
    "matrix/4.yaml, EBUSY, VFIO_SET_IOMMU, BACKING_GROUP_HELD, web",
    "matrix/5.yaml, EBUSY, VFIO_SET_IOMMU, BACKING_GROUP_HELD, web",
  })
  void shouldRefuseTheSecondAndNameTheHolder(
      String file, Errno errno, String call, String code, String holder) throws IOException {
    List<DeviceVerdict> devices = verdict(file).devices().toList();
    assertThat(devices.getFirst().refused()).isFalse();
    DeviceRefusal refusal = devices.getLast().refusal().orElseThrow();
    assertThat(refusal.errno()).contains(errno);
    assertThat(refusal.call()).isEqualTo(call);
    assertThat(refusal.code().name()).isEqualTo(code);
    assertThat(refusal.holder())
        .contains(new DeviceRefusal.HolderVm(holder, List.of("0000:01:00.0")));
    assertThat(refusal.fixes()).isNotEmpty();
  }

  @Test
  void shouldRefuseToOpenAWrappedFunctionItself() throws IOException {
    DeviceRefusal refusal =
        verdict("matrix/extra.yaml").devices().toList().getLast().refusal().orElseThrow();
    assertThat(refusal.errno()).contains(Errno.ENODEV);
    assertThat(refusal.call()).isEqualTo("VFIO_GROUP_GET_DEVICE_FD");
    assertThat(refusal.code().name()).isEqualTo("FUNCTION_WRAPPED");
  }

  @Test
  void shouldCountBothUsersOfTheSharedGroup() throws IOException {
    List<DeviceVerdict> devices = verdict("matrix/3.yaml").devices().toList();
    assertThat(devices).allSatisfy(d -> assertThat(d.users()).hasValue(2));
    assertThat(devices).allSatisfy(d -> assertThat(d.backingGroup()).hasValue(1));
    assertThat(devices.getFirst().sharing()).containsExactly("0000:01:00.1");
  }

  /** What matters is that the wrapped and the whole device meet, not which comes first. */
  @ParameterizedTest
  @ValueSource(strings = {"5.10", "6.1", "6.12", "7.2"})
  void shouldRefuseRowFourInBothOrdersOnEveryKernel(String kernel) throws IOException {
    Path path = EXAMPLES.resolve("matrix/4.yaml");
    Request request = RequestReader.read(path.toString(), Files.readString(path));
    Options options =
        new Options(KernelProfile.named(kernel).orElseThrow(), false, java.util.Set.of());
    var host = HostSource.read(path.resolveSibling(request.host())).getFirst();
    Request reversed = new Request(request.source(), request.host(), request.vms().reversed());
    for (Request each : List.of(request, reversed)) {
      List<DeviceVerdict> devices = Check.verdict(each, host, options).devices().toList();
      assertThat(devices).extracting(DeviceVerdict::refused).containsExactly(false, true);
      assertThat(devices.getLast().refusal().flatMap(DeviceRefusal::errno))
          .isEqualTo(Optional.of(Errno.EBUSY));
    }
  }
}
