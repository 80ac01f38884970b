// SPDX-License-Identifier: Apache-2.0
//
// Reads a pprof heap profile into the model. The fields of a protobuf may stand in any order, so
// the file is gone through several times: texts, then mappings and functions, locations, samples.

#include "profile/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "profile/decode_parts.h"
#include "profile/gunzip.h"
#include "profile/pprof.h"

enum { OH_DECODE_FILE_MAX = 1 << 30 };

static int each_field(struct oh_decoder *d, uint32_t number, oh_decode_field_fn *fn)
{
    struct oh_wire wire = d->whole;
    struct oh_wire_field field;
    int result = 0;
    while (result == 0 && oh_wire_next(&wire, &field)) {
        if (field.number == number) {
            result = fn(d, &field);
        }
    }
    return result == 0 && wire.is_bad ? -EINVAL : result;
}

static int decode_string(struct oh_decoder *d, const struct oh_wire_field *field)
{
    if (field->type != OH_WIRE_BYTES) {
        return -EINVAL;
    }
    uint32_t *const string = oh_decode_push(&d->strings, sizeof *string);
    if (string == NULL) {
        return -ENOMEM;
    }
    return oh_profile_intern_string(d->profile, (const char *)field->bytes.at,
                                    oh_wire_left(&field->bytes), string);
}

static int decode_value_type(struct oh_decoder *d, const struct oh_wire_field *field)
{
    uint64_t type = 0;
    struct oh_wire wire = field->bytes;
    struct oh_wire_field part;
    while (oh_wire_next(&wire, &part)) {
        if (part.number == OH_PPROF_VALUE_TYPE) {
            type = part.value;
        }
    }
    uint32_t text = 0;
    if (wire.is_bad || oh_decode_string(d, type, &text) < 0 ||
        d->type_count == OH_DECODE_VALUES_MAX) {
        return -EINVAL;
    }
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        if (strcmp(oh_profile_text(d->profile, text), oh_pprof_value_name(i)) == 0) {
            d->value_place[i] = d->type_count;
        }
    }
    d->type_count++;
    return 0;
}

static int decode_comment(struct oh_decoder *d, const struct oh_wire_field *field)
{
    struct oh_wire packed = field->bytes;
    uint64_t value = field->value;
    bool more = field->type != OH_WIRE_BYTES || oh_wire_next_varint(&packed, &value);
    while (more) {
        uint32_t text = 0;
        int result = oh_decode_string(d, value, &text);
        if (result == 0) {
            const struct oh_profile_string *const s = &d->profile->strings[text];
            result = oh_profile_add_comment(d->profile, s->data, s->length);
        }
        if (result < 0) {
            return result;
        }
        more = field->type == OH_WIRE_BYTES && oh_wire_next_varint(&packed, &value);
    }
    return packed.is_bad ? -EINVAL : 0;
}

// The numbers that stand alone.
static int decode_scalars(struct oh_decoder *d)
{
    struct oh_wire wire = d->whole;
    struct oh_wire_field field;
    while (oh_wire_next(&wire, &field)) {
        int result = 0;
        switch (field.number) {
        case OH_PPROF_TIME_NANOS: d->profile->time_ns = (int64_t)field.value; break;
        case OH_PPROF_DURATION_NANOS: d->profile->duration_ns = (int64_t)field.value; break;
        case OH_PPROF_PERIOD: d->profile->period = (int64_t)field.value; break;
        case OH_PPROF_DEFAULT_SAMPLE_TYPE:
            result = oh_decode_string(d, field.value, &d->profile->default_type);
            break;
        case OH_PPROF_DOC_URL:
            result = oh_decode_string(d, field.value, &d->profile->doc_url);
            break;
        default: break;
        }
        if (result < 0) {
            return result;
        }
    }
    return wire.is_bad ? -EINVAL : 0;
}

static int refuse_types(const struct oh_decoder *d, struct oh_err *err)
{
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        if (d->value_place[i] < 0) {
            return oh_err_set(err, -EINVAL,
                              "%s is not a heap profile: it has no sample type %s (%d sample "
                              "types)\ntry: a profile of offheap, or of Go's /debug/pprof/heap",
                              d->name, oh_pprof_value_name(i), d->type_count);
        }
    }
    return 0;
}

