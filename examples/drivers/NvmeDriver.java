// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package drivers;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.vfio4j.linux.device.DmaBuffer;
import org.vfio4j.linux.device.InterruptKind;
import org.vfio4j.linux.device.Interrupts;
import org.vfio4j.linux.device.PciDevice;
import org.vfio4j.linux.device.Registers;

/**
 * Reads the first block of an NVMe disk: one admin queue, one I/O queue, an MSI-X vector each, one
 * command at a time. Section numbers are of the NVMe base specification 1.4. It writes nothing to
 * the disk. Bind the disk to vfio-pci, and never the one this machine runs from; then, with the
 * jars of core and linux as class path:
 *
 * <pre>
 * mvn -DskipTests package
 * java --enable-native-access=ALL-UNNAMED \
 *   -cp core/target/classes:posix/target/classes:linux/target/classes \
 *   examples/drivers/NvmeDriver.java 0000:03:00.0
 * </pre>
 */
public final class NvmeDriver implements AutoCloseable {
  // Registers (3.1).
  private static final int CAPABILITIES = 0x00;
  private static final int CONFIGURATION = 0x14;
  private static final int STATUS = 0x1c;
  private static final int ADMIN_SIZES = 0x24;
  private static final int ADMIN_SUBMISSION = 0x28;
  private static final int ADMIN_COMPLETION = 0x30;
  private static final int DOORBELLS = 0x1000;

  private static final int ENABLE = 1;
  private static final int ENTRY_SIZES = 6 << 16 | 4 << 20;
  private static final int READY = 1;
  private static final int FATAL = 2;

  // Commands (5, 6).
  private static final int CREATE_SUBMISSION_QUEUE = 0x01;
  private static final int CREATE_COMPLETION_QUEUE = 0x05;
  private static final int IDENTIFY = 0x06;
  private static final int READ = 0x02;
  private static final int NAMESPACE = 0;
  private static final int CONTROLLER = 1;
  private static final int ACTIVE_NAMESPACES = 2;

  private static final int PAGE = 4096;
  private static final int ENTRIES = 16;
  private static final Duration PATIENCE = Duration.ofSeconds(10);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final PciDevice device;
  private final Registers registers;
  private final Interrupts interrupts;
  private final long capabilities;
  private final Queue admin;

