// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// The least a vfio-user server can do: one recvmsg brings what there is, one send answers each
// command that wants it. No device, no checks, no limits, no log. With a descriptor it maps and
// unmaps the memory, as any server must that is to reach it. Serves one client after the other.
//   floor SOCKET
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "messages.h"

static char in[1 << 20], out[1 << 16], region[1 << 16];
static void *mapped;
static uint64_t mapped_size;

// Answers one command; returns how long the answer is.
static uint32_t answer(const char *message, int fd)
{
	const struct header *h = (const void *)message;
	uint64_t offset;
	uint32_t count;

	switch (h->command) {
	case VERSION:
		memcpy(out + 16, "\0\0\1\0{}", 7);
		return 16 + 7;
	case REGION_READ:
		memcpy(out + 16, message + 16, 16);
		memcpy(&offset, message + 16, 8);
		memcpy(&count, message + 28, 4);
		memcpy(out + 32, region + (offset & 0x7fff), count & 0xfff);
		return 32 + (count & 0xfff);
	case REGION_WRITE:
		memcpy(out + 16, message + 16, 16);
		memcpy(&offset, message + 16, 8);
		memcpy(&count, message + 28, 4);
		memcpy(region + (offset & 0x7fff), message + 32, count & 0xfff);
		return 32;
	case DMA_MAP:
		if (fd >= 0) {
			memcpy(&mapped_size, message + 40, 8);
			mapped = mmap(NULL, mapped_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		}
		return 16;
	case DMA_UNMAP:
		memcpy(out + 16, message + 16, 24);
		if (mapped) {
			munmap(mapped, mapped_size);
			mapped = NULL;
		}
		return 40;
	default:
		return 16;
	}
}

static int received(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void serve(int client)
{
	size_t have = 0;

	for (;;) {
		union {
			struct cmsghdr align;
			char space[256];
		} control;
		struct iovec iov = { in + have, sizeof(in) - have };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(client, &msg, MSG_CMSG_CLOEXEC);
		size_t at = 0;
		int fd;

		if (n <= 0)
			return;
		fd = received(&msg);
		have += n;
		while (have - at >= sizeof(struct header)) {
			struct header h;

			memcpy(&h, in + at, sizeof(h));
			if (have - at < h.size)
				break;
			uint32_t size = answer(in + at, fd);

			if (!(h.flags & NO_REPLY)) {
				struct header r = { h.id, h.command, size, REPLY, 0 };

				memcpy(out, &r, sizeof(r));
				if (send(client, out, size, MSG_NOSIGNAL) != (ssize_t)size)
					return;
			}
			at += h.size;
		}
		if (fd >= 0)
			close(fd);
		memmove(in, in + at, have - at);
		have -= at;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 2)
		return 2;
	strncpy(address.sun_path, argv[1], sizeof(address.sun_path) - 1);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 4)) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		int client = accept(listener, NULL, NULL);

		serve(client);
		close(client);
	}
}
