// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.qtest;

/** The registers of the IOAT device, and its chains of descriptors in the guest's memory. */
final class IoatDriver {
  /** A descriptor interrupts. */
  static final int INTERRUPT = 1;

  /** A descriptor has the completion word written. */
  static final int COMPLETION = 8;

  static final int ACTIVE = 0;
  static final int DONE = 1;
  static final int HALTED = 3;

  static final int MSIX_TABLE = 0x2000;
  static final int MSIX_PENDING = 0x3000;

  /** Where the chain of {@link #copy} lies, out of every test's way. */
  private static final long CHAIN = 0x7f_0000;

  private final Qtest qtest;
  private final long bar;

  IoatDriver(Qtest qtest, long bar) {
    this.qtest = qtest;
    this.bar = bar;
  }

  /** Writes a descriptor that copies. */
  void describe(long at, int size, int control, long from, long to, long next) {
    qtest.writel(at, size);
    qtest.writel(at + 4, control);
    qtest.writeq(at + 8, from);
    qtest.writeq(at + 16, to);
    qtest.writeq(at + 24, next);
  }

  /** Begins {@code count} descriptors from the one at {@code chain}, after a reset. */
  void start(long chain, long completion, int count) {
    qtest.write(bar + 0x84, 1, 0x20);
    qtest.await("the reset's end", () -> qtest.read(bar + 0x84, 1) == 0);
    qtest.writel(bar + 0xa8, error());
    qtest.writeq(bar + 0x98, completion);
    qtest.writeq(bar + 0x90, chain);
    qtest.write(bar + 0x86, 2, count);
  }

  long status() {
    return qtest.read(bar + 0x88, 8);
  }

  int error() {
    return qtest.readl(bar + 0xa8);
  }

  /** Until it has done all, or given up; CHANERR, which is 0 if all is done. */
  int awaitEnd() {
    qtest.await("the end of the chain", () -> (status() & 7) != ACTIVE);
    return error();
  }

  /** One descriptor, to its end; CHANERR. */
  int copy(long from, long to, int size) {
    return copy(from, to, size, 0);
  }

  int copy(long from, long to, int size, int control) {
    describe(CHAIN, size, control, from, to, 0);
    start(CHAIN, 0, 1);
    return awaitEnd();
  }

  /** Lets the device interrupt. */
  void enableInterrupts() {
    qtest.write(bar + 3, 1, 1);
  }

  /** Reading ATTNSTATUS takes the pin back; what it was. */
  int acknowledge() {
    return qtest.readl(bar + 4);
  }

  /** Until the device has interrupted, whatever became of that; acknowledges it. */
  void awaitAttention() {
    qtest.await("the device's attention", () -> acknowledge() != 0);
  }

  /** Has the device interrupt once, with nothing to copy that matters. */
  void interrupt() {
    copy(CHAIN, CHAIN + 0x1000, 64, INTERRUPT);
  }
}
