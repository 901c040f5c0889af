// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package consumer;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.vfio4j.assign.Check;
import org.vfio4j.assign.DeviceRefusal;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.DeviceVerdict;
import org.vfio4j.assign.Fix;
import org.vfio4j.assign.Options;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RunningVm;
import org.vfio4j.assign.Verdict;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;

/** Asks whether two VMs can have the devices they are to get. Argument: the capture of a host. */
final class CheckAssignment {
  public static void main(String[] arguments) throws IOException {
    // @start region="readme"
    HostTopology host = HostSource.read(Path.of(arguments[0])).getFirst(); // or HostSource.live()
    VmRequest web =
        VmRequest.of(
            "web", DeviceRequest.whole("0000:05:00.0"), DeviceRequest.whole("0000:7f:14.2"));
    VmRequest metrics = VmRequest.of("metrics", DeviceRequest.whole("0000:7f:14.1"));
    RunningVm running = RunningVm.holding("db", "0000:04:00.0"); // forty of them, if need be
    Request request = Request.of(web.withMemory(4L << 30), metrics).beside(List.of(running));
    Verdict verdict = Check.verdict(request, host, Options.DEFAULT);
    System.out.println(verdict.admitted() ? "admitted" : "refused");
    for (DeviceVerdict device : verdict.devices().filter(DeviceVerdict::refused).toList()) {
      DeviceRefusal refusal = device.refusal().orElseThrow();
      System.out.println(refusal.message());
      for (Fix fix : refusal.fixes()) {
        Fix.Changed then = fix.apply(request, host); // ask again with it, or do as the fix says
        System.out.println(fix.sentence() + ", for " + then.request().vms().size() + " VMs");
      }
    }
    // @end
  }
}
