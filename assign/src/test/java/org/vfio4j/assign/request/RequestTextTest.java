// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vfio4j.assign.DeviceRequest;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.Sizes;
import org.vfio4j.assign.VmRequest;
import org.vfio4j.assign.request.RequestText.Form;
import org.vfio4j.host.HostSource;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;

/** Requests that people have already. */
class RequestTextTest {
  private static final String UUID = "f715f63c-0d00-4007-9c5a-b07b0c6c05de";
  private static final long GIB = 1L << 30;

  private static final HostTopology HOST =
      HostSource.parse(
              "small.json",
              "small",
              """
              {"vfio4j-capture":1,"name":"small","origin":"manual","functions":[
              {"address":"0000:01:00.0","header":"normal","driver":"nouveau","group":1},
              {"address":"0000:01:00.1","header":"normal","driver":"snd_hda_intel","group":1},
              {"address":"0000:02:00.0","header":"normal","driver":"igb","group":2}]}
              """
                  .getBytes(StandardCharsets.UTF_8))
          .getFirst();

  private static Request read(String name, Form form, String text) {
    RequestText found = RequestText.of(name, text);
    assertThat(found.form()).isEqualTo(form);
    assertThat(found.namesHost()).isEqualTo(form == Form.YAML);
    return found.read(HOST);
  }

  private static List<String> devices(VmRequest vm) {
    return vm.devices().stream().map(DeviceRequest::toString).toList();
  }

  @Test
  void shouldReadSeveralDomainsOfLibvirt() {
    Request request =
        read(
            "all.xml",
            Form.LIBVIRT,
            """
            <?xml version='1.0' encoding='UTF-8'?>
            <!-- virsh dumpxml -->
            <domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
              <name>win 10 &amp; more</name>
              <memory unit='KiB'>8388608</memory>
              <currentMemory unit='KiB'>4194304</currentMemory>
              <memoryBacking><locked/></memoryBacking>
              <memtune><hard_limit unit='G'>9</hard_limit></memtune>
              <devices>
                <iommu model='intel'><driver intremap='on'/></iommu>
                <disk type='file'><address type='pci' domain='0' bus='0x09' slot='0' function='0'/></disk>
                <interface type='network'><source network='x'/>
                  <address type='pci' domain='0x0000' bus='0x0a' slot='0x00' function='0x0'/></interface>
                <interface type='hostdev' managed='yes'><source>
                  <address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></source></interface>
                <hostdev mode='subsystem' type='pci' managed='yes'>
                  <source>
                    <address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>
                  </source>
                  <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>
                </hostdev>
                <hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>
              </devices>
            </domain>
            <?xml version='1.0'?>
            <domain><name>two</name><memory unit='GiB'>1</memory><devices>
              <hostdev mode='subsystem' type='mdev' model='vfio-pci'>
                <source><address uuid='%s'/></source></hostdev>
            </devices></domain>
            """
                .formatted(UUID));
    VmRequest win = request.vms().getFirst();
    assertThat(win.name()).isEqualTo("win 10 & more");
    assertThat(win.memory()).contains(8 * GIB);
    assertThat(win.memlock()).contains(9 * GIB);
    assertThat(win.viommu()).isTrue();
    assertThat(devices(win)).containsExactly("0000:02:00.0", "0000:01:00.1");
    assertThat(win.devices().getLast().at().orElseThrow().line()).isEqualTo(18);
    VmRequest two = request.vms().getLast();
    assertThat(two.memory()).contains(GIB);
    assertThat(two.memlock()).isEmpty();
    assertThat(devices(two)).containsExactly("mdev " + UUID);
  }

