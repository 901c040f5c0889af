// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.iommu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.Field;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PageTableTest {
  private static final MemorySegment MEMORY = Hole.MEMORY;
  private static final long KIB = 1L << 10;
  private static final long MIB = 1L << 20;
  private static final long GIB = 1L << 30;
  private static final long PAGE = 4 * KIB;
  private static final long ANY_SIZE = -PAGE;
  private static final int RW = Mapping.READ | Mapping.WRITE;

  private static Mapping mapping(long iova, long size) {
    return new Mapping(iova, size, MEMORY, RW);
  }

  private static PageTable table() {
    return new PageTable(48, 0x40201000L);
  }

  @Test
  void shouldFindNothingInAnEmptyTable() {
    PageTable table = table();

    assertThat(table.find(0)).isSameAs(Mapping.NONE);
    assertThat(table.find(-1)).isSameAs(Mapping.NONE);
    assertThat(table.mappedBytes()).isZero();
    assertThat(table.nodes()).isOne();
    assertThat(table.unmap(0, 1L << 48)).isZero();
  }

  @Test
  void shouldFailEveryCheckOnNone() {
    for (long length : new long[] {Long.MIN_VALUE, -1, 0, 1, PAGE, Long.MAX_VALUE}) {
      assertThat(Mapping.NONE.allows(0, length, 0)).isFalse();
      assertThat(Mapping.NONE.allows(-1, length, 0)).isFalse();
    }
  }

  @Test
  void shouldCheckBoundsAndPermissionWithoutOverflow() {
    Mapping last = new Mapping(-2 * PAGE, 2 * PAGE, MEMORY, Mapping.READ);

    assertThat(last.allows(-2 * PAGE, 2 * PAGE, Mapping.READ)).isTrue();
    assertThat(last.allows(-1, 1, Mapping.READ)).isTrue();
    assertThat(last.allows(-1, 2, Mapping.READ)).isFalse();
    assertThat(last.allows(-2 * PAGE, 2 * PAGE + 1, Mapping.READ)).isFalse();
    assertThat(last.allows(-2 * PAGE - 1, 1, Mapping.READ)).isFalse();
    assertThat(last.allows(0, 1, Mapping.READ)).isFalse();
    assertThat(last.allows(-PAGE, Long.MAX_VALUE, Mapping.READ)).isFalse();
    assertThat(last.allows(-PAGE, 0, Mapping.READ)).isFalse();
    assertThat(last.allows(-PAGE, -1, Mapping.READ)).isFalse();
    assertThat(last.allows(-PAGE, 1, Mapping.WRITE)).isFalse();
    assertThat(last.allows(-PAGE, 1, RW)).isFalse();
    assertThat(last.offset(-PAGE)).isEqualTo(PAGE);
  }

  @Test
  void shouldRejectMappingsThatAreNone() {
    assertThatIllegalArgumentException().isThrownBy(() -> mapping(0, 0));
    assertThatIllegalArgumentException().isThrownBy(() -> mapping(0, -PAGE));
    assertThatIllegalArgumentException().isThrownBy(() -> mapping(-PAGE, 2 * PAGE));
    assertThatIllegalArgumentException().isThrownBy(() -> mapping(0, MEMORY.byteSize() + PAGE));
    assertThatIllegalArgumentException().isThrownBy(() -> new Mapping(0, PAGE, MEMORY, 4));
    long end = MEMORY.byteSize();
    new Mapping(0, PAGE, MEMORY, end - PAGE, RW);
    for (long start : new long[] {-1, end - PAGE + 1, end, end + 1, Long.MAX_VALUE}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Mapping(0, PAGE, MEMORY, start, RW));
    }
  }

  @ParameterizedTest
  @CsvSource({"0,4096", "65,4096", "48,0", "48,2048", "48,-9223372036854775808"})
  void shouldRejectTablesThatCannotBe(int addressBits, long pageSizes) {
    assertThatIllegalArgumentException().isThrownBy(() -> new PageTable(addressBits, pageSizes));
  }

  @Test
  void shouldHoldNothingIfThePageIsWiderThanTheAddress() {
    PageTable table = new PageTable(8, PAGE);

    assertThat(table.find(0)).isSameAs(Mapping.NONE);
    assertThatIllegalArgumentException().isThrownBy(() -> table.map(mapping(0, PAGE)));
  }

  @ParameterizedTest
  @ValueSource(ints = {13, 21, 22, 32, 39, 40, 48, 57, 63, 64})
  void shouldMapFirstAndLastPageOfEveryWidth(int addressBits) {
    PageTable table = new PageTable(addressBits, ANY_SIZE);
    Mapping first = mapping(0, PAGE);
    long end = addressBits == 64 ? 0 : 1L << addressBits;
    Mapping last = mapping(end - PAGE, PAGE);
    table.map(first);
    table.map(last);

    assertThat(table.find(0)).isSameAs(first);
    assertThat(table.find(PAGE - 1)).isSameAs(first);
    assertThat(table.find(end - 1)).isSameAs(last);
    assertThat(table.find(end - PAGE)).isSameAs(last);
    if (addressBits < 64) {
      assertThat(table.find(end)).isSameAs(Mapping.NONE);
      assertThat(table.find(end + PAGE - 1)).isSameAs(Mapping.NONE);
      assertThat(table.find(-1)).isSameAs(Mapping.NONE);
      assertThatIllegalArgumentException().isThrownBy(() -> table.map(mapping(end, PAGE)));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> table.map(mapping(end - PAGE, 2 * PAGE)));
      assertThatIllegalArgumentException().isThrownBy(() -> table.unmap(end - PAGE, 2 * PAGE));
    }
    assertThat(table.unmap(end - PAGE, PAGE)).isEqualTo(PAGE);
    assertThat(table.unmap(0, PAGE)).isEqualTo(PAGE);
    assertThat(table.nodes()).isOne();
  }

  @Test
  void shouldUnmapAllOfTheWidestSpaceInTwoHalves() {
    PageTable table = new PageTable(64, ANY_SIZE);
    table.map(mapping(0, GIB));
    table.map(mapping(-GIB, GIB));
    table.map(mapping(Long.MIN_VALUE - PAGE, 2 * PAGE));

    assertThat(table.unmap(0, Long.MIN_VALUE)).isEqualTo(GIB + PAGE);
    assertThat(table.mappedBytes()).isEqualTo(GIB + PAGE);
    assertThat(table.find(Long.MIN_VALUE).size()).isEqualTo(PAGE);
    assertThat(table.unmap(Long.MIN_VALUE, Long.MIN_VALUE)).isEqualTo(GIB + PAGE);
    assertThat(table.nodes()).isOne();
  }

  @Test
  void shouldRejectWhatIsNotPageAligned() {
    PageTable table = new PageTable(48, 64 * KIB);

    assertThatIllegalArgumentException().isThrownBy(() -> table.map(mapping(PAGE, 64 * KIB)));
    assertThatIllegalArgumentException().isThrownBy(() -> table.map(mapping(0, PAGE)));
    assertThatIllegalArgumentException().isThrownBy(() -> table.unmap(PAGE, 64 * KIB));
    assertThatIllegalArgumentException().isThrownBy(() -> table.unmap(0, 1));
  }

  @Test
  void shouldSpendOneSlotOnASuperpage() {
    PageTable table = table();
    table.map(mapping(GIB, GIB));
    assertThat(table.nodes()).isOne();

    table.map(mapping(2 * GIB, 2 * MIB));
    assertThat(table.nodes()).isEqualTo(2);

    table.map(mapping(2 * GIB + 2 * MIB, PAGE));
    assertThat(table.nodes()).isEqualTo(3);
  }

  @Test
  void shouldUseASuperpageWhereSmallPagesWereBefore() {
    PageTable table = table();
    table.map(mapping(GIB, PAGE));
    table.unmap(GIB, PAGE);
    table.map(mapping(GIB, GIB));

    assertThat(table.nodes()).isOne();
    assertThat(table.unmap(GIB, GIB)).isEqualTo(GIB);
  }

  @Test
  void shouldRejectOverlapAndChangeNothing() {
    PageTable table = table();
    Mapping small = mapping(3 * PAGE, PAGE);
    Mapping large = mapping(GIB, GIB);
    table.map(small);
    table.map(large);
    long nodes = table.nodes();
    long[][] overlaps = {
      {0, 4 * PAGE},
      {3 * PAGE, PAGE},
      {3 * PAGE, GIB},
      {0, 2 * MIB},
      {0, 4 * GIB},
      {0, 32 * GIB},
      {GIB + PAGE, PAGE},
      {GIB - PAGE, 2 * PAGE},
      {2 * GIB - PAGE, 2 * PAGE},
      {2 * GIB - PAGE, 16 * GIB},
      {GIB + 2 * MIB, 2 * MIB},
      {2 * PAGE, 2 * PAGE},
    };
    for (long[] range : overlaps) {
      assertThatThrownBy(() -> table.map(mapping(range[0], range[1])))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("overlaps");
      assertThat(table.mappedBytes()).isEqualTo(GIB + PAGE);
      assertThat(table.nodes()).isEqualTo(nodes);
      for (long iova = 0; iova < 16 * PAGE; iova += PAGE) {
        assertThat(table.find(iova)).isSameAs(iova == 3 * PAGE ? small : Mapping.NONE);
      }
      assertThat(table.find(GIB - 1)).isSameAs(Mapping.NONE);
      assertThat(table.find(GIB)).isSameAs(large);
      assertThat(table.find(2 * GIB - 1)).isSameAs(large);
      assertThat(table.find(2 * GIB)).isSameAs(Mapping.NONE);
    }
  }

  @Test
  void shouldRejectOverlapOfATallerTreeAndChangeNothing() {
    PageTable table = table();
    table.map(mapping(PAGE, PAGE));

    assertThatThrownBy(() -> table.map(mapping(0, 8 * MIB)))
        .isInstanceOf(IllegalStateException.class);
    assertThat(table.nodes()).isOne();
    assertThat(table.find(0)).isSameAs(Mapping.NONE);
  }

  @ParameterizedTest
  @CsvSource({"4096,0", "4096,1048576", "2097152,4096", "1073741824,4096", "1073741824,2097152"})
  void shouldSplitAMappingThatAnUnmapCuts(long cutSize, long offset) {
    PageTable table = table();
    long start = 4 * GIB - 2 * MIB;
    long size = 3 * GIB;
    long cut = start + offset;
    table.map(new Mapping(start, size, MEMORY.asSlice(GIB), Mapping.WRITE));

    assertThat(table.unmap(cut, cutSize)).isEqualTo(cutSize);

    assertThat(table.mappedBytes()).isEqualTo(size - cutSize);
    assertThat(table.find(cut)).isSameAs(Mapping.NONE);
    assertThat(table.find(cut + cutSize - 1)).isSameAs(Mapping.NONE);
    if (offset != 0) {
      assertPiece(table.find(start), start, offset, MEMORY.address() + GIB);
      assertThat(table.find(cut - 1)).isSameAs(table.find(start));
    }
    long tail = cut + cutSize;
    assertPiece(
        table.find(tail), tail, size - offset - cutSize, MEMORY.address() + GIB + tail - start);
    assertThat(table.find(start + size - 1)).isSameAs(table.find(tail));
    assertThat(table.find(start + size)).isSameAs(Mapping.NONE);
    assertThat(table.unmap(0, 1L << 48)).isEqualTo(size - cutSize);
    assertThat(table.nodes()).isOne();
  }

  private static void assertPiece(Mapping m, long iova, long size, long address) {
    assertThat(m.iova()).isEqualTo(iova);
    assertThat(m.size()).isEqualTo(size);
    assertThat(m.prot()).isEqualTo(Mapping.WRITE);
    assertThat(m.memory().address() + m.offset(iova)).isEqualTo(address);
    assertThat(m.left(iova)).isEqualTo(size);
    assertThat(m.left(iova + size - 1)).isOne();
    assertThat(m.allows(iova, size, Mapping.WRITE)).isTrue();
    assertThat(m.allows(iova, size + 1, Mapping.WRITE)).isFalse();
  }

  @Test
  void shouldKeepFewNodesThatAreNotInUse() throws ReflectiveOperationException {
    PageTable table = table();
    for (long i = 0; i < 10_000; i++) {
      table.map(mapping(i * 2 * MIB, PAGE));
    }
    assertThat(table.nodes()).isGreaterThan(10_000);
    for (long i = 0; i < 10_000; i++) {
      table.unmap(i * 2 * MIB, PAGE);
    }
    assertThat(table.nodes()).isOne();
    assertThat(linkedNodes(table)).isLessThan(20);
  }

  private static long linkedNodes(PageTable table) throws ReflectiveOperationException {
    Object top = Objects.requireNonNull(field(PageTable.class, "top").get(table));
    return linkedNodes((Object[]) Objects.requireNonNull(field(top.getClass(), "root").get(top)));
  }

  private static long linkedNodes(@Nullable Object[] node) {
    long nodes = 1;
    for (Object entry : node) {
      nodes += entry instanceof @Nullable Object[] child ? linkedNodes(child) : 0;
    }
    return nodes;
  }

  private static Field field(Class<?> type, String name) throws ReflectiveOperationException {
    Field field = type.getDeclaredField(name);
    field.setAccessible(true);
    return field;
  }
}
