// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// Maps memory through VFIO type1v2, has the IOAT device copy between its pages, checks every copy
// and exits without unmapping anything: the kernel takes the mappings down, with unmaps as large as
// it likes. The next call maps other memory at the same addresses; what the device then reads or
// writes must be that memory.
//
//   leak BDF TAG pages|whole    one mapping a page, in an order that TAG shuffles, or one for all
//
// Exits with 1 if a copy is wrong or the device reports an error, 2 if VFIO refuses.

#include <err.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, WORDS = PAGE / sizeof(uint64_t) };

static const uint64_t RING = 0x10000000, SOURCE = 0x20000000, TARGET = 0x30000000;

// Registers of the IOAT's first channel, from the start of BAR 0.
enum { CONTROL = 0x80, COMMAND = 0x84, COUNT = 0x86, STATUS = 0x88, CHAIN = 0x90, ERROR = 0xa8 };
enum { COMMAND_RESET = 0x20, STATUS_DONE = 1, STATUS_HALTED = 3 };

struct descriptor {
  uint32_t size, control;
  uint64_t source, target, next, unused[4];
};

static int container, device;
static volatile uint8_t *bar;

static void open_device(const char *bdf) {
  char path[PATH_MAX], link[PATH_MAX] = "";
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/iommu_group", bdf);
  if (readlink(path, link, sizeof link - 1) < 0) err(2, "%s", path);
  snprintf(path, sizeof path, "/dev/vfio/%s", basename(link));
  int group = open(path, O_RDWR);
  if (group < 0) err(2, "%s", path);
  container = open("/dev/vfio/vfio", O_RDWR);
  if (container < 0) err(2, "/dev/vfio/vfio");
  if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container)) err(2, "VFIO_GROUP_SET_CONTAINER");
  if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) err(2, "VFIO_SET_IOMMU");
  device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
  if (device < 0) err(2, "VFIO_GROUP_GET_DEVICE_FD %s", bdf);

  struct vfio_region_info config = {.argsz = sizeof config, .index = VFIO_PCI_CONFIG_REGION_INDEX};
  struct vfio_region_info memory = {.argsz = sizeof memory, .index = VFIO_PCI_BAR0_REGION_INDEX};
  if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config)) err(2, "config space");
  if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &memory)) err(2, "BAR 0");
  uint16_t enable = 0x0406; // memory, bus master, no INTx
  if (pwrite(device, &enable, 2, config.offset + 4) != 2) err(2, "PCI command register");
  bar = mmap(NULL, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, memory.offset);
  if (bar == MAP_FAILED) err(2, "mmap of BAR 0");
}

static void *allocate(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) err(2, "memory");
  memset(memory, 0xee, size);
  return memory;
}

static void map(void *memory, uint64_t iova, uint64_t size) {
  struct vfio_iommu_type1_dma_map map = {
      .argsz = sizeof map,
      .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
      .vaddr = (uintptr_t)memory,
      .iova = iova,
      .size = size,
  };
  if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map)) err(2, "VFIO_IOMMU_MAP_DMA at %#lx", iova);
}

// Lays pages out so that the page of memory behind the i-th address is order[i].
static void map_area(uint8_t *memory, uint64_t iova, const int *order, int whole) {
  if (whole) {
    map(memory, iova, (uint64_t)PAGES * PAGE);
    return;
  }
  for (int i = 0; i < PAGES; i++) {
    map(memory + order[i] * PAGE, iova + (uint64_t)i * PAGE, PAGE);
  }
}

static uint64_t word(uint64_t tag, uint64_t page, uint64_t index) {
  return tag << 40 | page << 16 | index;
}

static uint8_t status(void) {
  return *(volatile uint64_t *)(bar + STATUS) & 7;
}

// Bounded: a device that neither finishes nor halts must not hang the guest.
static void await(uint8_t wanted) {
  time_t deadline = time(NULL) + 20;
  while (status() != wanted) {
    if (status() == STATUS_HALTED || time(NULL) > deadline) {
      errx(1, "device: status %u, error %#x", status(), *(volatile uint32_t *)(bar + ERROR));
    }
  }
}

static void copy_all(struct descriptor *ring) {
  for (int i = 0; i < PAGES; i++) {
    ring[i] = (struct descriptor){
        .size = PAGE,
        .source = SOURCE + (uint64_t)i * PAGE,
        .target = TARGET + (uint64_t)i * PAGE,
        .next = RING + (i + 1) % PAGES * sizeof *ring,
    };
  }
  bar[COMMAND] = COMMAND_RESET;
  await(STATUS_HALTED);
  *(volatile uint64_t *)(bar + CHAIN) = RING;
  *(volatile uint16_t *)(bar + CONTROL) = 0x9; // interrupt rearm, abort on any error
  *(volatile uint16_t *)(bar + COUNT) = PAGES;
  await(STATUS_DONE);
}

static int wrong_pages(const uint8_t *target, const int *order, uint64_t tag) {
  int wrong = 0;
  for (int i = 0; i < PAGES; i++) {
    const uint64_t *page = (const uint64_t *)(target + order[i] * PAGE);
    int right = 1;
    for (int w = 0; w < WORDS; w++) right &= page[w] == word(tag, i, w);
    wrong += !right;
  }
  return wrong;
}

int main(int count, char **argument) {
  if (count != 4) errx(2, "usage: leak BDF TAG pages|whole");
  uint64_t tag = strtoull(argument[2], NULL, 0) + 1;
  int whole = !strcmp(argument[3], "whole");
  int order[PAGES];
  srandom(tag);
  for (int i = 0; i < PAGES; i++) order[i] = i;
  for (int i = PAGES - 1; i > 0 && !whole; i--) {
    int j = random() % (i + 1), page = order[i];
    order[i] = order[j];
    order[j] = page;
  }

  open_device(argument[1]);
  struct descriptor *ring = allocate(PAGE);
  uint8_t *source = allocate(PAGES * PAGE), *target = allocate(PAGES * PAGE);
  for (int i = 0; i < PAGES; i++) {
    uint64_t *page = (uint64_t *)(source + order[i] * PAGE);
    for (int w = 0; w < WORDS; w++) page[w] = word(tag, i, w);
  }
  map(ring, RING, PAGE);
  map_area(source, SOURCE, order, whole);
  map_area(target, TARGET, order, whole);
  copy_all(ring);
  int wrong = wrong_pages(target, order, tag);
  printf("# leak %s %s: %d of %d pages right\n", argument[2], argument[3], PAGES - wrong, PAGES);
  fflush(stdout);
  _exit(wrong != 0);
}
