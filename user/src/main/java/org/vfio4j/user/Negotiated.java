// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user;

import java.util.OptionalLong;
import org.vfio4j.user.device.Agreed;
import org.vfio4j.user.wire.Capabilities;
import org.vfio4j.user.wire.Header;
import org.vfio4j.user.wire.MessageException;
import org.vfio4j.user.wire.RegionAccess;
import org.vfio4j.user.wire.Version;

/**
 * What two sides have agreed on.
 *
 * @param minor the minor version that both speak
 * @param theirDescriptors descriptors that the other side takes with one message
 * @param maxTransfer bytes of data in one message
 * @param maxMappings mappings at a time
 * @param writeMultiple REGION_WRITE_MULTI may be sent
 */
record Negotiated(
    int minor, int theirDescriptors, int maxTransfer, int maxMappings, boolean writeMultiple) {
  /** The major version there is. */
  static final int MAJOR = 0;

  /** The highest minor version this implementation speaks. */
  static final int MINOR = 1;

  /** Descriptors taken with one message: as many as QEMU sends at most. */
  static final int MAX_DESCRIPTORS = 16;

  /** Bytes of data in one message. */
  static final int MAX_TRANSFER = (int) Capabilities.DEFAULT_MAX_DATA_XFER_SIZE;

  /** Mappings at a time: the default of the kernel's {@code dma_entry_limit}. */
  static final int MAX_MAPPINGS = (int) Capabilities.DEFAULT_MAX_DMA_MAPS;

  /** Any multiple of 4 KiB. */
  static final long PAGE_SIZES = Long.MAX_VALUE & ~0xfffL;

  /** What this implementation can do, as a server and as a client. */
  static final Capabilities OURS =
      Capabilities.of(MAX_DESCRIPTORS, MAX_TRANSFER, MAX_MAPPINGS, PAGE_SIZES, true);

  /**
   * Bytes of a message that carries no bulk data: VERSION and REGION_WRITE_MULTI are the longest.
   */
  private static final int SMALL = Header.SIZE + Version.SIZE + Version.MAX_DATA;

  /** Bytes of the longest message there can be. */
  static final int CAPACITY = Header.SIZE + RegionAccess.SIZE + MAX_TRANSFER;

  /** Before anything is agreed on. */
  static final Negotiated NOTHING = new Negotiated(0, 1, 0, 0, false);

  /** What was agreed on with a server before this one. */
  static Negotiated of(Agreed agreed) {
    return new Negotiated(
        agreed.minor(),
        agreed.descriptors(),
        agreed.maxTransfer(),
        agreed.maxMappings(),
        agreed.writeMultiple());
  }

  /** Bytes of a message, its header included; what is longer ends the connection. */
  int maxMessage() {
    return Math.max(SMALL, Header.SIZE + RegionAccess.SIZE + maxTransfer);
  }

  /**
   * What holds when a server answers a proposal.
   *
   * @throws MessageException EINVAL if the major version is another one
   */
  static Negotiated byServer(Version proposed, Version answer) {
    if (proposed.major() != MAJOR) {
      throw new MessageException(
          "protocol version %d.%d proposed, %d.%d is spoken"
              .formatted(proposed.major(), proposed.minor(), MAJOR, MINOR));
    }
    return of(answer, proposed.capabilities().maxMsgFds());
  }

  /**
   * What holds when a client has got an answer.
   *
   * @throws ConnectionException if the server answers what was not proposed
   */
  static Negotiated byClient(Version answer) {
    Capabilities said = answer.capabilities();
    if (answer.major() != MAJOR
        || answer.minor() > MINOR
        || said.maxDataXferSize().orElse(0) > MAX_TRANSFER
        || said.maxDmaMaps().orElse(0) > MAX_MAPPINGS) {
      throw new ConnectionException("the server answered more than was proposed: " + answer);
    }
    return of(answer, said.maxMsgFds());
  }

  private static Negotiated of(Version answer, OptionalLong theirDescriptors) {
    Capabilities said = answer.capabilities();
    return new Negotiated(
        answer.minor(),
        (int) Math.min(theirDescriptors.orElse(Capabilities.DEFAULT_MAX_MSG_FDS), MAX_DESCRIPTORS),
        (int) said.maxDataXferSize().orElse(Capabilities.DEFAULT_MAX_DATA_XFER_SIZE),
        (int) said.maxDmaMaps().orElse(Capabilities.DEFAULT_MAX_DMA_MAPS),
        said.writeMultiple());
  }

  /** The answer to a proposal. */
  static Version answer(Version proposed) {
    return new Version(
        MAJOR, Math.min(proposed.minor(), MINOR), OURS.answerTo(proposed.capabilities()));
  }
}
