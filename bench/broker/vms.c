// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// Is many VMs to a vfio-user server, and takes the time of what they ask. One thread, which sleeps
// when nobody asks: it measures the server and not itself.
//   vms MIB DEVICES SOCKET…
// Each VM has DEVICES sockets, one after the other, and MIB of RAM in a memfd that is sealed as
// QEMU's is. Commands come on standard input, and each is answered by a line:
//   connect                      all VMs: VERSION, GET_INFO, and all RAM mapped on each device
//   disconnect                   all of them
//   measure SECONDS STORM KIND   each VM but the first reads a register 50 times a second, by turns
//                                of its devices, and once a second maps and unmaps 64 KiB of its
//                                RAM; STORM devices of the first map and unmap 4 KiB as fast as they
//                                are answered: of its RAM (KIND ram), or of a file of its own (file)
// A read goes out when its time has come, whether the one before was answered or not, and its time
// is from then to its reply. The answer: reads, p50, p99, p99.9 and max of a read in ns; maps, p50,
// p99 and max of a map with its unmap in ns; p99 of how late the client itself was; maps a second
// of the storm.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../user/messages.h"

enum { READS_A_SECOND = 50, MAP_SIZE = 0x10000, STORM_SIZE = 0x1000, QUEUE = 1024, ROOM = 1024 };

static const uint64_t SECOND = 1000000000, EXTRA = 0x100000000, STORM = 0x200000000;
// A server that says nothing for so long has lost a message.
static const uint64_t SILENCE = 30000000000;

// A connection; what it has asked and not been answered yet is in a ring.
struct device {
	const char *path;
	int sock, ram;
	uint16_t next_id;
	unsigned head, tail;
	struct {
		uint16_t command;
		uint64_t since;
	} asked[QUEUE];
	size_t have;
	char in[ROOM];
};

struct times {
	uint64_t *v;
	size_t count, room;
};

static struct device *devices;
static int vms, each, epoll;
static uint64_t ram_size;
static struct times reads, maps, late;

