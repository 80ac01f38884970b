// SPDX-License-Identifier: Apache-2.0
//
// See pprof.h. A first pass over the samples gives every entry that is used its id; a second one
// writes. A message is put together in memory, because its length stands before it, and then goes
// out through a buffer. The string table comes last: by then all its users are known.

#include "profile/pprof.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    WIRE_TYPE_BITS = 3,
    VARINT_MAX_BYTES = 10,
    OUT_BYTES = 64 << 10,
    MESSAGE_FIRST_BYTES = 4 << 10,
};

static const char bytes_label[] = "bytes";
static const char period_type_name[] = "space";

// The bytes of a message; an arena that is full makes it failed, which is seen at the end.
struct message {
    struct oh_arena *arena;
    uint8_t *data;
    size_t size;
    size_t room;
    bool failed;
};

// Which entries of an array of the profile are written, in the order of their ids: order[id - 1].
struct numbering {
    uint32_t *ids; // By index; 0: not used.
    uint32_t *order;
    uint32_t count;
};

struct encoder {
    struct oh_profile *profile;
    oh_sink_fn *sink;
    void *arg;
    uint8_t *out;
    size_t out_size;
    int error; // The first one; nothing is written after it.
    struct numbering mappings, locations, functions, strings;
    bool *used; // By a location's index: whether a sample has it.
    struct message outer, inner;
    uint32_t value_names[OH_VALUE_COUNT], value_units[OH_VALUE_COUNT];
    uint32_t label_keys[OH_LABEL_COUNT];
    uint32_t bytes_key, period_name, bytes_unit;
    uint32_t mean_keys[OH_PPROF_MEANS];
};

const char *oh_pprof_value_name(enum oh_profile_value value)
{
    static const char *const names[OH_VALUE_COUNT] = {"alloc_objects", "alloc_space",
                                                      "inuse_objects", "inuse_space"};
    return names[value];
}

const char *oh_pprof_value_unit(enum oh_profile_value value)
{
    bool counts = value == OH_VALUE_ALLOC_OBJECTS || value == OH_VALUE_INUSE_OBJECTS;
    return counts ? "count" : "bytes";
}

const char *oh_pprof_label_key(enum oh_profile_label label)
{
    static const char *const keys[OH_LABEL_COUNT] = {"heap", "kind", "phase", "init_package"};
    return keys[label];
}

const struct oh_pprof_mean *oh_pprof_mean(int i)
{
    static const struct oh_pprof_mean means[OH_PPROF_MEANS] = {
        {"alloc_mean", OH_VALUE_ALLOC_OBJECTS, OH_VALUE_ALLOC_SPACE},
        {"inuse_mean", OH_VALUE_INUSE_OBJECTS, OH_VALUE_INUSE_SPACE},
    };
    return &means[i];
}

static uint8_t *extend(struct message *message, size_t bytes)
{
    if (message->room - message->size < bytes) {
        size_t room = message->room == 0 ? MESSAGE_FIRST_BYTES : message->room * 2;
        while (room - message->size < bytes)
            room *= 2;
        uint8_t *data = oh_arena_alloc(message->arena, room, 1);
        if (data == NULL) {
            message->failed = true;
            return NULL;
        }
        if (message->size != 0)
            memcpy(data, message->data, message->size);
        message->data = data;
        message->room = room;
    }
    uint8_t *at = message->data + message->size;
    message->size += bytes;
    return at;
}

