// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package consumer;

import java.io.IOException;
import java.nio.file.Path;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RequestReader;
import org.vfio4j.assign.Verdict;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;

/** Asks whether two VMs can have the devices they are to get. Argument: the capture of a host. */
final class CheckAssignment {
  public static void main(String[] arguments) throws IOException {
    // @start region="readme"
    HostTopology host = HostSource.read(Path.of(arguments[0])).getFirst(); // or HostSource.live()
    Request request =
        RequestReader.read(
            "the request",
            """
            host: linux
            vms:
              web: {memory: 4GiB, devices: [0000:05:00.0, 0000:7f:14.2]}
              metrics: {devices: [0000:7f:14.1]}
            """);
    Verdict verdict = Check.verdict(request, host, Options.DEFAULT);
    System.out.println(verdict.admitted() ? "admitted" : "refused");
    verdict
        .devices()
        .flatMap(device -> device.refusal().stream())
        .forEach(refusal -> System.out.println(refusal.message() + " " + refusal.fixes()));
    // @end
  }
}
