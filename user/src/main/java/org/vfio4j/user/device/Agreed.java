// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.device;

/**
 * What a server and its client have agreed on with the version. Nobody can ask for it again: who
 * goes on with a connection has to know it.
 *
 * @param minor the minor version that both speak
 * @param descriptors that the client takes with one message
 * @param maxTransfer bytes of data in one message
 * @param maxMappings DMA mappings at a time
 * @param writeMultiple whether the client may send REGION_WRITE_MULTI
 */
public record Agreed(
    int minor, int descriptors, int maxTransfer, int maxMappings, boolean writeMultiple) {}
