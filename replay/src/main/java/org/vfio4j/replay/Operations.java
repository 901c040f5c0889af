// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.replay;

import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.vfio4j.error.VfioException;
import org.vfio4j.vfio.Vfio;

/** What each operation of a script does, and what it prints. */
final class Operations {
  private static final int GET_BITMAP_WORDS = 2;
  private static final int INFO_ARGSZ = 4096;
  private static final int STATUS_ARGSZ = 8;
  private static final int UNMAP_BITMAP_ARGSZ = 48;
  private static final int CONFIG_BYTES = 4;

  private Operations() {}

  /**
   * Runs one operation.
   *
   * @return its result; empty if the kernel would wait for somebody
   */
  static Optional<Long> run(Environment env, String op, Operands a, Consumer<String> print) {
    return switch (op) {
      case "bind" -> done(env.bind(a.word(0), a.word(1)));
      case "write" -> done(env.write(a.word(0), a.rest(1)));
      case "poke", "peek", "memlock", "dropcap", "addcap", "vmlck", "drv", "cat", "edudma" -> {
        around(env, op, a, print);
        yield Optional.of(0L);
      }
      case "sleep", "dmesg" -> Optional.of(0L);
      case "map", "unmap", "info", "dirty", "getbm", "unmapbm" -> {
        memory(env.vfio(), op, a, print);
        yield Optional.of(0L);
      }
      default -> Optional.of((long) descriptor(env.vfio(), op, a, print));
    };
  }

  private static Optional<Long> done(boolean complete) {
    return complete ? Optional.of(0L) : Optional.empty();
  }

  private static void around(Environment env, String op, Operands a, Consumer<String> print) {
    switch (op) {
      case "poke" -> env.poke(a.number(0), (byte) a.number(1), a.number(2));
      case "peek" ->
          print.accept(
              "buf[0x%x]=%s"
                  .formatted(a.number(0), HexFormat.of().formatHex(env.peek(a.number(0)))));
      case "memlock" -> env.memlock(a.number(0));
      case "dropcap" -> env.capability(a.integer(0), false);
      case "addcap" -> env.capability(a.integer(0), true);
      case "vmlck" -> print.accept("VmLck=%d kB".formatted(env.lockedKib()));
      case "drv" -> print.accept("driver=" + env.driver(a.word(0)));
      case "cat" -> env.cat(a.word(0)).forEach(print);
      default -> env.eduDma(a.integer(0), a.number(1), a.number(2));
    }
  }

  private static int descriptor(Vfio vfio, String op, Operands a, Consumer<String> print) {
    switch (op) {
      case "cont":
        return vfio.container();
      case "grp":
        return vfio.group(a.word(0));
      case "open":
        return vfio.open(a.word(0));
      case "close":
        vfio.close(a.integer(0));
        return 0;
      case "api":
        return vfio.apiVersion(a.integer(0));
      case "ext":
        return vfio.checkExtension(a.integer(0), a.integer(1));
      case "setcont":
        vfio.setContainer(a.integer(0), a.integer(1));
        return 0;
      case "unset":
        vfio.unsetContainer(a.integer(0));
        return 0;
      case "status":
        return vfio.groupStatus(a.integer(0), a.integer(1, STATUS_ARGSZ));
      case "setiommu":
        vfio.setIommu(a.integer(0), a.integer(1));
        return 0;
      case "devfd":
        return vfio.deviceFd(a.integer(0), a.has(1) ? Optional.of(a.rest(1)) : Optional.empty());
      case "ioctl":
        return vfio.ioctl(a.integer(0), a.integer(1), a.number(2));
      default:
        return device(vfio, op, a, print);
    }
  }

  private static int device(Vfio vfio, String op, Operands a, Consumer<String> print) {
    switch (op) {
      case "devinfo" -> {
        Vfio.DeviceInfo info = vfio.deviceInfo(a.integer(0));
        print.accept(
            "flags=%d regions=%d irqs=%d".formatted(info.flags(), info.regions(), info.irqs()));
        return 0;
      }
      case "rdcfg" -> {
        print.accept("cfg[0]=%08x".formatted(vfio.readConfig(a.integer(0))));
        return CONFIG_BYTES;
      }
      case "hotinfo" -> {
        List<Vfio.Dependent> devices = vfio.hotResetInfo(a.integer(0));
        print.accept(
            devices.stream()
                .map(d -> " [grp/devid %d %s]".formatted(d.group(), d.address()))
                .collect(
                    Collectors.joining("", "count=%d flags=0:".formatted(devices.size()), "")));
        return 0;
      }
      case "reset" -> {
        vfio.reset(a.integer(0));
        return 0;
      }
      default -> throw new IllegalStateException("unknown operation " + op);
    }
  }

