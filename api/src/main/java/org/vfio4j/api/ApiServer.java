// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.api;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Duration;
import java.util.Set;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.unixdomain.server.UnixDomainServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.VirtualThreads;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** Answers calls at a Unix socket. Who may connect is what the file's permissions say. */
public final class ApiServer implements AutoCloseable {
  private static final Logger LOG = System.getLogger("org.vfio4j.api");

  /** For a call that is under way when the server is closed. */
  private static final Duration STOP_TIME = Duration.ofSeconds(2);

  /** For a call that is answered when its work is done. */
  private static final Duration IDLE = Duration.ofHours(1);

  private static final int MOST_THREADS = 16;

  private final Server server;
  private final Path socket;

  /** Answers each call, on a virtual thread of its own. */
  @FunctionalInterface
  public interface Calls {
    /**
     * Answers one.
     *
     * @throws Exception if the other end has gone
     */
    void answer(ApiCall call) throws Exception;
  }

  private ApiServer(Server server, Path socket) {
    this.server = server;
    this.socket = socket;
  }

  /**
   * Begins to answer.
   *
   * @param socket what is at this path is replaced: that nobody listens there is the caller's to
   *     know
   * @param permissions of the socket; writing is what connecting takes
   * @throws IOException if there can be no socket
   */
  public static ApiServer start(Path socket, Set<PosixFilePermission> permissions, Calls calls)
      throws IOException {
    Files.deleteIfExists(socket);
    QueuedThreadPool pool = new QueuedThreadPool(MOST_THREADS);
    pool.setVirtualThreadsExecutor(VirtualThreads.getDefaultVirtualThreadsExecutor());
    pool.setDaemon(true);
    pool.setName("vfio api");
    Server server = new Server(pool);
    HttpConfiguration http = new HttpConfiguration();
    http.setSendServerVersion(false);
    UnixDomainServerConnector connector =
        new UnixDomainServerConnector(server, 1, 1, new HttpConnectionFactory(http));
    connector.setUnixDomainPath(socket);
    connector.setIdleTimeout(IDLE.toMillis());
    server.addConnector(connector);
    server.setHandler(new Answering(calls));
    server.setStopTimeout(STOP_TIME.toMillis());
    boolean done = false;
    ApiServer started = new ApiServer(server, socket);
    try {
      server.start();
      Files.setPosixFilePermissions(socket, permissions);
      done = true;
      return started;
    } catch (IOException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException("no socket at " + socket + ": " + e.getMessage(), e);
    } finally {
      if (!done) {
        started.close();
      }
    }
  }

  private static final class Answering extends Handler.Abstract {
    private final Calls calls;

    Answering(Calls calls) {
      this.calls = calls;
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) {
      ApiCall call = new ApiCall(request, response);
      try {
        calls.answer(call);
        callback.succeeded();
      } catch (Exception | Error e) {
        LOG.log(Level.DEBUG, () -> call.method() + " " + call.path() + " was not answered", e);
        if (call.answered()) {
          callback.failed(e);
        } else {
          Response.writeError(request, response, callback, e);
        }
      }
      return true;
    }
  }

  /** Where it answers. */
  public Path path() {
    return socket;
  }

  /** Stops answering, and removes the socket. */
  @Override
  public void close() {
    try {
      server.stop();
    } catch (Exception e) {
      LOG.log(Level.WARNING, () -> socket + ": not stopped", e);
    }
    try {
      Files.deleteIfExists(socket);
    } catch (IOException e) {
      LOG.log(Level.WARNING, () -> socket + ": not removed", e);
    }
  }
}
