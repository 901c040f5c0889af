// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// What a register costs that is not mapped: reads a device's subsystem id from configuration space
// many times, and prints the microseconds of one.
//
//   registers FOLDER-OF-THE-DEVICE

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 300, SUBSYSTEM = 0x2c };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

int main(int count, char **argument) {
  if (count != 2) errx(2, "usage: registers FOLDER");
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/config", argument[1]);
  int file = open(path, O_RDONLY);
  if (file < 0) err(2, "%s", path);
  uint32_t id;
  double begin = now();
  for (int n = 0; n < ROUNDS; n++) {
    if (pread(file, &id, 4, SUBSYSTEM) != 4) err(1, "read of %s", path);
  }
  printf("%.0f us a register, %d times\n", (now() - begin) / ROUNDS, ROUNDS);
  return 0;
}
