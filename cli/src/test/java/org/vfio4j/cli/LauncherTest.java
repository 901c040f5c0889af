// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code ./vfio} says where it cannot start: one line, with what to do. */
class LauncherTest {
  @TempDir Path folder;

  /** Runs a copy of the script that needs this version of Java. */
  private String run(String needed) throws IOException, InterruptedException {
    String script = Files.readString(Ran.ROOT.resolve("vfio"));
    assertThat(script).contains("\nneeded=25\n");
    Path copy =
        Files.writeString(
            folder.resolve("vfio"), script.replace("\nneeded=25\n", "\nneeded=" + needed + "\n"));
    Files.createDirectories(folder.resolve("dist"));
    Path launch = folder.resolve("dist/launch.sh");
    if (!Files.exists(launch)) {
      Files.copy(Ran.ROOT.resolve("dist/launch.sh"), launch);
    }
    ProcessBuilder command =
        new ProcessBuilder("/bin/sh", copy.toString(), "--version").redirectErrorStream(true);
    command.environment().put("JAVA_HOME", System.getProperty("java.home"));
    Process process = command.start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isEqualTo(Main.BAD_INPUT);
    assertThat(said.lines()).hasSize(1);
    return said;
  }

  @Test
  void shouldSayWhichJavaItFoundAndHowToHaveTheOther() throws Exception {
    assertThat(run("99"))
        .startsWith("vfio: needs a JDK 99 or newer, found ")
        .contains(System.getProperty("java.home") + " (" + Runtime.version().feature() + ")")
        .containsAnyOf("apt install", "adoptium.net", "dnf install", "pacman -S")
        .contains("JAVA_HOME");
  }

  @Test
  void shouldSayThatItsFolderCannotBeWritten() throws Exception {
    Files.createFile(folder.resolve("cli"));
    assertThat(run("25"))
        .startsWith("vfio: has to be built")
        .contains(folder + "/cli/target cannot be written");
  }
}
