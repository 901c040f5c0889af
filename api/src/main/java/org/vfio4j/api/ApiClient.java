// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.api;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.client.InputStreamResponseListener;
import org.eclipse.jetty.client.Request;
import org.eclipse.jetty.client.Response;
import org.eclipse.jetty.client.StringRequestContent;
import org.eclipse.jetty.client.transport.HttpClientTransportDynamic;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpMethod;
import org.eclipse.jetty.io.ClientConnector;
import org.eclipse.jetty.io.Transport;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/** Asks an {@link ApiServer}. */
public final class ApiClient implements AutoCloseable {
  /** Nobody is there that answers: a socket is connected to at once, or never. */
  private static final long CONNECT_MILLIS = 5_000;

  private final HttpClient http;
  private final Path socket;

  private ApiClient(HttpClient http, Path socket) {
    this.http = http;
    this.socket = socket;
  }

  /**
   * A client of the server at a path. Nothing is sent yet.
   *
   * @throws IOException if there can be none
   */
  public static ApiClient of(Path socket) throws IOException {
    ClientConnector connector = new ClientConnector();
    QueuedThreadPool threads = new QueuedThreadPool(8, 2);
    threads.setDaemon(true);
    connector.setExecutor(threads);
    connector.setSelectors(1);
    HttpClient http = new HttpClient(new HttpClientTransportDynamic(connector));
    http.setConnectTimeout(CONNECT_MILLIS);
    http.setIdleTimeout(0);
    http.setFollowRedirects(false);
    http.setUserAgentField(null);
    try {
      http.start();
    } catch (Exception e) {
      throw new IOException("no client: " + e.getMessage(), e);
    }
    return new ApiClient(http, socket);
  }

  /**
   * What was answered.
   *
   * @param status of HTTP
   * @param json the object; of several the last
   */
  public record Answer(int status, String json) {}

  /**
   * Asks, and waits for all of the answer.
   *
   * @param method the verb
   * @param path absolute, encoded
   * @param body a JSON object; empty for none
   * @param line takes each object of an answer that comes in several, as it comes, and says whether
   *     it wants more
   * @throws IOException if nobody answers there, or the answer ends before its end
   */
  public Answer ask(String method, String path, String body, Predicate<String> line)
      throws IOException {
    Request request =
        http.newRequest("http://localhost" + path)
            .transport(new Transport.TCPUnix(socket))
            .method(HttpMethod.fromString(method));
    if (!body.isEmpty()) {
      request.body(new StringRequestContent("application/json", body, StandardCharsets.UTF_8));
    }
    try (InputStreamResponseListener listener = new InputStreamResponseListener()) {
      request.send(listener);
      // However long the work takes: whoever waits is shown how far it is, or can end this.
      Response response = listener.get(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
      String type = response.getHeaders().get(HttpHeader.CONTENT_TYPE);
      boolean several = ApiCall.LINES.equals(type);
      String last = "";
      try (BufferedReader reader =
          new BufferedReader(
              new InputStreamReader(listener.getInputStream(), StandardCharsets.UTF_8))) {
        for (String next = reader.readLine(); next != null; next = reader.readLine()) {
          last = several ? next : last + next;
          if (several && !line.test(next)) {
            var _ = response.abort(new IOException("enough"));
            break;
          }
        }
      }
      return new Answer(response.getStatus(), last);
    } catch (ExecutionException e) {
      Throwable why = e.getCause() == null ? e : e.getCause();
      throw new IOException(String.valueOf(why.getMessage()), why);
    } catch (TimeoutException e) {
      throw new IOException("no answer", e);
    } catch (InterruptedException _) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted");
    }
  }

  @Override
  public void close() {
    try {
      http.stop();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