static size_t encode_varint(uint64_t value, uint8_t out[VARINT_MAX_BYTES])
{
    size_t bytes = 0;
    while (value >= 0x80) {
        out[bytes++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[bytes++] = (uint8_t)value;
    return bytes;
}

static void add_bytes(struct message *message, const void *data, size_t size)
{
    uint8_t *at = extend(message, size);
    if (at != NULL && size != 0)
        memcpy(at, data, size);
}

static void add_varint(struct message *message, uint64_t value)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    add_bytes(message, bytes, encode_varint(value, bytes));
}

static void add_key(struct message *message, unsigned field, unsigned wire_type)
{
    add_varint(message, (uint64_t)field << WIRE_TYPE_BITS | wire_type);
}

// As proto3 does: a value of 0 is not written.
static void add_number(struct message *message, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    add_key(message, field, WIRE_VARINT);
    add_varint(message, value);
}

static void add_message(struct message *message, unsigned field, const struct message *inner)
{
    add_key(message, field, WIRE_BYTES);
    add_varint(message, inner->size);
    add_bytes(message, inner->data, inner->size);
    message->failed |= inner->failed;
}

static void flush(struct encoder *encoder)
{
    if (encoder->error == 0 && encoder->out_size != 0)
        encoder->error = encoder->sink(encoder->arg, encoder->out, encoder->out_size);
    encoder->out_size = 0;
}

static void put(struct encoder *encoder, const void *data, size_t size)
{
    if (size > OUT_BYTES - encoder->out_size)
        flush(encoder);
    if (size > OUT_BYTES && encoder->error == 0)
        encoder->error = encoder->sink(encoder->arg, data, size);
    else if (size <= OUT_BYTES && size != 0) {
        memcpy(encoder->out + encoder->out_size, data, size);
        encoder->out_size += size;
    }
}

// Writes a field of the profile itself.
static void put_field(struct encoder *encoder, unsigned field, const void *data, size_t size)
{
    uint8_t head[2 * VARINT_MAX_BYTES];
    size_t bytes = encode_varint((uint64_t)field << WIRE_TYPE_BITS | WIRE_BYTES, head);
    bytes += encode_varint(size, head + bytes);
    put(encoder, head, bytes);
    put(encoder, data, size);
}

static void put_number(struct encoder *encoder, unsigned field, uint64_t value)
{
    uint8_t bytes[2 * VARINT_MAX_BYTES];
    if (value == 0)
        return;
    size_t size = encode_varint((uint64_t)field << WIRE_TYPE_BITS | WIRE_VARINT, bytes);
    size += encode_varint(value, bytes + size);
    put(encoder, bytes, size);
}

static struct message *begin(struct message *message)
{
    message->size = 0;
    return message;
}

static void put_message(struct encoder *encoder, unsigned field)
{
    if (encoder->outer.failed && encoder->error == 0)
        encoder->error = -ENOMEM;
    if (encoder->error == 0)
        put_field(encoder, field, encoder->outer.data, encoder->outer.size);
}

static bool init_numbering(struct numbering *numbering, struct oh_arena *arena, uint32_t count)
{
    numbering->ids = oh_arena_array(arena, count, sizeof *numbering->ids, _Alignof(uint32_t));
    numbering->order = oh_arena_array(arena, count, sizeof *numbering->order, _Alignof(uint32_t));
    return numbering->ids != NULL && numbering->order != NULL;
}

// True when the entry had no id yet.
static bool number(struct numbering *numbering, uint32_t index)
{
    if (numbering->ids[index] != 0)
        return false;
    numbering->order[numbering->count++] = index;
    numbering->ids[index] = numbering->count;
    return true;
}

// The place of a string in the table, where "" stands first.
static uint64_t text(struct encoder *encoder, uint32_t string)
{
    (void)number(&encoder->strings, string);
    return encoder->strings.ids[string] - 1;
}

static int intern_word(struct oh_profile *profile, const char *word, uint32_t *string)
{
    return oh_profile_intern_string(profile, word, strlen(word), string);
}

static int intern_words(struct encoder *encoder)
{
    struct oh_profile *profile = encoder->profile;
    int rc = 0;
    for (int i = 0; i < OH_VALUE_COUNT && rc == 0; i++) {
        rc = intern_word(profile, oh_pprof_value_name((enum oh_profile_value)i),
                         &encoder->value_names[i]);
        if (rc == 0)
            rc = intern_word(profile, oh_pprof_value_unit((enum oh_profile_value)i),
                             &encoder->value_units[i]);
    }
    for (int i = 0; i < OH_LABEL_COUNT && rc == 0; i++)
        rc = intern_word(profile, oh_pprof_label_key((enum oh_profile_label)i),
                         &encoder->label_keys[i]);
    if (rc == 0)
        rc = intern_word(profile, bytes_label, &encoder->bytes_key);
    if (rc == 0)
        rc = intern_word(profile, period_type_name, &encoder->period_name);
    if (rc == 0)
        rc = intern_word(profile, oh_pprof_value_unit(OH_VALUE_ALLOC_SPACE), &encoder->bytes_unit);
    for (int i = 0; i < OH_PPROF_MEANS && rc == 0; i++)
        rc = intern_word(profile, oh_pprof_mean(i)->key, &encoder->mean_keys[i]);
    return rc;
}

static void number_location(struct encoder *encoder, uint32_t index)
{
    const struct oh_profile_location *location = &encoder->profile->locations[index];
    (void)number(&encoder->locations, index);
    if (location->mapping != OH_PROFILE_NONE)
        (void)number(&encoder->mappings, location->mapping);
    for (uint32_t i = 0; i < location->line_count; i++)
        (void)number(&encoder->functions, location->lines[i].function);
}

// Locations are numbered as they are stored, not as the samples use them: what is then written is
// read in the order in which it was made, and neighbours in it, which are alike, compress better.
static void number_entries(struct encoder *encoder)
{
    const struct oh_profile *profile = encoder->profile;
    (void)number(&encoder->strings, 0);
    if (profile->mapping_count != 0)
        (void)number(&encoder->mappings, 0);
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        const struct oh_profile_sample *sample = &profile->samples[i];
        for (uint32_t j = 0; j < sample->depth; j++)
            encoder->used[sample->locations[j]] = true;
    }
    for (uint32_t i = 0; i < profile->location_count; i++) {
        if (encoder->used[i])
            number_location(encoder, i);
    }
}

