// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// Drives QEMU's edu device (1234:11e8) without a driver and without an IOMMU: its registers through
// sysfs, its DMA at physical addresses, which /proc/self/pagemap tells. Copies half
// pages to the device and from there to another page.
//
//   edu BDF
//
// Exits with 1 if the device is wrong, 2 if it cannot be driven.

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

// QEMU before 8 ends with the message that a whole page, which is all of edu's buffer, is beyond it.
enum { PAGE = 4096, PART = PAGE / 2, ROUNDS = 8 };
enum { IDENTITY = 0, LIVENESS = 4, FACTORIAL = 8, STATUS = 0x20 };
enum { DMA_SOURCE = 0x80, DMA_TARGET = 0x88, DMA_COUNT = 0x90, DMA_COMMAND = 0x98 };
enum { DMA_RUN = 1, DMA_FROM_DEVICE = 2, DEVICE_BUFFER = 0x40000 };

static volatile uint8_t *bar;

static volatile uint32_t *reg(int offset) {
  return (volatile uint32_t *)(bar + offset);
}

static int open_file(const char *bdf, const char *name) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", bdf, name);
  int file = open(path, O_RDWR);
  if (file < 0) err(2, "%s", path);
  return file;
}

static void open_device(const char *bdf) {
  if (write(open_file(bdf, "enable"), "1", 1) != 1) err(2, "enable %s", bdf);
  uint16_t command = 0x0406; // memory, bus master, no INTx
  if (pwrite(open_file(bdf, "config"), &command, 2, 4) != 2) err(2, "PCI command register");
  bar = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, open_file(bdf, "resource0"), 0);
  if (bar == MAP_FAILED) err(2, "mmap of BAR 0");
}

static uint64_t physical(const void *page) {
  uint64_t entry;
  int file = open("/proc/self/pagemap", O_RDONLY);
  if (file < 0 || pread(file, &entry, 8, (uintptr_t)page / PAGE * 8) != 8) err(2, "pagemap");
  close(file);
  if (!(entry >> 63)) errx(2, "page is not present");
  return (entry & ((1ull << 55) - 1)) * PAGE;
}

static void await_zero(int offset, uint32_t mask, const char *what) {
  time_t deadline = time(NULL) + 20;
  while (*reg(offset) & mask) {
    if (time(NULL) > deadline) errx(1, "edu: %s does not end", what);
  }
}

static void move(uint64_t source, uint64_t target, uint32_t command) {
  *(volatile uint64_t *)(bar + DMA_SOURCE) = source;
  *(volatile uint64_t *)(bar + DMA_TARGET) = target;
  *(volatile uint64_t *)(bar + DMA_COUNT) = PART;
  *(volatile uint64_t *)(bar + DMA_COMMAND) = command | DMA_RUN;
  await_zero(DMA_COMMAND, DMA_RUN, "DMA");
}

static void check_registers(void) {
  if ((*reg(IDENTITY) & 0xff) != 0xed) errx(1, "edu: identity %#x", *reg(IDENTITY));
  *reg(LIVENESS) = 0x12345678;
  if (*reg(LIVENESS) != ~0x12345678u) errx(1, "edu: liveness %#x", *reg(LIVENESS));
  *reg(FACTORIAL) = 10;
  await_zero(STATUS, 1, "factorial");
  if (*reg(FACTORIAL) != 3628800) errx(1, "edu: 10! is %u", *reg(FACTORIAL));
}

int main(int count, char **argument) {
  if (count != 2) errx(2, "usage: edu BDF");
  open_device(argument[1]);
  check_registers();
  uint8_t *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) err(2, "memory");
  uint8_t *source = memory, *target = memory + PAGE;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < PART; i++) source[i] = i * 7 + round;
    memset(target, 0xee, PART);
    move(physical(source), DEVICE_BUFFER, 0);
    memset(source, 0, PART);
    move(DEVICE_BUFFER, physical(target), DMA_FROM_DEVICE);
    for (int i = 0; i < PART; i++) {
      if (target[i] != (uint8_t)(i * 7 + round)) errx(1, "edu: round %d, byte %d wrong", round, i);
    }
  }
  printf("# edu: %d round trips right\n", ROUNDS);
  return 0;
}
