// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// The baseline of MapCost: maps and unmaps 4 KiB of one buffer with the two ioctls and nothing
// else; prints nanoseconds for each pair. Usage: map_unmap GROUP WARMUP ITERATIONS

#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void pairs(int container, void *buffer, long count) {
  struct vfio_iommu_type1_dma_map map = {.argsz = sizeof map,
                                         .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
                                         .vaddr = (unsigned long)buffer,
                                         .iova = 0x100000,
                                         .size = 4096};
  for (long i = 0; i < count; i++) {
    struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof unmap, .iova = 0x100000, .size = 4096};
    if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map)) die("VFIO_IOMMU_MAP_DMA");
    if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap)) die("VFIO_IOMMU_UNMAP_DMA");
    if (unmap.size != 4096) die("bytes unmapped");
  }
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s GROUP WARMUP ITERATIONS\n", argv[0]);
    return 2;
  }
  char path[64];
  snprintf(path, sizeof path, "/dev/vfio/%s", argv[1]);
  int container = open("/dev/vfio/vfio", O_RDWR);
  if (container < 0) die("/dev/vfio/vfio");
  int group = open(path, O_RDWR);
  if (group < 0) die(path);
  if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container)) die("VFIO_GROUP_SET_CONTAINER");
  if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) die("VFIO_SET_IOMMU");
  void *buffer = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED) die("mmap");
  memset(buffer, 1, 4096);
  long count = atol(argv[3]);
  pairs(container, buffer, atol(argv[2]));
  double start = now();
  pairs(container, buffer, count);
  printf("%.1f\n", (now() - start) / count);
  return 0;
}