double oh_decode_object_variance(double objects, double space, double period)
{
    if (objects <= 0 || space <= 0 || period <= 1) {
        return 0;
    }
    const double taken = -expm1(-(space / objects) / period);
    return objects * (1 / taken - 1);
}

typedef int oh_decode_pass_fn(struct oh_decoder *d);

static int pass_strings(struct oh_decoder *d)
{
    return each_field(d, OH_PPROF_STRING_TABLE, decode_string);
}

static int pass_types(struct oh_decoder *d)
{
    return each_field(d, OH_PPROF_SAMPLE_TYPE, decode_value_type);
}

static int pass_comments(struct oh_decoder *d)
{
    return each_field(d, OH_PPROF_COMMENT, decode_comment);
}

static int pass_mappings(struct oh_decoder *d)
{
    const int result = each_field(d, OH_PPROF_MAPPING, oh_decode_mapping);
    oh_decode_sort_ids(&d->mappings);
    return result;
}

static int pass_functions(struct oh_decoder *d)
{
    const int result = each_field(d, OH_PPROF_FUNCTION, oh_decode_function);
    oh_decode_sort_ids(&d->functions);
    return result;
}

static int pass_locations(struct oh_decoder *d)
{
    const int result = each_field(d, OH_PPROF_LOCATION, oh_decode_location);
    oh_decode_sort_ids(&d->locations);
    return result;
}

static int pass_samples(struct oh_decoder *d)
{
    return each_field(d, OH_PPROF_SAMPLE, oh_decode_sample);
}

struct oh_decode_pass {
    const char *what;
    oh_decode_pass_fn *run;
};

static int decode_all(struct oh_decoder *d, struct oh_err *err)
{
    static const struct oh_decode_pass passes[] = {
        {"the string table", pass_strings}, {"the sample types", pass_types},
        {"the fields", decode_scalars},     {"the comments", pass_comments},
        {"the mappings", pass_mappings},    {"the functions", pass_functions},
        {"the locations", pass_locations},  {"the samples", pass_samples},
    };
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        int result = passes[i].run(d);
        if (result == -ENOMEM || result == -EOVERFLOW) {
            return oh_err_no_memory(err);
        }
        if (result < 0) {
            return oh_err_set(err, -EINVAL,
                              "%s is not a pprof profile, or a damaged one: %s cannot be read\n"
                              "try: copy the file again; `go tool pprof -raw` shows what is in it",
                              d->name, passes[i].what);
        }
        if (passes[i].run == pass_types) {
            result = refuse_types(d, err);
            if (result < 0) {
                return result;
            }
        }
    }
    return 0;
}

int oh_decode_profile(const char *name, const void *data, size_t len, struct oh_arena *arena,
                      struct oh_profile *profile, struct oh_err *err)
{
    uint8_t *unpacked = NULL;
    const uint8_t *bytes = data;
    if (len == 0) {
        return oh_err_set(err, -EINVAL, "%s is empty, so it is not a profile", name);
    }
    if (oh_gunzip_is_gzip(data, len)) {
        const int result = oh_gunzip(data, len, OH_DECODE_FILE_MAX, &unpacked, &len);
        if (result < 0) {
            return oh_err_set(err, result, "%s is a gzip file that cannot be unpacked: %s", name,
                              result == -EINVAL ? "it is damaged or cut short" : strerror(-result));
        }
        bytes = unpacked;
    }
    struct oh_decoder d = {.name = name, .profile = profile, .value_place = {-1, -1, -1, -1}};
    d.whole = (struct oh_wire){.at = bytes, .end = bytes + len};
    int result = oh_profile_init(profile, arena);
    result = result < 0 ? oh_err_no_memory(err) : decode_all(&d, err);
    oh_decoder_fini(&d);
    free(unpacked);
    return result;
}

int oh_decode_file(const char *path, struct oh_arena *arena, struct oh_profile *profile,
                   struct oh_err *err)
{
    char *data = NULL;
    size_t len = 0;
    int result = oh_file_read(path, OH_DECODE_FILE_MAX, &data, &len);
    if (result < 0) {
        return oh_err_set(err, result, "cannot read %s: %s", path, strerror(-result));
    }
    result = oh_decode_profile(path, data, len, arena, profile, err);
    free(data);
    return result;
}
