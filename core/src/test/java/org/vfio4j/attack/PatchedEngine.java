// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.attack;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.jspecify.annotations.Nullable;
import org.vfio4j.testing.WatchedIommu;

/**
 * The engine from its source, with a defect in it, compiled in memory and loaded beside the real
 * one.
 */
final class PatchedEngine {
  private PatchedEngine() {}

  /** All main sources by path; the module's declaration is left out. */
  static Map<String, String> sources(Path folder) {
    Map<String, String> sources = new LinkedHashMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).sorted().toList()) {
        String path = folder.relativize(file).toString().replace('\\', '/');
        if (!path.equals("module-info.java")) {
          sources.put(path, Files.readString(file));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return sources;
  }

  /** The attacker's class of that name, loaded so that it sees the engine made of these sources. */
  static Function<String, String> load(Map<String, String> sources, Class<?> detector) {
    Loader loader = new Loader(compile(sources));
    try {
      var constructor = loader.loadClass(detector.getName()).getDeclaredConstructor();
      constructor.setAccessible(true);
      @SuppressWarnings("unchecked")
      Function<String, String> made = (Function<String, String>) constructor.newInstance();
      return made;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Map<String, byte[]> compile(Map<String, String> sources) {
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    List<JavaFileObject> units =
        sources.entrySet().stream()
            .<JavaFileObject>map(e -> new Source(e.getKey(), e.getValue()))
            .toList();
    StringWriter messages = new StringWriter();
    List<String> options =
        List.of("-proc:none", "-nowarn", "-cp", locationOf(Nullable.class).toString());
    try (Classes classes = new Classes(compiler.getStandardFileManager(null, null, null))) {
      if (!compiler.getTask(messages, classes, null, options, null, units).call()) {
        throw new IllegalStateException("the patched source does not compile:\n" + messages);
      }
      return classes.bytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path locationOf(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static final class Source extends SimpleJavaFileObject {
    private final String text;

    Source(String path, String text) {
      super(URI.create("string:///" + path), Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }

  private static final class Compiled extends SimpleJavaFileObject {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Compiled(String name) {
      super(URI.create("mem:///" + name.replace('.', '/') + ".class"), Kind.CLASS);
    }

    @Override
    public OutputStream openOutputStream() {
      return bytes;
    }
  }

  private static final class Classes extends ForwardingJavaFileManager<JavaFileManager> {
    private final Map<String, Compiled> compiled = new LinkedHashMap<>();

    Classes(JavaFileManager real) {
      super(real);
    }

    @Override
    public JavaFileObject getJavaFileForOutput(
        Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
      return compiled.computeIfAbsent(name, Compiled::new);
    }

    Map<String, byte[]> bytes() {
      Map<String, byte[]> bytes = new LinkedHashMap<>();
      compiled.forEach((name, file) -> bytes.put(name, file.bytes.toByteArray()));
      return bytes;
    }
  }

  /** Has the patched engine, and copies of the attacker's classes that are bound to it. */
  private static final class Loader extends ClassLoader {
    private static final Set<String> ATTACKER =
        Set.of(PatchedEngine.class.getPackageName(), WatchedIommu.class.getPackageName());

    private final Map<String, byte[]> engine;

    Loader(Map<String, byte[]> engine) {
      super(ClassLoader.getPlatformClassLoader());
      this.engine = engine;
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
      byte[] bytes = engine.get(name);
      if (bytes == null) {
        bytes = attacker(name);
      }
      return defineClass(name, bytes, 0, bytes.length);
    }

    private static String packageOf(String name) {
      return name.substring(0, name.lastIndexOf('.'));
    }

    private static byte[] attacker(String name) throws ClassNotFoundException {
      String path = "/" + name.replace('.', '/') + ".class";
      try (InputStream in = PatchedEngine.class.getResourceAsStream(path)) {
        if (in == null || !ATTACKER.contains(packageOf(name))) {
          throw new ClassNotFoundException(name);
        }
        return in.readAllBytes();
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
  }
}