  /** Nothing outside the text is read for it. */
  @Test
  void shouldNotReadWhatAnEntityNames() {
    String text =
        "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><domain><name>&x;</name></domain>";
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> RequestText.of("x.xml", text).read(HOST));
  }

  @Test
  void shouldReadAProxmoxVmWithoutItsSnapshots() {
    Request request =
        read(
            "/etc/pve/qemu-server/100.conf",
            Form.PROXMOX,
            """
            #a remark
            cores: 4
            hostpci0: 01:00,pcie=1,x-vga=1
            hostpci1: mapping=nic,pcie=1
            hostpci2: host=0000:02:00.0,rombar=0
            hostpci3: 0000:03:00.0;0000:03:00.1
            hostpci4: 0000:04:00.0,mdev=nvidia-63
            machine: pc-q35-8.1,viommu=virtio
            memory: 4096
            [snapshot]
            hostpci0: 0000:09:00.0
            memory: 1
            """);
    VmRequest vm = request.vms().getFirst();
    assertThat(vm.name()).isEqualTo("100");
    assertThat(vm.memory()).contains(4 * GIB);
    assertThat(vm.viommu()).isTrue();
    assertThat(devices(vm))
        .containsExactly(
            "0000:01:00.0",
            "0000:01:00.1",
            "0000:02:00.0",
            "0000:03:00.0",
            "0000:03:00.1",
            "emulated 0000:04:00.0");
    assertThat(vm.devices().getLast().type()).contains("nvidia-63");
    assertThat(request.leftOut()).hasSize(1);
    assertThat(request.leftOut().getFirst().toString()).contains("hostpci1", "mapping=nic");
  }

  @Test
  void shouldReadAScriptThatStartsQemu() {
    Request request =
        read(
            "start.sh",
            Form.QEMU,
            """
            #!/bin/sh
            exec qemu-system-x86_64 \\
              -name "guest=q one,debug-threads=on" \\
              -m size=4G,maxmem=8G \\
              -device intel-iommu,intremap=on \\
              -device vfio-pci,host=01:00.0,id=x \\
              -device '{"driver":"vfio-pci","host":"0000:02:00.0","id":"hostdev0"}' \\
              -device vfio-pci,sysfsdev=/sys/bus/mdev/devices/%s \\
              -device e1000e \\
              -nographic
            """
                .formatted(UUID));
    VmRequest vm = request.vms().getFirst();
    assertThat(request.vms()).hasSize(1);
    assertThat(vm.name()).isEqualTo("q one");
    assertThat(vm.memory()).contains(4 * GIB);
    assertThat(vm.viommu()).isTrue();
    assertThat(devices(vm)).containsExactly("0000:01:00.0", "0000:02:00.0", "mdev " + UUID);
  }

  @Test
  void shouldReadWhatPsShows() {
    Request request =
        read(
            "ps.txt",
            Form.QEMU,
            """
             4242 ? Sl 3:02 /usr/bin/kvm -id 100 -m 2048 -device vfio-pci,host=0000:01:00.0 -daemonize
            root 9 /usr/bin/qemu-system-x86_64 -name guest=b -m 1G -device {"driver":"vfio-pci","host":"0000:02:00.0"}
            """);
    assertThat(request.vms()).extracting(VmRequest::name).containsExactly("100", "b");
    assertThat(request.vms().getFirst().memory()).contains(2 * GIB);
    assertThat(devices(request.vms().getLast())).containsExactly("0000:02:00.0");
  }

  @Test
  void shouldReadWhatStartsCloudHypervisor() {
    VmRequest vm =
        read(
                "ch.sh",
                Form.CLOUD_HYPERVISOR,
                "cloud-hypervisor --memory size=4G,hugepages=on --device"
                    + " path=/sys/bus/pci/devices/0000:01:00.0/,iommu=on"
                    + " path=/sys/bus/pci/devices/0000:02:00.0 --net tap=\n")
            .vms()
            .getFirst();
    assertThat(vm.name()).isEqualTo("ch");
    assertThat(vm.viommu()).isTrue();
    assertThat(vm.memory()).contains(4 * GIB);
    assertThat(devices(vm)).containsExactly("0000:01:00.0", "0000:02:00.0");
    VmRequest json =
        read(
                "vm.json",
                Form.CLOUD_HYPERVISOR_JSON,
                "{\"memory\":{\"size\":4294967296},\"devices\":[{\"path\":"
                    + " \"/sys/bus/pci/devices/0000:01:00.0\",\"iommu\":false}]}")
            .vms()
            .getFirst();
    assertThat(json.memory()).contains(4 * GIB);
    assertThat(json.viommu()).isFalse();
    assertThat(devices(json)).containsExactly("0000:01:00.0");
  }

  @Test
  void shouldTakeSeveralTextsForSeveralVms() {
    Request request =
        RequestText.together(
            List.of(
                read("a.conf", Form.PROXMOX, "cores: 1\nhostpci0: 01:00.0\n"),
                read("b.conf", Form.PROXMOX, "cores: 1\nhostpci0: mapping=x\n")));
    assertThat(request.vms()).extracting(VmRequest::name).containsExactly("a", "b");
    assertThat(request.leftOut()).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "<domain><name>a</name>",
        "<domain><name>a</name><memory>lots</memory></domain>",
        "<domain><name>a</name><memory unit='furlongs'>1</memory></domain>",
        "<html/>",
        "qemu-system-x86_64 -m banana -device vfio-pci,host=01:00.0",
        "qemu-system-x86_64 -device vfio-pci,host=wrong",
        "qemu-system-x86_64 -device '{\"driver\":\"vfio-pci\"",
        "cores: 1\nhostpci0: nonsense",
        "cores: 1\nmemory: -5",
        "cloud-hypervisor --memory size=x --device path=/sys/bus/pci/devices/0000:01:00.0",
        "{\"devices\":[{\"path\": \"/sys/bus/pci/devices/0000:01:00.0\"}, 5]}",
      })
  void shouldRefuseInOneLineWithItsPlace(String text) {
    assertThatExceptionOfType(BadInputException.class)
        .isThrownBy(() -> RequestText.of("x", text).read(HOST))
        .satisfies(e -> assertThat(e.getMessage()).startsWith("x").doesNotContain("\n"));
  }

  /** What is written is read as the same request. */
  @Test
  void shouldReadWhatItWrites() {
    VmRequest vm =
        VmRequest.of(
                "a <b>, c",
                DeviceRequest.whole("0000:01:00.0"),
                DeviceRequest.mdev(java.util.UUID.fromString(UUID)))
            .withMemory(4 * GIB)
            .withViommu(true);
    Request request = Request.of(vm);
    for (Written written : List.of(Written.QEMU, Written.LIBVIRT)) {
      String text = written.text(request, HOST);
      VmRequest read = RequestText.of("x", text).read(HOST).vms().getFirst();
      assertThat(read).as(text).isEqualTo(vm);
    }
    Request whole = Request.of(vm.with(List.of(DeviceRequest.whole("0000:01:00.0"))));
    String proxmox = Written.PROXMOX.text(whole, HOST);
    assertThat(proxmox)
        .isEqualTo(
            "# a <b>, c\nmemory: 4096\nmachine: q35,viommu=intel\nhostpci0: 0000:01:00.0,pcie=1\n");
    assertThat(RequestText.of("x", proxmox).read(HOST).vms().getFirst().named("a <b>, c"))
        .isEqualTo(whole.vms().getFirst());
  }

  @ParameterizedTest
  @CsvSource({
    "4GiB, 4294967296",
    "4G, 4294967296",
    "4 GB, 4294967296",
    "4096M, 4294967296",
    "3.5GiB, 3758096384",
    "4294967296, 4294967296",
    "1t, 1099511627776",
    "512 KiB, 524288"
  })
  void shouldReadSizesAsPeopleWriteThem(String text, long bytes) {
    assertThat(Sizes.parse(text)).contains(bytes);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "lots", "-1", "4X", "0.3", "99999999TiB", "1e9", "4GiB "})
  void shouldReadNoSizeWhereNoneIs(String text) {
    assertThat(Sizes.parse(text).isPresent()).isEqualTo(text.equals("4GiB "));
  }
}