static void die(const char *what)
{
	fprintf(stderr, "vms: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void add(struct times *t, uint64_t ns)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 4096;
		t->v = realloc(t->v, t->room * sizeof(*t->v));
		if (!t->v)
			die("memory");
	}
	t->v[t->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct times *t)
{
	qsort(t->v, t->count, sizeof(*t->v), compare);
}

static uint64_t of_thousand(const struct times *t, unsigned share)
{
	if (!t->count)
		return 0;
	size_t at = t->count * share / 1000;

	return t->v[at < t->count ? at : t->count - 1];
}

static void post(struct device *d, struct header *h, uint16_t command, uint32_t size, int fd,
		 uint64_t since)
{
	if (d->head - d->tail == QUEUE) {
		errno = ENOBUFS;
		die(d->path);
	}
	h->id = d->next_id++;
	h->command = command;
	h->size = size;
	d->asked[d->head % QUEUE].command = command;
	d->asked[d->head % QUEUE].since = since;
	d->head++;
	if (send_message(d->sock, h, fd) != (ssize_t)size)
		die(d->path);
}

static void post_map(struct device *d, int fd, uint64_t offset, uint64_t address, uint64_t size,
		     uint64_t since)
{
	struct map m = { .argsz = 32, .flags = 3, .offset = offset, .address = address, .size = size };

	post(d, &m.h, DMA_MAP, sizeof(m), fd, since);
}

static void post_unmap(struct device *d, uint64_t address, uint64_t size, uint64_t since)
{
	struct unmap u = { .argsz = 24, .address = address, .size = size };

	post(d, &u.h, DMA_UNMAP, sizeof(u), -1, since);
}

static void post_read(struct device *d, uint64_t since)
{
	struct access a = { .count = 4 };

	post(d, &a.h, REGION_READ, sizeof(a), -1, since);
}

// Takes what has come and hands over each reply: what it answers, and since when that was asked.
static void receive(struct device *d, int flags,
		    void (*reply)(struct device *, uint16_t command, uint64_t since))
{
	ssize_t n = recv(d->sock, d->in + d->have, sizeof(d->in) - d->have, flags);
	struct header h;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die(d->path);
	d->have += n;
	while (d->have >= sizeof(h)) {
		memcpy(&h, d->in, sizeof(h));
		if (h.size < sizeof(h) || h.size > sizeof(d->in)) {
			errno = EPROTO;
			die(d->path);
		}
		if (d->have < h.size)
			return;
		unsigned at = d->tail++ % QUEUE;

		if (h.command != d->asked[at].command || (h.flags & ERROR)) {
			errno = h.flags & ERROR ? (int)h.error : EPROTO;
			die(d->path);
		}
		d->have -= h.size;
		memmove(d->in, d->in + h.size, d->have);
		reply(d, h.command, d->asked[at].since);
	}
}

static void nothing(struct device *d, uint16_t command, uint64_t since)
{
	(void)d, (void)command, (void)since;
}

static void await_all(struct device *d)
{
	while (d->head != d->tail)
		receive(d, 0, nothing);
}

static void connect_device(struct device *d)
{
	static const char json[] =
		"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct {
		struct header h;
		uint16_t major, minor;
		char json[sizeof(json)];
	} version = { .minor = 1 };
	struct {
		struct header h;
		uint32_t argsz, flags, regions, irqs;
	} info = { .argsz = 16 };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = d };

	if (strlen(d->path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		die(d->path);
	}
	strcpy(address.sun_path, d->path);
	memcpy(version.json, json, sizeof(json));
	d->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(d->sock, (struct sockaddr *)&address, sizeof(address)))
		die(d->path);
	d->head = d->tail = d->have = 0;
	// Without the padding at its end.
	post(d, &version.h, VERSION, sizeof(struct header) + 4 + sizeof(json), -1, now());
	await_all(d);
	post_map(d, d->ram, 0, 0, ram_size, now());
	post(d, &info.h, GET_INFO, sizeof(info), -1, now());
	await_all(d);
	// The first VM's replies are its storm's, which waits for them itself.
	if (d - devices >= each && epoll_ctl(epoll, EPOLL_CTL_ADD, d->sock, &event))
		die("epoll_ctl");
}

static int memory(uint64_t size)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		die("memfd");
	return fd;
}

// In a process of its own, over the connection that this one leaves alone meanwhile.
static pid_t storm(struct device *d, bool file, uint64_t until, int result)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = file ? memory(STORM_SIZE) : d->ram;
	uint64_t start = now(), at = start, offset = 0, done = 0;

	for (; at < until; at = now(), done++) {
		post_map(d, fd, offset, STORM + offset, STORM_SIZE, now());
		await_all(d);
		post_unmap(d, STORM + offset, STORM_SIZE, at);
		await_all(d);
		if (!file)
			offset = (offset + STORM_SIZE) % ram_size;
	}
	double rate = (double)done * SECOND / (at - start);

	if (write(result, &rate, sizeof(rate)) != sizeof(rate))
		die("pipe");
	_exit(0);
}

static void measured(struct device *d, uint16_t command, uint64_t since)
{
	switch (command) {
	case REGION_READ:
		add(&reads, now() - since);
		break;
	case DMA_MAP:
		post_unmap(d, EXTRA, MAP_SIZE, since);
		break;
	case DMA_UNMAP:
		add(&maps, now() - since);
		break;
	}
}

static void poll_replies(uint64_t until)
{
	struct epoll_event events[64];
	uint64_t at = now(), left = until > at ? until - at : 0;
	struct timespec timeout = { left / SECOND, left % SECOND };
	int n = epoll_pwait2(epoll, events, 64, &timeout, NULL);

	if (n < 0 && errno != EINTR)
		die("epoll_pwait2");
	for (int i = 0; i < n; i++)
		receive(events[i].data.ptr, MSG_DONTWAIT, measured);
}

