// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// Messages of vfio-user, as far as the programs beside it speak them.
#pragma once
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { VERSION = 1, DMA_MAP = 2, DMA_UNMAP = 3, GET_INFO = 4, REGION_READ = 9, REGION_WRITE = 10 };
enum { REPLY = 1, NO_REPLY = 1 << 4, ERROR = 1 << 5 };

struct header {
	uint16_t id, command;
	uint32_t size, flags, error;
};

struct access {
	struct header h;
	uint64_t offset;
	uint32_t region, count;
};

struct map {
	struct header h;
	uint32_t argsz, flags;
	uint64_t offset, address, size;
};

struct unmap {
	struct header h;
	uint32_t argsz, flags;
	uint64_t address, size;
};

// Sends a message with its descriptor, or none (-1); returns as sendmsg does.
static inline ssize_t send_message(int sock, struct header *h, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { h, h->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}
