// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

/** Numbers of the commands ({@code VFIO_USER_*}). 14 was given up by the protocol. */
public final class Command {
  public static final int VERSION = 1;
  public static final int DMA_MAP = 2;
  public static final int DMA_UNMAP = 3;
  public static final int GET_INFO = 4;
  public static final int GET_REGION_INFO = 5;
  public static final int GET_REGION_IO_FDS = 6;
  public static final int GET_IRQ_INFO = 7;
  public static final int SET_IRQS = 8;
  public static final int REGION_READ = 9;
  public static final int REGION_WRITE = 10;
  public static final int DMA_READ = 11;
  public static final int DMA_WRITE = 12;
  public static final int RESET = 13;
  public static final int REGION_WRITE_MULTI = 15;
  public static final int DEVICE_FEATURE = 16;
  public static final int MIG_DATA_READ = 17;
  public static final int MIG_DATA_WRITE = 18;

  private Command() {}

  /** The name in the protocol, or the number of what is none. */
  public static String name(int command) {
    return switch (command) {
      case VERSION -> "VERSION";
      case DMA_MAP -> "DMA_MAP";
      case DMA_UNMAP -> "DMA_UNMAP";
      case GET_INFO -> "GET_INFO";
      case GET_REGION_INFO -> "GET_REGION_INFO";
      case GET_REGION_IO_FDS -> "GET_REGION_IO_FDS";
      case GET_IRQ_INFO -> "GET_IRQ_INFO";
      case SET_IRQS -> "SET_IRQS";
      case REGION_READ -> "REGION_READ";
      case REGION_WRITE -> "REGION_WRITE";
      case DMA_READ -> "DMA_READ";
      case DMA_WRITE -> "DMA_WRITE";
      case RESET -> "RESET";
      case REGION_WRITE_MULTI -> "REGION_WRITE_MULTI";
      case DEVICE_FEATURE -> "DEVICE_FEATURE";
      case MIG_DATA_READ -> "MIG_DATA_READ";
      case MIG_DATA_WRITE -> "MIG_DATA_WRITE";
      default -> "command " + command;
    };
  }
}
