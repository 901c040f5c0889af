// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.linux.testing;

import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** What the IOMMU of this machine tells its operator during a test; the console stays quiet. */
public final class OperatorLog implements BeforeEachCallback, AfterEachCallback {
  private final Logger log = Logger.getLogger("org.vfio4j.linux.iommu");
  private final List<LogRecord> entries = new ArrayList<>();
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord entry) {
          entries.add(entry);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @Override
  public void beforeEach(ExtensionContext context) {
    log.setUseParentHandlers(false);
    log.addHandler(handler);
  }

  @Override
  public void afterEach(ExtensionContext context) {
    log.removeHandler(handler);
    log.setUseParentHandlers(true);
  }

  /** The levels of what was told. */
  public List<Level> levels() {
    return entries.stream().map(LogRecord::getLevel).toList();
  }

  /** Whether something was told that an operator should act on. */
  public boolean warned() {
    return levels().stream().anyMatch(l -> l.intValue() >= Level.WARNING.intValue());
  }

  /** Forgets what was told. */
  public void clear() {
    entries.clear();
  }
}