static bool waiting(void)
{
	for (int i = each; i < vms * each; i++)
		if (devices[i].head != devices[i].tail)
			return true;
	return false;
}

// The n-th of something that every VM but the first does by turns, as do its devices.
static struct device *turn(uint64_t n)
{
	return &devices[(1 + n % (vms - 1)) * each + n / (vms - 1) % each];
}

static void measure(double seconds, int stormers, bool file)
{
	uint64_t start = now() + (stormers ? SECOND / 2 : 0);
	uint64_t end = start + (uint64_t)(seconds * SECOND);
	uint64_t read_gap = SECOND / READS_A_SECOND / (vms - 1), map_gap = SECOND / (vms - 1);
	uint64_t next_read = start, next_map = start + read_gap / 2, n_read = 0, n_map = 0;
	int result[2];
	double storms = 0, rate;

	reads.count = maps.count = late.count = 0;
	if (pipe(result))
		die("pipe");
	// Begins before and ends after what is measured.
	for (int i = 0; i < stormers; i++)
		storm(&devices[i], file, end + SECOND / 4, result[1]);
	close(result[1]);
	for (;;) {
		uint64_t at = now(), next = next_read < next_map ? next_read : next_map;

		if (next >= end)
			break;
		if (at < next) {
			poll_replies(next);
			continue;
		}
		add(&late, at - next);
		if (next == next_read) {
			post_read(turn(n_read++), next);
			next_read += read_gap;
		} else {
			struct device *d = turn(n_map++);

			post_map(d, d->ram, 0, EXTRA, MAP_SIZE, next);
			next_map += map_gap;
		}
	}
	for (end = now() + SILENCE; waiting(); poll_replies(end)) {
		if (now() >= end) {
			errno = ETIMEDOUT;
			die("no reply");
		}
	}
	for (int i = 0; i < stormers; i++) {
		if (read(result[0], &rate, sizeof(rate)) != sizeof(rate))
			die("the storm");
		storms += rate;
	}
	close(result[0]);
	for (int i = 0; i < stormers; i++)
		wait(NULL);
	sort(&reads);
	sort(&maps);
	sort(&late);
	printf("%zu %lu %lu %lu %lu %zu %lu %lu %lu %lu %.0f\n", reads.count, of_thousand(&reads, 500),
	       of_thousand(&reads, 990), of_thousand(&reads, 999), of_thousand(&reads, 1000),
	       maps.count, of_thousand(&maps, 500), of_thousand(&maps, 990),
	       of_thousand(&maps, 1000), of_thousand(&late, 990), storms);
}

int main(int argc, char **argv)
{
	char line[128], kind[8];
	double seconds;
	int stormers;

	if (argc < 4)
		return 2;
	ram_size = strtoull(argv[1], NULL, 10) << 20;
	each = atoi(argv[2]);
	if (!ram_size || each < 1 || (argc - 3) % each || (vms = (argc - 3) / each) < 2)
		return 2;
	devices = calloc(vms * each, sizeof(*devices));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!devices || epoll < 0)
		die("memory");
	for (int i = 0; i < vms * each; i++) {
		devices[i].path = argv[3 + i];
		devices[i].ram = i % each ? devices[i - 1].ram : memory(ram_size);
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "connect\n")) {
			for (int i = 0; i < vms * each; i++)
				connect_device(&devices[i]);
			puts("connected");
		} else if (!strcmp(line, "disconnect\n")) {
			for (int i = 0; i < vms * each; i++)
				close(devices[i].sock);
			puts("disconnected");
		} else if (sscanf(line, "measure %lf %d %7s", &seconds, &stormers, kind) == 3 &&
			   stormers <= each) {
			measure(seconds, stormers, !strcmp(kind, "file"));
		} else {
			return 2;
		}
		fflush(stdout);
	}
	return 0;
}
