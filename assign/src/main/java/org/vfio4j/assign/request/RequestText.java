// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.assign.request;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.vfio4j.assign.Request;
import org.vfio4j.assign.RequestReader;
import org.vfio4j.host.HostTopology;
import org.vfio4j.host.input.BadInputException;

/**
 * A text that says which VM gets which devices, in whatever form.
 *
 * @param source the file, as the user named it
 * @param text all of it
 * @param form which form it is
 */
public record RequestText(String source, String text, Form form) {
  /** The forms. */
  public enum Form {
    /** Our own, which names its host. */
    YAML,
    /** Domain XML of libvirt, one domain or several. */
    LIBVIRT,
    /** The configuration of a Proxmox VM. */
    PROXMOX,
    /** Command lines of QEMU, as in a script or in the output of ps. */
    QEMU,
    /** Command lines of cloud-hypervisor. */
    CLOUD_HYPERVISOR,
    /** The configuration of cloud-hypervisor as JSON. */
    CLOUD_HYPERVISOR_JSON
  }

  private static final Pattern OWN = Pattern.compile("(?m)^\\s*\\{?\\s*\"?vms\"?\\s*:");
  private static final Pattern PROXMOX_LINE =
      Pattern.compile("(?m)^(hostpci[0-9]+|bootdisk|scsihw|vmgenid|ostype|smbios1|cores): ");
  private static final Pattern HYPERVISOR =
      Pattern.compile("(?m)(^|[\\s/])cloud-hypervisor(\\s|$)|--device\\s+path=");
  private static final Pattern QEMU_WORD =
      Pattern.compile(
          "(?m)(^|[\\s/])(qemu-system-[a-z0-9_]+|qemu-kvm|kvm)(\\s|$)|(^|\\s)-device\\s+\\S*vfio-pci");
  private static final Pattern PATHS = Pattern.compile("\"path\"\\s*:\\s*\"/sys/bus/");

  /** A text whose form is found by what it says, not by the file's name. */
  public static RequestText of(String source, String text) {
    if (text.length() > RequestReader.MAX_CHARACTERS) {
      throw new BadInputException(source, 0, "", "too large for a request");
    }
    String plain = text.startsWith("\ufeff") ? text.substring(1) : text;
    return new RequestText(source, plain, formOf(plain));
  }

  private static Form formOf(String text) {
    String start = text.stripLeading();
    if (start.startsWith("<")) {
      return Form.LIBVIRT;
    }
    if (OWN.matcher(text).find()) {
      return Form.YAML;
    }
    if (start.startsWith("{") && PATHS.matcher(text).find()) {
      return Form.CLOUD_HYPERVISOR_JSON;
    }
    if (PROXMOX_LINE.matcher(text).find()) {
      return Form.PROXMOX;
    }
    if (HYPERVISOR.matcher(text).find()) {
      return Form.CLOUD_HYPERVISOR;
    }
    return QEMU_WORD.matcher(text).find() ? Form.QEMU : Form.YAML;
  }

  /** Whether the text names its host itself. */
  public boolean namesHost() {
    return form == Form.YAML;
  }

  /**
   * The request.
   *
   * @param host the host, for what names a device without its functions; a text in YAML does not
   *     ask for it
   * @throws BadInputException at the first thing that cannot be meant
   */
  public Request read(HostTopology host) {
    return switch (form) {
      case YAML -> RequestReader.read(source, text);
      case LIBVIRT -> LibvirtDomains.read(source, text);
      case PROXMOX -> ProxmoxConfiguration.read(source, text, name(), host);
      case QEMU -> QemuCommandLines.read(source, text, name());
      case CLOUD_HYPERVISOR -> CloudHypervisor.readCommandLines(source, text, name());
      case CLOUD_HYPERVISOR_JSON -> CloudHypervisor.readConfiguration(source, text, name());
    };
  }

  /** The VMs of several texts as one request, in their order; the first that runs is the first. */
  public static Request together(List<Request> requests) {
    Request first = requests.getFirst();
    return requests.size() == 1
        ? first
        : first
            .with(requests.stream().flatMap(r -> r.vms().stream()).toList())
            .leavingOut(requests.stream().flatMap(r -> r.leftOut().stream()).toList());
  }

  /** What a VM is called whose text does not say: the file's name without what follows a dot. */
  private String name() {
    Path last = Path.of(source).getFileName();
    String file = last == null ? "vm" : last.toString();
    int dot = file.indexOf('.');
    String name = (dot > 0 ? file.substring(0, dot) : file).replace('#', '_').strip();
    return name.isEmpty() || name.equals("-") ? "vm" : name;
  }
}