  /**
   * Takes the controller in use; the memory and interrupts that this opens close with the device.
   */
  NvmeDriver(PciDevice device) {
    this.device = device;
    registers = device.bar(0);
    capabilities = registers.read64(CAPABILITIES);
    registers.write32(CONFIGURATION, 0);
    awaitReady(0);
    device.enableBusMaster();
    interrupts = device.enable(InterruptKind.MSIX, 2);
    admin = new Queue(0);
    registers.write32(ADMIN_SIZES, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    registers.write64(ADMIN_SUBMISSION, admin.submissions.iova());
    registers.write64(ADMIN_COMPLETION, admin.completions.iova());
    registers.write32(CONFIGURATION, ENTRY_SIZES | ENABLE);
    awaitReady(READY);
  }

  /** A page that a command fills. */
  DmaBuffer identify(int what, int namespace) {
    DmaBuffer page = device.allocate(PAGE);
    admin.run(new Command(IDENTIFY, namespace, page.iova(), what, 0));
    return page;
  }

  /** The I/O queue, which interrupts with vector 1. */
  Queue openQueue() {
    Queue queue = new Queue(1);
    int size = (ENTRIES - 1) << 16 | queue.id;
    int contiguousAndInterrupting = 3;
    admin.run(
        new Command(
            CREATE_COMPLETION_QUEUE,
            0,
            queue.completions.iova(),
            size,
            queue.id << 16 | contiguousAndInterrupting));
    admin.run(
        new Command(
            CREATE_SUBMISSION_QUEUE, 0, queue.submissions.iova(), size, queue.id << 16 | 1));
    return queue;
  }

  /** Reads one block, of a page at most. */
  static void read(Queue queue, int namespace, long block, DmaBuffer to) {
    queue.run(new Command(READ, namespace, to.iova(), (int) block, (int) (block >>> 32)));
  }

  /** The one thing an NVMe controller does not interrupt for (3.1.6): looks every millisecond. */
  private void awaitReady(int wanted) {
    long patience = TimeUnit.MILLISECONDS.toNanos(500 * Math.max(1, capabilities >>> 24 & 0xff));
    long deadline = System.nanoTime() + patience;
    int status = registers.read32(STATUS);
    while ((status & READY) != wanted) {
      if ((status & FATAL) != 0 || System.nanoTime() > deadline) {
        throw new IllegalStateException("%s: status 0x%x".formatted(device, status));
      }
      LockSupport.parkNanos(1_000_000);
      status = registers.read32(STATUS);
    }
  }

  /** Stops the controller, so that it forgets the queues. */
  @Override
  public void close() {
    registers.write32(CONFIGURATION, 0);
    awaitReady(0);
  }

  /**
   * What is put into a submission queue (4.2).
   *
   * @param data IOVA of the page it reads or fills
   * @param word10 and the one after it: what the opcode wants
   */
  record Command(int opcode, int namespace, long data, int word10, int word11) {
    void put(MemorySegment entry, int id) {
      entry.fill((byte) 0);
      entry.set(INT, 0, id << 16 | opcode);
      entry.set(INT, 4, namespace);
      entry.set(LONG, 24, data);
      entry.set(INT, 40, word10);
      entry.set(INT, 44, word11);
    }
  }

  /** A submission queue and its completion queue, whose interrupt vector has the same number. */
  final class Queue {
    private static final int SUBMISSION_BYTES = 64;
    private static final int COMPLETION_BYTES = 16;

    private final int id;
    private final DmaBuffer submissions = device.allocate(PAGE);
    private final DmaBuffer completions = device.allocate(PAGE);
    private int tail;
    private int head;
    private int phase = 1;

    Queue(int id) {
      this.id = id;
    }

    /** Submits a command and waits until it is done. */
    void run(Command command) {
      long entry = (long) tail * SUBMISSION_BYTES;
      command.put(submissions.segment().asSlice(entry, SUBMISSION_BYTES), tail);
      tail = (tail + 1) % ENTRIES;
      registers.write32(doorbell(2 * id), tail);
      int done = awaitCompletion() >>> 17;
      if (done != 0) {
        throw new IllegalStateException(
            "%s: %s ended with status 0x%x".formatted(device, command, done));
      }
    }

    /** The last word of the next completion; the phase bit tells whether it is new (4.6). */
    private int awaitCompletion() {
      long entry = (long) head * COMPLETION_BYTES;
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      int word = completions.segment().get(INT, entry + 12);
      while ((word >>> 16 & 1) != phase) {
        long left = deadline - System.nanoTime();
        if (left < 0 || interrupts.await(id, Duration.ofNanos(left)) == 0) {
          throw new IllegalStateException("%s: no interrupt on vector %d".formatted(device, id));
        }
        word = completions.segment().get(INT, entry + 12);
      }
      head = (head + 1) % ENTRIES;
      phase ^= head == 0 ? 1 : 0;
      registers.write32(doorbell(2 * id + 1), head);
      return word;
    }

    private long doorbell(int number) {
      return DOORBELLS + ((long) number << 2 + (capabilities >>> 32 & 0xf));
    }
  }

  /** Shows it. */
  public static void main(String[] arguments) {
    if (arguments.length != 1) {
      System.err.println(
          "usage: java ... NvmeDriver.java ADDRESS   # as in 0000:03:00.0, on vfio-pci");
      System.exit(2);
    }
    try (PciDevice device = PciDevice.open(arguments[0]);
        NvmeDriver nvme = new NvmeDriver(device)) {
      MemorySegment controller = nvme.identify(CONTROLLER, 0).segment();
      System.out.printf(
          "%s: %s, serial %s%n", device, text(controller, 24, 40), text(controller, 4, 20));
      int namespace = nvme.identify(ACTIVE_NAMESPACES, 0).segment().get(INT, 0);
      if (namespace == 0) {
        throw new IllegalStateException(device + " has no namespace");
      }
      MemorySegment about = nvme.identify(NAMESPACE, namespace).segment();
      int format = about.get(ValueLayout.JAVA_BYTE, 26) & 0xf;
      int blockSize = 1 << (about.get(INT, 128 + 4L * format) >>> 16 & 0xff);
      System.out.printf(
          "namespace %d: %d blocks of %d bytes%n", namespace, about.get(LONG, 0), blockSize);
      try (DmaBuffer block = device.allocate(blockSize)) {
        read(nvme.openQueue(), namespace, 0, block);
        System.out.println("block 0: " + text(block.segment(), 0, 32));
      }
    }
  }

  /** Characters that can be printed, without the blanks at the end. */
  private static String text(MemorySegment memory, long offset, int length) {
    byte[] bytes = memory.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
    return new String(bytes, StandardCharsets.US_ASCII).replaceAll("[^ -~]", " ").strip();
  }
}
