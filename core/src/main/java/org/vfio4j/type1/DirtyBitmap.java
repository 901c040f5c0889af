// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.type1;

/**
 * The dirty bits of one mapping ({@code dma->bitmap}), one for each of its smallest pages. It has a
 * spare word, because reading shifts it into place; what the shift leaves behind the last page
 * stays there, as it does in the kernel, and can be seen in the last word of a later answer.
 */
final class DirtyBitmap {
  private final int bits;
  private final long[] words;

  DirtyBitmap(int bits) {
    this.bits = bits;
    this.words = new long[wordsFor(bits) + 1];
  }

  static int wordsFor(long bits) {
    return Math.toIntExact((bits + Long.SIZE - 1) / Long.SIZE);
  }

  void set(int bit) {
    words[bit / Long.SIZE] |= 1L << bit;
  }

  void setAll() {
    fill(0, bits, true);
  }

  void clearAll() {
    fill(0, bits, false);
  }

  /**
   * Adds the bits to a reader's bitmap ({@code update_user_bitmap}).
   *
   * @param target the reader's words; those that the bits reach are written whole
   * @param offset the bit of {@code target} that stands for the mapping's first page
   */
  void copyTo(long[] target, long offset) {
    int shift = (int) (offset % Long.SIZE);
    int from = Math.toIntExact(offset / Long.SIZE);
    if (shift != 0) {
      shiftLeft(shift);
      words[0] |= target[from] & ((1L << shift) - 1);
    }
    int count = Math.min(wordsFor((long) bits + shift), target.length - from);
    System.arraycopy(words, 0, target, from, count);
  }

  private void shiftLeft(int shift) {
    int used = wordsFor((long) bits + shift);
    for (int i = used - 1; i >= 0; i--) {
      long low = i == 0 ? 0 : words[i - 1] >>> (Long.SIZE - shift);
      words[i] = words[i] << shift | low;
    }
  }

  private void fill(int start, int end, boolean value) {
    for (int i = start; i < end; i++) {
      if (value) {
        words[i / Long.SIZE] |= 1L << i;
      } else {
        words[i / Long.SIZE] &= ~(1L << i);
      }
    }
  }
}