  private static void memory(Vfio vfio, String op, Operands a, Consumer<String> print) {
    int fd = a.integer(0);
    switch (op) {
      case "map" ->
          vfio.map(
              fd,
              new Vfio.MapRequest(
                  a.number(1),
                  a.number(2),
                  a.number(3),
                  a.integer(4, 3),
                  a.integer(5, Vfio.MAP_ARGSZ)));
      case "unmap" -> unmap(vfio, fd, a, print);
      case "unmapbm" -> unmapBitmap(vfio, fd, a, print);
      case "info" -> print(vfio.info(fd, a.integer(1, INFO_ARGSZ)), print);
      case "dirty" -> vfio.dirtyPages(fd, a.integer(1));
      default -> {
        long[] words = new long[Math.max(GET_BITMAP_WORDS, words(a.number(4)))];
        Vfio.Bitmap bitmap = new Vfio.Bitmap(a.number(3), a.number(4), words);
        vfio.dirtyBitmap(fd, new Vfio.BitmapRequest(a.number(1), a.number(2), bitmap));
        print.accept("bitmap[0]=%x bitmap[1]=%x".formatted(words[0], words[1]));
      }
    }
  }

  /** Words for a bitmap of that many bytes, within reason: an absurd size is refused before use. */
  private static int words(long bytes) {
    long most = 1L << 20;
    return (int) (Math.min(Math.max(bytes, 0), most) / Long.BYTES + 1);
  }

  private static void unmap(Vfio vfio, int fd, Operands a, Consumer<String> print) {
    long size = a.number(2);
    try {
      size =
          vfio.unmap(
              fd,
              new Vfio.UnmapRequest(
                  a.number(1),
                  size,
                  a.integer(3, 0),
                  a.integer(4, Vfio.UNMAP_ARGSZ),
                  Optional.empty()));
    } finally {
      print.accept("[unmapped size=0x%x]".formatted(size));
    }
  }

  private static void unmapBitmap(Vfio vfio, int fd, Operands a, Consumer<String> print) {
    long size = a.number(2);
    int count = (int) Math.min(1 << 16, (size >>> 18) + 2);
    long[] words = new long[Math.max(1, count)];
    try {
      size =
          vfio.unmap(
              fd,
              new Vfio.UnmapRequest(
                  a.number(1),
                  size,
                  1,
                  UNMAP_BITMAP_ARGSZ,
                  Optional.of(new Vfio.Bitmap(4096, (long) words.length * Long.BYTES, words))));
    } catch (VfioException refused) {
      print.accept("[unmapped size=0x%x bm=0]".formatted(size));
      throw refused;
    }
    print.accept("[unmapped size=0x%x bm=%x]".formatted(size, words[0]));
  }

  private static void print(Vfio.IommuInfo info, Consumer<String> print) {
    print.accept(
        "argsz=%d flags=%d pgsizes=%x cap_offset=%d"
            .formatted(info.argsz(), info.flags(), info.pageSizes(), info.capOffset()));
    for (Vfio.Capability cap : info.capabilities()) {
      String where = "ver=1 off=%d next=%d".formatted(cap.offset(), cap.next());
      print.accept(
          switch (cap) {
            case Vfio.Capability.Ranges r ->
                r.ranges().stream()
                    .map(x -> " [%x-%x]".formatted(x.start(), x.last()))
                    .collect(Collectors.joining("", "cap id=1 " + where, ""));
            case Vfio.Capability.Migration m ->
                "cap id=2 %s flags=%d pg=%x max=%x"
                    .formatted(where, m.flags(), m.pageSizes(), m.maxBitmap());
            case Vfio.Capability.Available v ->
                "cap id=3 %s avail=%d".formatted(where, v.entries());
          });
    }
  }
}
