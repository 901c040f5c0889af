// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.broker;

import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.vfio4j.linux.sysfs.KernelEvent;
import org.vfio4j.linux.sysfs.KernelEvents;
import org.vfio4j.posix.Descriptor;
import org.vfio4j.posix.EventFd;
import org.vfio4j.posix.ReadyFiles;
import org.vfio4j.posix.SystemCallException;
import org.vfio4j.posix.SystemCalls;

/**
 * What happens to devices that nobody here has asked for. The kernel signals an eventfd of each
 * when it is asked to take it from VFIO, which it does when it is let go; errors and removals it
 * tells to everybody.
 */
final class Incidents implements AutoCloseable {
  private final SystemCalls calls;
  private final Consumer<KernelEvent> heard;
  private final Optional<KernelEvents> kernel;
  private final EventFd changed;
  private final Map<Descriptor, Request> requests = new ConcurrentHashMap<>();
  private volatile boolean closed;
  private final Thread hearing;

  /**
   * Hears from now on.
   *
   * @param heard told of what the kernel tells, by a thread of this
   */
  Incidents(SystemCalls calls, Consumer<KernelEvent> heard) {
    this.calls = calls;
    this.heard = heard;
    kernel = open(calls);
    changed = EventFd.create(calls);
    hearing = Thread.ofPlatform().daemon().name("broker hears the kernel").start(this::run);
  }

  private static Optional<KernelEvents> open(SystemCalls calls) {
    try {
      return Optional.of(KernelEvents.open(calls));
    } catch (SystemCallException refused) {
      Broker.LOG.log(
          Level.WARNING,
          "errors and removals of devices are not heard of: {0}",
          refused.getMessage());
      return Optional.empty();
    }
  }

  /** The kernel's way to ask for a device. */
  final class Request implements AutoCloseable {
    private final EventFd eventFd = EventFd.create(calls);
    private final Runnable asked;

    private Request(Runnable asked) {
      this.asked = asked;
    }

    /** To be given to the kernel. */
    Descriptor descriptor() {
      return eventFd.descriptor();
    }

    @Override
    public void close() {
      requests.remove(descriptor());
      changed.signal();
      eventFd.close();
    }
  }

  /**
   * For a device that somebody has.
   *
   * @param asked what to do when it is wanted back; may be said again and again
   */
  Request request(Runnable asked) {
    Request request = new Request(asked);
    requests.put(request.descriptor(), request);
    changed.signal();
    return request;
  }

  private void run() {
    while (!closed) {
      try {
        List<Descriptor> all = new ArrayList<>(List.of(changed.descriptor()));
        kernel.ifPresent(k -> all.add(k.descriptor()));
        all.addAll(requests.keySet());
        ReadyFiles.await(calls, all).forEach(this::ready);
      } catch (SystemCallException refused) {
        Broker.LOG.log(
            Level.ERROR, "what happens to devices is not heard any more: " + refused.getMessage());
        return;
      }
    }
  }

  private void ready(Descriptor file) {
    if (file.equals(changed.descriptor())) {
      changed.take();
      return;
    }
    Optional<Request> request = Optional.ofNullable(requests.get(file));
    try {
      if (request.isPresent()) {
        request.get().eventFd.take();
        request.get().asked.run();
      } else {
        kernel.filter(k -> k.descriptor().equals(file)).ifPresent(k -> k.take().forEach(heard));
      }
    } catch (RuntimeException e) {
      // It may have been closed meanwhile. Others are heard all the same.
      Broker.LOG.log(Level.DEBUG, "not heard", e);
    }
  }

  @Override
  public void close() {
    closed = true;
    changed.signal();
    boolean interrupted = false;
    while (hearing.isAlive()) {
      try {
        hearing.join();
      } catch (InterruptedException _) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    kernel.ifPresent(KernelEvents::close);
    changed.close();
  }
}
