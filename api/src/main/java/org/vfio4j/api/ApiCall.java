// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.api;

import java.io.IOException;
import java.io.InputStream;
import java.net.URLDecoder;

import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.SelectableChannelEndPoint;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/** What somebody asks of an {@link ApiServer}, and the way to answer it. For one thread. */
public final class ApiCall {
  /** Bytes that a call may bring. */
  public static final int MOST = 4 << 20;

  private static final String JSON = "application/json";
  static final String LINES = "application/x-ndjson";

  private final Request request;
  private final Response response;
  private boolean answered;

  ApiCall(Request request, Response response) {
    this.request = request;
    this.response = response;
  }

  /** The verb: GET, POST, DELETE or another. */
  public String method() {
    return request.getMethod();
  }

  /** The parts of the path between its slashes, decoded. */
  public List<String> path() {
    return Stream.of(request.getHttpURI().getPath().split("/"))
        .filter(part -> !part.isEmpty())
        .map(part -> URLDecoder.decode(part.replace("+", "%2B"), StandardCharsets.UTF_8))
        .toList();
  }

  /** Whether a parameter behind the path's {@code ?} says yes. */
  public boolean says(String parameter) {
    return "yes".equals(Request.extractQueryParameters(request).getValue(parameter));
  }

  /**
   * What was sent.
   *
   * @throws TooLargeException if it is more than {@link #MOST} bytes
   */
  public String body() throws IOException {
    try (InputStream in = Content.Source.asInputStream(request)) {
      byte[] bytes = in.readNBytes(MOST + 1);
      if (bytes.length > MOST) {
        throw new TooLargeException();
      }
      return new String(bytes, StandardCharsets.UTF_8);
    }
  }

  /** More was sent than a call may bring. */
  public static final class TooLargeException extends IOException {
    private static final long serialVersionUID = 1L;

    TooLargeException() {
      super("a call brings %d bytes at most".formatted(MOST));
    }
  }

  /** Who asks, by name; empty if the other end has gone. */
  public Optional<String> user() {
    EndPoint end = request.getConnectionMetaData().getConnection().getEndPoint();
    if (!(end instanceof SelectableChannelEndPoint selectable)
        || !(selectable.getChannel() instanceof SocketChannel channel)) {
      return Optional.empty();
    }
    try {
      UnixDomainPrincipal peer = channel.getOption(ExtendedSocketOptions.SO_PEERCRED);
      return Optional.of(peer.user().getName());
    } catch (IOException _) {
      return Optional.empty();
    }
  }

  /** Whether something has been answered already. */
  boolean answered() {
    return answered;
  }

  /**
   * Answers with an object, which is all there is.
   *
   * @param status of HTTP
   */
  public void answer(int status, String json) throws IOException {
    begin(status, JSON);
    Content.Sink.write(response, true, json, org.eclipse.jetty.util.Callback.NOOP);
  }

  /** Answers with objects that come one after the other. */
  public ApiLines lines() throws IOException {
    begin(200, LINES);
    return new ApiLines(Content.Sink.asOutputStream(response));
  }

  private void begin(int status, String type) {
    answered = true;
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
    response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
  }
}
