// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Both ends of HTTP on a Unix socket. */
@Timeout(60)
class ApiServerTest {
  @TempDir private Path folder;

  private ApiServer start(ApiServer.Calls calls) throws IOException {
    return ApiServer.start(
        folder.resolve("api.sock"), PosixFilePermissions.fromString("rw-rw----"), calls);
  }

  @Test
  void shouldAnswerWhatWasAsked() throws Exception {
    try (ApiServer server =
            start(
                call ->
                    call.answer(
                        201,
                        "{\"asked\":\"%s %s %s by %s\"}"
                            .formatted(
                                call.method(), call.path(), call.body(), call.user().orElse("-"))));
        ApiClient client = ApiClient.of(server.path())) {
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(server.path())))
          .isEqualTo("rw-rw----");
      ApiClient.Answer answer =
          client.ask("POST", "/v1/vms/a%20lab/x+y", "{}", line -> true);
      assertThat(answer.status()).isEqualTo(201);
      assertThat(answer.json())
          .isEqualTo(
              "{\"asked\":\"POST [v1, vms, a lab, x+y] {} by %s\"}",
              System.getProperty("user.name"));
    }
    assertThat(folder).isEmptyDirectory();
  }

  /** Each object is there before the next is sent, and who wants no more ends it. */
  @Test
  void shouldSendEachObjectAtOnce() throws Exception {
    CountDownLatch seen = new CountDownLatch(1);
    AtomicReference<String> end = new AtomicReference<>("");
    CountDownLatch ended = new CountDownLatch(1);
    try (ApiServer server =
            start(
                call -> {
                  try (ApiLines lines = call.lines()) {
                    lines.send("{\"n\":1}");
                    seen.await();
                    while (true) {
                      lines.send("{\"n\":2}");
                    }
                  } catch (IOException gone) {
                    end.set("gone");
                    throw gone;
                  } finally {
                    ended.countDown();
                  }
                });
        ApiClient client = ApiClient.of(server.path())) {
      List<String> lines = new ArrayList<>();
      client.ask(
          "GET",
          "/v1/events",
          "",
          line -> {
            lines.add(line);
            seen.countDown();
            return lines.size() < 2;
          });
      assertThat(lines).containsExactly("{\"n\":1}", "{\"n\":2}");
      assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
      assertThat(end.get()).isEqualTo("gone");
    }
  }

  @Test
  void shouldTellThatNobodyAnswers() throws Exception {
    try (ApiClient client = ApiClient.of(folder.resolve("none.sock"))) {
      assertThatExceptionOfType(IOException.class)
          .isThrownBy(() -> client.ask("GET", "/v1/vms", "", line -> true));
    }
  }

  @Test
  void shouldReadNoMoreThanACallMayBring() throws Exception {
    try (ApiServer server =
            start(
                call -> {
                  try {
                    call.body();
                  } catch (ApiCall.TooLargeException e) {
                    call.answer(413, "{\"error\":\"%s\"}".formatted(e.getMessage()));
                  }
                });
        ApiClient client = ApiClient.of(server.path())) {
      ApiClient.Answer answer = client.ask("POST", "/", "x".repeat(ApiCall.MOST + 1), line -> true);
      assertThat(answer.status()).isEqualTo(413);
    }
  }

  @Test
  void shouldAnswerThoseAfterOneThatFailed() throws Exception {
    try (ApiServer server =
            start(
                call -> {
                  if (call.path().contains("bad")) {
                    throw new IllegalStateException("planted");
                  }
                  call.answer(200, "{}");
                });
        ApiClient client = ApiClient.of(server.path())) {
      assertThat(client.ask("GET", "/bad", "", line -> true).status()).isEqualTo(500);
      assertThat(client.ask("GET", "/good", "", line -> true).status()).isEqualTo(200);
    }
  }
}