static int init_encoder(struct encoder *encoder, struct oh_profile *profile, oh_sink_fn *sink,
                        void *arg)
{
    struct oh_arena *arena = profile->arena;
    *encoder = (struct encoder){.profile = profile, .sink = sink, .arg = arg};
    encoder->outer.arena = arena;
    encoder->inner.arena = arena;
    int rc = intern_words(encoder);
    if (rc != 0)
        return rc;
    encoder->out = oh_arena_alloc(arena, OUT_BYTES, 1);
    encoder->used = oh_arena_alloc(arena, profile->location_count, 1);
    bool done = encoder->out != NULL && encoder->used != NULL &&
                init_numbering(&encoder->mappings, arena, profile->mapping_count) &&
                init_numbering(&encoder->locations, arena, profile->location_count) &&
                init_numbering(&encoder->functions, arena, profile->function_count) &&
                init_numbering(&encoder->strings, arena, profile->string_count);
    return done ? 0 : -ENOMEM;
}

static void put_value_type(struct encoder *encoder, unsigned field, uint32_t name, uint32_t unit)
{
    struct message *message = begin(&encoder->outer);
    add_number(message, OH_PPROF_VALUE_TYPE, text(encoder, name));
    add_number(message, OH_PPROF_VALUE_UNIT, text(encoder, unit));
    put_message(encoder, field);
}

static void put_types(struct encoder *encoder)
{
    const struct oh_profile *profile = encoder->profile;
    for (int i = 0; i < OH_VALUE_COUNT; i++)
        put_value_type(encoder, OH_PPROF_SAMPLE_TYPE, encoder->value_names[i],
                       encoder->value_units[i]);
    put_value_type(encoder, OH_PPROF_PERIOD_TYPE, encoder->period_name, encoder->bytes_unit);
    put_number(encoder, OH_PPROF_PERIOD, (uint64_t)profile->period);
    put_number(encoder, OH_PPROF_TIME_NANOS, (uint64_t)profile->time_ns);
    put_number(encoder, OH_PPROF_DURATION_NANOS, (uint64_t)profile->duration_ns);
    put_number(encoder, OH_PPROF_DEFAULT_SAMPLE_TYPE, text(encoder, profile->default_type));
    put_number(encoder, OH_PPROF_DOC_URL, text(encoder, profile->doc_url));
}

