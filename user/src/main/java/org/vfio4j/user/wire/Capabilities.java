// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

package org.vfio4j.user.wire;

import java.io.StringWriter;
import java.util.OptionalLong;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/**
 * What a side can do, as in the JSON of {@link Version}. What is absent was not named, and then has
 * the protocol's default.
 *
 * @param maxMsgFds descriptors that the sender takes with one message; default 1
 * @param maxDataXferSize bytes of data in one message; default 1 MiB
 * @param maxDmaMaps mappings at a time; default 65,535
 * @param pgsizes page sizes of mappings, or'ed; default 4 KiB
 * @param writeMultiple REGION_WRITE_MULTI is understood; default no
 */
public record Capabilities(
    OptionalLong maxMsgFds,
    OptionalLong maxDataXferSize,
    OptionalLong maxDmaMaps,
    OptionalLong pgsizes,
    boolean writeMultiple) {
  public static final long DEFAULT_MAX_MSG_FDS = 1;
  public static final long DEFAULT_MAX_DATA_XFER_SIZE = 1 << 20;
  public static final long DEFAULT_MAX_DMA_MAPS = 65_535;
  public static final long DEFAULT_PGSIZES = 4096;

  /** Nothing named. */
  public static final Capabilities NONE =
      new Capabilities(
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          false);

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(8)
                  .maxNumberLength(32)
                  .maxStringLength(4096)
                  .build())
          .build();

  /** All of it named. */
  public static Capabilities of(
      long maxMsgFds, long maxDataXferSize, long maxDmaMaps, long pgsizes, boolean writeMultiple) {
    return new Capabilities(
        OptionalLong.of(maxMsgFds),
        OptionalLong.of(maxDataXferSize),
        OptionalLong.of(maxDmaMaps),
        OptionalLong.of(pgsizes),
        writeMultiple);
  }

  /** What both sides can do, naming only what the proposal names, as the protocol asks. */
  public Capabilities answerTo(Capabilities proposed) {
    return new Capabilities(
        least(maxMsgFds, proposed.maxMsgFds),
        least(maxDataXferSize, proposed.maxDataXferSize),
        least(maxDmaMaps, proposed.maxDmaMaps),
        proposed.pgsizes.isEmpty()
            ? OptionalLong.empty()
            : OptionalLong.of(pgsizes.orElse(DEFAULT_PGSIZES) & proposed.pgsizes.getAsLong()),
        writeMultiple && proposed.writeMultiple);
  }

  private static OptionalLong least(OptionalLong ours, OptionalLong theirs) {
    if (ours.isEmpty() || theirs.isEmpty()) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(Math.min(ours.getAsLong(), theirs.getAsLong()));
  }

  /**
   * Reads the JSON. Names that are not known are skipped with all that is in them.
   *
   * @throws MessageException EINVAL if it is no JSON, or a value is of another type or below zero
   */
  public static Capabilities parse(String json) {
    Capabilities result = NONE;
    try (JsonParser parser = JSON.createParser(ObjectReadContext.empty(), json)) {
      require(parser.nextToken() == JsonToken.START_OBJECT, "the version data is no object");
      while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
        String name = parser.currentName();
        JsonToken value = parser.nextToken();
        if (name.equals("capabilities")) {
          require(value == JsonToken.START_OBJECT, "capabilities is no object");
          result = parseObject(parser);
        } else {
          parser.skipChildren();
        }
      }
      require(parser.nextToken() == null, "something follows the version data");
    } catch (JacksonException e) {
      throw new MessageException("the version data is no JSON: " + e.getOriginalMessage());
    }
    return result;
  }

  private static Capabilities parseObject(JsonParser parser) {
    OptionalLong maxMsgFds = OptionalLong.empty();
    OptionalLong maxDataXferSize = OptionalLong.empty();
    OptionalLong maxDmaMaps = OptionalLong.empty();
    OptionalLong pgsizes = OptionalLong.empty();
    boolean writeMultiple = false;
    while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
      String name = parser.currentName();
      parser.nextToken();
      switch (name) {
        case "max_msg_fds" -> maxMsgFds = OptionalLong.of(number(parser, name));
        case "max_data_xfer_size" -> maxDataXferSize = OptionalLong.of(number(parser, name));
        case "max_dma_maps" -> maxDmaMaps = OptionalLong.of(number(parser, name));
        case "pgsizes" -> pgsizes = OptionalLong.of(number(parser, name));
        case "write_multiple" -> writeMultiple = bool(parser, name);
        default -> parser.skipChildren();
      }
    }
    return new Capabilities(maxMsgFds, maxDataXferSize, maxDmaMaps, pgsizes, writeMultiple);
  }

  private static long number(JsonParser parser, String name) {
    require(parser.currentToken() == JsonToken.VALUE_NUMBER_INT, name + " is no whole number");
    long value = parser.getLongValue();
    require(value >= 0, name + " is below zero");
    return value;
  }

  private static boolean bool(JsonParser parser, String name) {
    JsonToken token = parser.currentToken();
    require(
        token == JsonToken.VALUE_TRUE || token == JsonToken.VALUE_FALSE,
        name + " is neither true nor false");
    return token == JsonToken.VALUE_TRUE;
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new MessageException(otherwise);
    }
  }

  /** As JSON; an empty object if nothing is named, so that it is no longer than any proposal. */
  public String toJson() {
    if (equals(NONE)) {
      return "{}";
    }
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(ObjectWriteContext.empty(), text)) {
      json.writeStartObject();
      json.writeObjectPropertyStart("capabilities");
      maxMsgFds.ifPresent(value -> json.writeNumberProperty("max_msg_fds", value));
      maxDataXferSize.ifPresent(value -> json.writeNumberProperty("max_data_xfer_size", value));
      maxDmaMaps.ifPresent(value -> json.writeNumberProperty("max_dma_maps", value));
      pgsizes.ifPresent(value -> json.writeNumberProperty("pgsizes", value));
      if (writeMultiple) {
        json.writeBooleanProperty("write_multiple", true);
      }
      json.writeEndObject();
      json.writeEndObject();
    }
    return text.toString();
  }
}
