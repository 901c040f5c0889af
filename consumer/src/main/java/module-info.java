// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/** What a program needs to say that uses all four parts; one that checks requires assign alone. */
module consumer {
  requires org.vfio4j.assign;
  requires org.vfio4j.core;
  requires org.vfio4j.linux;
  requires org.vfio4j.user;
}
