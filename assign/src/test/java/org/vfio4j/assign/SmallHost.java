// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;

/** A host of a few functions, of which a test says only what matters to it. */
final class SmallHost {
  private final List<String> functions = new ArrayList<>();
  private final List<String> groups = new ArrayList<>();
  private String iommu = "\"interruptRemapping\":true,\"addressWidth\":48";
  private String roles =
      "\"bootDisk\":[],\"managementNetwork\":[],\"console\":[],\"storage\":[],\"network\":[]";
  private String mdevs = "";

  /** An endpoint; further facts as JSON properties. */
  SmallHost function(String address, int group, String driver, String... more) {
    String extra = more.length == 0 ? "" : "," + String.join(",", more);
    functions.add(
        """
        {"address":"%s","id":"8086:1521","class":"020000","header":"normal","driver":%s,"group":%d,\
        "physfn":null,"parent":null%s}\
        """
            .formatted(address, driver.equals("none") ? "null" : '"' + driver + '"', group, extra));
    return this;
  }

  /** An endpoint exactly as the JSON says. */
  SmallHost raw(String json) {
    functions.add(json);
    return this;
  }

  /** A group's reserved regions beside the MSI window: {@code start, last, type} each. */
  SmallHost reserved(int group, String... regions) {
    StringBuilder list =
        new StringBuilder("{\"start\":\"0xfee00000\",\"last\":\"0xfeefffff\",\"type\":\"msi\"}");
    for (int i = 0; i < regions.length; i += 3) {
      list.append(
          ",{\"start\":\"%s\",\"last\":\"%s\",\"type\":\"%s\"}"
              .formatted(regions[i], regions[i + 1], regions[i + 2]));
    }
    groups.add("{\"id\":%d,\"reserved\":[%s]}".formatted(group, list));
    return this;
  }

  SmallHost iommu(String json) {
    iommu = json;
    return this;
  }

  SmallHost roles(String json) {
    roles = json;
    return this;
  }

  /** Parents and mediated devices, as JSON properties of the capture. */
  SmallHost mdevs(String json) {
    mdevs = "," + json;
    return this;
  }

  HostTopology build() {
    String json =
        """
        {"vfio4j-capture":1,"name":"small","origin":"manual","iommu":{%s},"roles":{%s},
        "functions":[%s],"groups":[%s]%s}
        """
            .formatted(
                iommu, roles, String.join(",\n", functions), String.join(",\n", groups), mdevs);
    return HostSource.parse("small.json", "small", json.getBytes(StandardCharsets.UTF_8))
        .getFirst();
  }
}
