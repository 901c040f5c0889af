// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

/**
 * HTTP and JSON on a Unix socket: {@link org.vfio4j.api.ApiServer} answers, {@link
 * org.vfio4j.api.ApiClient} asks. What a call means is its handler's. Everything that is sent is a
 * JSON object, or objects with a line each as something goes on.
 *
 * {@snippet :
 * var permissions = java.nio.file.attribute.PosixFilePermissions.fromString("rw-rw----");
 * Path socket = Path.of("/run/my/api.sock");
 * try (ApiServer server =
 *         ApiServer.start(socket, permissions, call -> call.answer(200, "{\"vms\":[]}"));
 *     ApiClient client = ApiClient.of(server.path())) {
 *   System.out.println(client.ask("GET", "/v1/vms", "", line -> true).json());
 * }
 * }
 */
@NullMarked
package org.vfio4j.api;

import org.jspecify.annotations.NullMarked;
