// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors
//
// The registers that the other servers have, over libvfio-user, whoever has built that. Serves one
// client after the other.
//   library SOCKET
#include <errno.h>
#include <libvfio-user.h>
#include <pci_defs.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { SIZE = 1 << 16 };

static char registers[SIZE];

static ssize_t access_registers(vfu_ctx_t *context, char *bytes, size_t count, loff_t offset,
				bool is_write)
{
	(void)context;
	if (is_write)
		memcpy(registers + offset, bytes, count);
	else
		memcpy(bytes, registers + offset, count);
	return count;
}

// Without it the library would not map what comes with a descriptor.
static void mapped(vfu_ctx_t *context, vfu_dma_info_t *info)
{
	(void)context;
	(void)info;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	vfu_ctx_t *context = vfu_create_ctx(VFU_TRANS_SOCK, argv[1], 0, NULL, VFU_DEV_TYPE_PCI);

	if (!context || vfu_pci_init(context, VFU_PCI_TYPE_CONVENTIONAL, PCI_HEADER_TYPE_NORMAL, 0) ||
	    vfu_setup_region(context, VFU_PCI_DEV_BAR0_REGION_IDX, SIZE, access_registers,
			     VFU_REGION_FLAG_RW, NULL, 0, -1, 0) ||
	    vfu_setup_device_dma(context, 65535, mapped, mapped) || vfu_realize_ctx(context)) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		if (vfu_attach_ctx(context)) {
			perror("attach");
			return 1;
		}
		// Ends when the client has left.
		if (vfu_run_ctx(context) >= 0 || errno != ENOTCONN) {
			perror("run");
			return 1;
		}
	}
}