// Nothing for a value of 0.
static void add_number_label(struct encoder *encoder, uint32_t key, int64_t value, uint32_t unit)
{
    if (value == 0)
        return;
    struct message *label = begin(&encoder->inner);
    add_number(label, OH_PPROF_LABEL_KEY, text(encoder, key));
    add_number(label, OH_PPROF_LABEL_NUM, (uint64_t)value);
    if (unit != 0)
        add_number(label, OH_PPROF_LABEL_NUM_UNIT, text(encoder, unit));
    add_message(&encoder->outer, OH_PPROF_SAMPLE_LABEL, label);
}

static void add_labels(struct encoder *encoder, const struct oh_profile_sample *sample)
{
    for (int i = 0; i < OH_LABEL_COUNT; i++) {
        if (sample->labels[i] == 0)
            continue;
        struct message *label = begin(&encoder->inner);
        add_number(label, OH_PPROF_LABEL_KEY, text(encoder, encoder->label_keys[i]));
        add_number(label, OH_PPROF_LABEL_STR, text(encoder, sample->labels[i]));
        add_message(&encoder->outer, OH_PPROF_SAMPLE_LABEL, label);
    }
    // pprof takes the unit of a label that is called bytes to be bytes.
    add_number_label(encoder, encoder->bytes_key, oh_profile_block_bytes(sample), 0);
    for (int i = 0; i < OH_PPROF_MEANS && encoder->profile->has_means; i++) {
        const struct oh_pprof_mean *mean = oh_pprof_mean(i);
        add_number_label(encoder, encoder->mean_keys[i],
                         oh_profile_mean(sample, mean->space, mean->objects), encoder->bytes_unit);
    }
}

static void put_sample(struct encoder *encoder, const struct oh_profile_sample *sample)
{
    (void)begin(&encoder->outer);
    struct message *packed = begin(&encoder->inner);
    for (uint32_t i = 0; i < sample->depth; i++)
        add_varint(packed, encoder->locations.ids[sample->locations[i]]);
    add_message(&encoder->outer, OH_PPROF_SAMPLE_LOCATION_ID, packed);
    packed = begin(&encoder->inner);
    for (int i = 0; i < OH_VALUE_COUNT; i++)
        add_varint(packed, (uint64_t)sample->values[i]);
    add_message(&encoder->outer, OH_PPROF_SAMPLE_VALUE, packed);
    add_labels(encoder, sample);
    put_message(encoder, OH_PPROF_SAMPLE);
}

static void put_mapping(struct encoder *encoder, uint32_t id)
{
    const struct oh_profile_mapping *mapping =
        &encoder->profile->mappings[encoder->mappings.order[id - 1]];
    struct message *message = begin(&encoder->outer);
    add_number(message, OH_PPROF_MAPPING_ID, id);
    add_number(message, OH_PPROF_MAPPING_START, mapping->start);
    add_number(message, OH_PPROF_MAPPING_LIMIT, mapping->limit);
    add_number(message, OH_PPROF_MAPPING_OFFSET, mapping->offset);
    add_number(message, OH_PPROF_MAPPING_FILE, text(encoder, mapping->file));
    add_number(message, OH_PPROF_MAPPING_BUILD_ID, text(encoder, mapping->build_id));
    add_number(message, OH_PPROF_MAPPING_HAS_FUNCTIONS, true);
    add_number(message, OH_PPROF_MAPPING_HAS_FILES, true);
    add_number(message, OH_PPROF_MAPPING_HAS_LINES, true);
    add_number(message, OH_PPROF_MAPPING_HAS_INLINES, true);
    put_message(encoder, OH_PPROF_MAPPING);
}

