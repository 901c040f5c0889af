// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.posix;

/** Numbers of Linux's headers, by their names there; the same on x86-64 and arm64. */
@SuppressWarnings("MemberName")
public final class Constants {
  public static final int O_RDONLY = 0;
  public static final int O_WRONLY = 1;
  public static final int O_RDWR = 2;
  public static final int O_ACCMODE = 3;
  public static final int O_CREAT = 0x40;

  /** ELOOP for a symbolic link. */
  public static final int O_NOFOLLOW = 0x20000;

  public static final int O_NONBLOCK = 0x800;
  public static final int O_CLOEXEC = 0x80000;

  public static final int SEEK_SET = 0;
  public static final int SEEK_END = 2;

  public static final int PROT_NONE = 0;
  public static final int PROT_READ = 1;
  public static final int PROT_WRITE = 2;
  public static final int MAP_SHARED = 1;
  public static final int MAP_PRIVATE = 2;
  public static final int MAP_FIXED = 0x10;
  public static final int MAP_ANONYMOUS = 0x20;
  public static final int MAP_NORESERVE = 0x4000;
  public static final int MAP_POPULATE = 0x8000;

  public static final int MADV_DONTNEED = 4;
  public static final int MADV_NOHUGEPAGE = 15;
  public static final int MADV_DONTDUMP = 16;

  public static final int MFD_CLOEXEC = 1;
  public static final int MFD_ALLOW_SEALING = 2;
  public static final int EFD_NONBLOCK = O_NONBLOCK;
  public static final int EFD_CLOEXEC = O_CLOEXEC;

  public static final int POLLIN = 1;
  public static final int POLLOUT = 4;
  public static final int POLLERR = 8;
  public static final int POLLHUP = 0x10;

  public static final int F_SETFD = 2;
  public static final int FD_CLOEXEC = 1;
  public static final int F_GETFL = 3;
  public static final int F_SETFL = 4;
  public static final int F_DUPFD_CLOEXEC = 1030;
  public static final int F_ADD_SEALS = 1033;
  public static final int F_GET_SEALS = 1034;
  public static final int F_SEAL_SEAL = 1;
  public static final int F_SEAL_SHRINK = 2;
  public static final int F_SEAL_GROW = 4;
  public static final int AT_EMPTY_PATH = 0x1000;
  public static final int STATX_BASIC_STATS = 0x7ff;
  public static final long HUGETLBFS_MAGIC = 0x958458f6L;

  public static final int AF_UNIX = 1;
  public static final int AF_NETLINK = 16;
  public static final int NETLINK_KOBJECT_UEVENT = 15;
  public static final int SOCK_STREAM = 1;
  public static final int SOCK_DGRAM = 2;
  public static final int SOCK_RAW = 3;
  public static final int SOCK_CLOEXEC = O_CLOEXEC;
  public static final int SOCK_NONBLOCK = O_NONBLOCK;
  public static final int SOL_SOCKET = 1;
  public static final int SCM_RIGHTS = 1;
  public static final int SO_PEERCRED = 17;
  public static final int SHUT_RDWR = 2;
  public static final int MSG_PEEK = 2;
  public static final int MSG_DONTWAIT = 0x40;
  public static final int MSG_NOSIGNAL = 0x4000;
  public static final int MSG_CMSG_CLOEXEC = 0x40000000;
  public static final int MSG_CTRUNC = 8;

  public static final int LOCK_EX = 2;
  public static final int LOCK_NB = 4;

  public static final int RLIMIT_MEMLOCK = 8;
  public static final int CAP_IPC_LOCK = 14;

  public static final int FIONREAD = 0x541b;

  private Constants() {}
}
