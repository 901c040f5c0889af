# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The class path of the suites: classes and test classes of the modules, what they depend on, and
# JUnit's console launcher. Classes are put into jars: looking for each class in folders of the host
# costs the guest more than reading it.

# Modules whose tests or commands run in the guest.
bench_modules() {
  local module
  for module in core posix linux replay user broker host assign api cli; do
    [[ ! -f $root/$module/pom.xml ]] || echo "$module"
  done
}

# Whether the class path was written after the last change of a source.
is_fresh() {
  local module sources=("$root/pom.xml" "$bench/pom.xml")
  [[ -s $1 ]] || return 1
  for module in $(bench_modules); do
    [[ -d $root/$module/target/test-classes ]] || return 1
    sources+=("$root/$module/pom.xml" "$root/$module/src")
  done
  [[ -z $(find "${sources[@]}" -newer "$1" -print -quit) ]]
}

# Packs a folder of classes; prints the jar.
jar_of() {
  local jar=$bench/target/lib/$1-$2.jar
  "$jdk/bin/jar" --create --file "$jar" -C "$root/$1/target/$2" .
  echo "$jar"
}

# What the guest's JVMs need not load and link once more: there a start costs ten seconds, and a third less with it.
loaded_classes() {
  "$jdk/bin/java" -XX:AOTCacheOutput="$1" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED \
    -cp "$2" org.vfio4j.cli.Training "$root/examples" >"$1.log" 2>&1 || rm -f "$1"
}

# Compiles what changed; sets $classpath.
prepare_classpath() {
  local file=$bench/target/classpath started module
  mkdir -p "$bench/target/lib"
  if ! is_fresh "$file"; then
    command -v mvn >/dev/null || die "needs Maven 3.8 or newer"
    started=$(mktemp "$bench/target/started.XXXXXX")
    (
      # Each by its own status: the shell does not stop at an error where somebody looks at it.
      cd "$root" && JAVA_HOME=$jdk mvn -q -B -pl "$(bench_modules | paste -sd,)" -am -Dformat.skip=true \
        -Dmdep.outputFile=target/kernel-bench.classpath \
        test-compile org.apache.maven.plugins:maven-dependency-plugin:build-classpath &&
        JAVA_HOME=$jdk mvn -q -B -f kernel-bench/pom.xml -Dmdep.outputFile=target/console.classpath \
          -DincludeGroupIds=org.junit.platform,org.opentest4j.reporting \
          org.apache.maven.plugins:maven-dependency-plugin:build-classpath
    ) >"$bench/target/maven.log" 2>&1 || {
      tail -n 20 "$bench/target/maven.log" >&2
      die "the classes of the suites cannot be built; above, the end of kernel-bench/target/maven.log"
    }
    {
      for module in $(bench_modules | tac); do
        jar_of "$module" test-classes
        jar_of "$module" classes
      done
      for module in $(bench_modules); do
        tr ':' '\n' <"$root/$module/target/kernel-bench.classpath"
        echo
      done
      tr ':' '\n' <"$bench/target/console.classpath"
      # The libraries' log goes where their tests look for it, and not where the command wants it. Of our own modules the
      # jars are there already.
    } | awk 'NF && !seen[$0]++ && !/slf4j-jdk-platform-logging/ && /[.]jar$/' | paste -sd: >"$started.path"
    loaded_classes "$bench/target/lib/classes.aot" "$(<"$started.path")"
    touch -r "$started" "$started.path"
    mv "$started.path" "$file"
    rm -f "$started"
  fi
  classpath=$(<"$file")
}