static void put_location(struct encoder *encoder, uint32_t id)
{
    const struct oh_profile_location *location =
        &encoder->profile->locations[encoder->locations.order[id - 1]];
    struct message *message = begin(&encoder->outer);
    add_number(message, OH_PPROF_LOCATION_ID, id);
    if (location->mapping != OH_PROFILE_NONE)
        add_number(message, OH_PPROF_LOCATION_MAPPING_ID, encoder->mappings.ids[location->mapping]);
    add_number(message, OH_PPROF_LOCATION_ADDRESS, location->address);
    for (uint32_t i = 0; i < location->line_count; i++) {
        struct message *line = begin(&encoder->inner);
        add_number(line, OH_PPROF_LINE_FUNCTION_ID,
                   encoder->functions.ids[location->lines[i].function]);
        add_number(line, OH_PPROF_LINE_LINE, location->lines[i].line);
        add_message(message, OH_PPROF_LOCATION_LINE, line);
    }
    put_message(encoder, OH_PPROF_LOCATION);
}

static void put_function(struct encoder *encoder, uint32_t id)
{
    const struct oh_profile_function *function =
        &encoder->profile->functions[encoder->functions.order[id - 1]];
    struct message *message = begin(&encoder->outer);
    add_number(message, OH_PPROF_FUNCTION_ID, id);
    add_number(message, OH_PPROF_FUNCTION_NAME, text(encoder, function->name));
    add_number(message, OH_PPROF_FUNCTION_SYSTEM_NAME, text(encoder, function->system_name));
    add_number(message, OH_PPROF_FUNCTION_FILE, text(encoder, function->file));
    add_number(message, OH_PPROF_FUNCTION_START_LINE, function->start_line);
    put_message(encoder, OH_PPROF_FUNCTION);
}

static void put_comments(struct encoder *encoder)
{
    const struct oh_profile *profile = encoder->profile;
    struct message *packed = begin(&encoder->outer);
    for (uint32_t i = 0; i < profile->comment_count; i++)
        add_varint(packed, text(encoder, profile->comments[i]));
    if (profile->comment_count != 0)
        put_message(encoder, OH_PPROF_COMMENT);
}

static void put_strings(struct encoder *encoder)
{
    for (uint32_t i = 0; i < encoder->strings.count; i++) {
        const struct oh_profile_string *string =
            &encoder->profile->strings[encoder->strings.order[i]];
        put_field(encoder, OH_PPROF_STRING_TABLE, string->data, string->length);
    }
}

int oh_pprof_write_raw(struct oh_profile *profile, oh_sink_fn *sink, void *arg)
{
    struct encoder encoder;
    int rc = init_encoder(&encoder, profile, sink, arg);
    if (rc != 0)
        return rc;
    number_entries(&encoder);
    put_types(&encoder);
    for (uint32_t i = 0; i < profile->sample_count && encoder.error == 0; i++)
        put_sample(&encoder, &profile->samples[i]);
    for (uint32_t id = 1; id <= encoder.mappings.count; id++)
        put_mapping(&encoder, id);
    for (uint32_t id = 1; id <= encoder.locations.count && encoder.error == 0; id++)
        put_location(&encoder, id);
    for (uint32_t id = 1; id <= encoder.functions.count && encoder.error == 0; id++)
        put_function(&encoder, id);
    put_comments(&encoder);
    put_strings(&encoder);
    flush(&encoder);
    return encoder.error;
}

static int write_gzip(void *gzip, const void *data, size_t size)
{
    return oh_gzip_write(gzip, data, size);
}

int oh_pprof_write(struct oh_profile *profile, oh_sink_fn *sink, void *arg)
{
    struct oh_gzip *gzip;
    int rc = oh_gzip_open(&gzip, profile->arena, sink, arg);
    if (rc != 0)
        return rc;
    rc = oh_pprof_write_raw(profile, write_gzip, gzip);
    return rc != 0 ? rc : oh_gzip_close(gzip);
}
