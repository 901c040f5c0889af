// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// Measures a vfio-user server: sends one command after the other and takes the time of each.
//   client SOCKET OPERATION COUNT
// OPERATION is read (4 bytes), write (4 bytes), posted (63 posted writes, then one with a reply; the
// time is that of all 64), map (map and unmap without a descriptor), mapfd (with one).
// Prints: operation, messages, p50 and p99 in ns of an exchange, messages a second, and, if the
// server tells at offset 0x8000 of region 0, bytes that it allocated for each message.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "messages.h"

enum { BATCH = 64, MAP_SIZE = 0x10000, ALLOCATED = 0x8000 };

struct written {
	struct access a;
	unsigned char data[8];
};

static int sock;
static uint16_t next_id;

static void die(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void send_command(struct header *h, uint16_t command, uint32_t size, uint32_t flags, int fd)
{
	h->id = next_id++;
	h->command = command;
	h->size = size;
	h->flags = flags;
	h->error = 0;
	if (send_message(sock, h, fd) != (ssize_t)size)
		die("send");
}

static void receive_reply(const struct header *to, void *reply, size_t room)
{
	const struct header *h = reply;
	ssize_t n = recv(sock, reply, room, 0);

	if (n < (ssize_t)sizeof(*h) || h->size != n)
		die("receive");
	if (h->id != to->id || (h->flags & ERROR)) {
		fprintf(stderr, "client: command %u failed: errno %u\n", h->command, h->error);
		exit(1);
	}
}

static void negotiate(void)
{
	static const char json[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}";
	struct {
		struct header h;
		uint16_t major, minor;
		char json[512];
	} m = { .minor = 1 };
	char reply[1024];

	memcpy(m.json, json, sizeof(json));
	send_command(&m.h, VERSION, sizeof(m.h) + 4 + sizeof(json), 0, -1);
	receive_reply(&m.h, reply, sizeof(reply));
}

static void do_read(uint64_t offset, uint32_t count, void *data)
{
	struct access m = { .offset = offset, .count = count };
	struct written reply;

	send_command(&m.h, REGION_READ, sizeof(m), 0, -1);
	receive_reply(&m.h, &reply, sizeof(reply));
	memcpy(data, reply.data, count);
}

static void do_write(uint64_t offset, uint32_t flags)
{
	struct written m = { .a = { .offset = offset, .count = 4 } }, reply;

	send_command(&m.a.h, REGION_WRITE, sizeof(m) - 4, flags, -1);
	if (!(flags & NO_REPLY))
		receive_reply(&m.a.h, &reply, sizeof(reply));
}

static void do_map(int fd)
{
	struct map m = { .argsz = 32, .flags = 3, .address = 0x100000, .size = MAP_SIZE };
	struct unmap u = { .argsz = 24, .address = 0x100000, .size = MAP_SIZE };
	char reply[64];

	send_command(&m.h, DMA_MAP, sizeof(m), 0, fd);
	receive_reply(&m.h, reply, sizeof(reply));
	send_command(&u.h, DMA_UNMAP, sizeof(u), 0, -1);
	receive_reply(&u.h, reply, sizeof(reply));
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void exchange(const char *operation, int fd)
{
	uint32_t value;

	if (!strcmp(operation, "read")) {
		do_read(0x100, 4, &value);
	} else if (!strcmp(operation, "write")) {
		do_write(0x100, 0);
	} else if (!strcmp(operation, "posted")) {
		for (int i = 1; i < BATCH; i++)
			do_write(0x100 + 4 * i, NO_REPLY);
		do_write(0x100, 0);
	} else {
		do_map(fd);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t allocated, allocated_before, idle, start, last;
	int fd = -1;

	if (argc != 4)
		return 2;
	const char *operation = argv[2];
	size_t count = strtoul(argv[3], NULL, 10), messages = count;
	uint32_t *times = malloc(count * sizeof(*times));

	strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	// The file is there a moment before anybody listens.
	for (int i = 0; connect(sock, (struct sockaddr *)&address, sizeof(address)); i++) {
		if (errno != ECONNREFUSED || i == 1000)
			die(argv[1]);
		usleep(1000);
	}
	if (!strcmp(operation, "posted"))
		messages = count * BATCH;
	else if (!strncmp(operation, "map", 3))
		messages = count * 2;
	if (!strcmp(operation, "mapfd")) {
		fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd < 0 || ftruncate(fd, MAP_SIZE))
			die("memfd");
		// As QEMU's memory is.
		if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
			die("seal");
	}
	negotiate();
	// Twice: the difference is what asking costs.
	do_read(ALLOCATED, 8, &idle);
	do_read(ALLOCATED, 8, &allocated_before);
	idle = allocated_before - idle;
	start = last = now();
	for (size_t i = 0; i < count; i++) {
		exchange(operation, fd);
		uint64_t t = now();

		times[i] = t - last;
		last = t;
	}
	do_read(ALLOCATED, 8, &allocated);
	qsort(times, count, sizeof(*times), compare);
	printf("%s %zu %u %u %.0f %.2f\n", operation, messages, times[count / 2],
	       times[count * 99 / 100], messages * 1e9 / (last - start),
	       (double)(int64_t)(allocated - allocated_before - idle) / messages);
	return 0;
}
