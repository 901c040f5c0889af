// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.vfio4j.linux.uapi.DeviceCalls;
import org.vfio4j.linux.uapi.VfioRegionInfo;
import org.vfio4j.posix.Constants;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.MappedMemory;
import org.vfio4j.posix.Memfd;
import org.vfio4j.posix.SystemCalls;

/** Both ways to a register, over a file whose second page is the region. */
class RegistersTest {
  private static final int PAGE = 4096;

  /** How registers are reached. */
  enum Way {
    MAPPED,
    CALLED
  }

  private final Descriptor file = Memfd.create(SystemCalls.libc(), "registers", 3 * PAGE);
  private final MappedMemory truth =
      MappedMemory.ofFile(file, PAGE, PAGE, Constants.PROT_READ | Constants.PROT_WRITE);

  @AfterEach
  void close() {
    truth.close();
    file.close();
  }

  private Registers registers(Way way) {
    return switch (way) {
      case MAPPED -> new MappedRegisters("BAR 0 of x", truth.segment());
      case CALLED ->
          new CalledRegisters(
              "BAR 0 of x", new DeviceCalls(file), new VfioRegionInfo(0, 3, PAGE, PAGE, List.of()));
    };
  }

  @ParameterizedTest
  @EnumSource
  void shouldReadLittleEndianWithoutSign(Way way) {
    truth.segment().set(ValueLayout.JAVA_LONG, 8, 0xfedcba9876543210L);
    Registers registers = registers(way);
    assertThat(registers.read8(15)).isEqualTo(0xfe);
    assertThat(registers.read16(14)).isEqualTo(0xfedc);
    assertThat(registers.read32(12)).isEqualTo(0xfedcba98);
    assertThat(registers.read64(8)).isEqualTo(0xfedcba9876543210L);
    assertThat(registers.mapped()).isEqualTo(way == Way.MAPPED);
  }

  @ParameterizedTest
  @EnumSource
  void shouldWriteTheWidthAndNoMore(Way way) {
    Registers registers = registers(way);
    registers.write64(0, -1);
    registers.write8(1, 0x1ff - 0xff);
    registers.write16(2, 0x12345);
    registers.write32(4, 0x89abcdef);
    assertThat(truth.segment().get(ValueLayout.JAVA_LONG, 0)).isEqualTo(0x89abcdef_234500ffL);
    assertThat(truth.segment().get(ValueLayout.JAVA_LONG, 8)).isZero();
  }

  @ParameterizedTest
  @EnumSource
  void shouldReachTheLastRegisterAndRefuseTheNext(Way way) {
    Registers registers = registers(way);
    registers.write32(PAGE - 4, 7);
    assertThat(registers.read32(PAGE - 4)).isEqualTo(7);
    for (long offset : new long[] {-4, PAGE, PAGE - 3, Long.MIN_VALUE, Long.MAX_VALUE}) {
      assertThatThrownBy(() -> registers.read32(offset))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("BAR 0 of x ends at 0x1000: offset=0x%x, width=4", offset);
    }
    assertThatThrownBy(() -> registers.write64(PAGE - 4, 1))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThat(registers.read32(PAGE - 4)).isEqualTo(7);
  }

  @ParameterizedTest
  @EnumSource
  void shouldRefuseWhatLiesAcrossTwoRegisters(Way way) {
    assertThatThrownBy(() -> registers(way).read32(2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("BAR 0 of x: not aligned: offset=0x2, width=4");
  }
}
