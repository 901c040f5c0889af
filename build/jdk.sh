# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# For the scripts of this folder: sets JAVA_HOME to a JDK 25 or newer and lets Maven itself run on it.
# Javadoc's plugin reads module descriptors with Maven's own JDK, so an older one does not do.

is_jdk25() {
  [[ -x $1/bin/java && -x $1/bin/javac ]] || return 1
  local version
  version=$(sed -n 's/^JAVA_VERSION="\{0,1\}\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null)
  [[ ${version:-0} -ge 25 ]]
}

use_jdk25() {
  local jdk
  for jdk in "${JAVA_HOME:-}" {/usr/lib/jvm,/usr/java,/opt,"$HOME/.jdks"}/*; do
    if [[ -n $jdk ]] && is_jdk25 "$jdk"; then
      export JAVA_HOME=$jdk PATH=$jdk/bin:$PATH
      # Maven 3.8 uses what this JDK warns of.
      export MAVEN_OPTS="${MAVEN_OPTS:-} --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED"
      return
    fi
  done
  echo "needs a JDK 25 or newer: point JAVA_HOME at one" >&2
  return 2
}
