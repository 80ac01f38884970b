// SPDX-License-Identifier: Apache-2.0
//
// The messages inside a profile.

#include "profile/decode_parts.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "profile/decode.h"
#include "profile/pprof.h"
#include "profile/ranges.h"

void *oh_decode_push(struct oh_decode_array *array, size_t size)
{
    if (array->count == array->room) {
        const size_t room = array->room == 0 ? 64 : array->room * 2;
        void *const larger = reallocarray(array->items, room, size);
        if (larger == NULL) {
            return NULL;
        }
        array->items = larger;
        array->room = room;
    }
    void *const item = (char *)array->items + array->count * size;
    memset(item, 0, size);
    array->count++;
    return item;
}

static int compare_ids(const void *a, const void *b)
{
    const struct oh_decode_id *const x = a;
    const struct oh_decode_id *const y = b;
    return (x->id > y->id) - (x->id < y->id);
}

void oh_decode_sort_ids(struct oh_decode_array *ids)
{
    if (ids->count > 1) {
        qsort(ids->items, ids->count, sizeof(struct oh_decode_id), compare_ids);
    }
}

static int find_id(const struct oh_decode_array *ids, uint64_t id, uint32_t *index)
{
    const struct oh_decode_id key = {.id = id};
    const struct oh_decode_id *found = NULL;
    if (ids->count > 0) {
        found = bsearch(&key, ids->items, ids->count, sizeof key, compare_ids);
    }
    if (found == NULL) {
        return -EINVAL;
    }
    *index = found->index;
    return 0;
}

static int add_id(struct oh_decode_array *ids, uint64_t id, uint32_t index)
{
    struct oh_decode_id *const entry = oh_decode_push(ids, sizeof *entry);
    if (entry == NULL) {
        return -ENOMEM;
    }
    *entry = (struct oh_decode_id){.id = id, .index = index};
    return 0;
}

int oh_decode_string(const struct oh_decoder *d, uint64_t index, uint32_t *string)
{
    if (index >= d->strings.count) {
        return -EINVAL;
    }
    *string = ((const uint32_t *)d->strings.items)[index];
    return 0;
}

int oh_decode_mapping(struct oh_decoder *d, const struct oh_wire_field *field)
{
    struct oh_profile_mapping mapping = {0};
    uint64_t id = 0;
    int result = 0;
    struct oh_wire wire = field->bytes;
    struct oh_wire_field part;
    while (result == 0 && oh_wire_next(&wire, &part)) {
        switch (part.number) {
        case OH_PPROF_MAPPING_ID: id = part.value; break;
        case OH_PPROF_MAPPING_START: mapping.start = part.value; break;
        case OH_PPROF_MAPPING_LIMIT: mapping.limit = part.value; break;
        case OH_PPROF_MAPPING_OFFSET: mapping.offset = part.value; break;
        case OH_PPROF_MAPPING_FILE: result = oh_decode_string(d, part.value, &mapping.file); break;
        case OH_PPROF_MAPPING_BUILD_ID:
            result = oh_decode_string(d, part.value, &mapping.build_id);
            break;
        default: break;
        }
    }
    uint32_t index = 0;
    if (result == 0) {
        result = wire.is_bad ? -EINVAL : oh_profile_intern_mapping(d->profile, &mapping, &index);
    }
    return result < 0 ? result : add_id(&d->mappings, id, index);
}

int oh_decode_function(struct oh_decoder *d, const struct oh_wire_field *field)
{
    struct oh_profile_function function = {0};
    uint64_t id = 0;
    int result = 0;
    struct oh_wire wire = field->bytes;
    struct oh_wire_field part;
    while (result == 0 && oh_wire_next(&wire, &part)) {
        switch (part.number) {
        case OH_PPROF_FUNCTION_ID: id = part.value; break;
        case OH_PPROF_FUNCTION_NAME:
            result = oh_decode_string(d, part.value, &function.name);
            break;
        case OH_PPROF_FUNCTION_SYSTEM_NAME:
            result = oh_decode_string(d, part.value, &function.system_name);
            break;
        case OH_PPROF_FUNCTION_FILE:
            result = oh_decode_string(d, part.value, &function.file);
            break;
        case OH_PPROF_FUNCTION_START_LINE: function.start_line = (uint32_t)part.value; break;
        default: break;
        }
    }
    uint32_t index = 0;
    if (result == 0) {
        result = wire.is_bad ? -EINVAL : oh_profile_intern_function(d->profile, &function, &index);
    }
    return result < 0 ? result : add_id(&d->functions, id, index);
}

static int decode_line(struct oh_decoder *d, struct oh_wire wire)
{
    struct oh_profile_line line = {0};
    uint64_t function = 0;
    struct oh_wire_field part;
    while (oh_wire_next(&wire, &part)) {
        if (part.number == OH_PPROF_LINE_FUNCTION_ID) {
            function = part.value;
        } else if (part.number == OH_PPROF_LINE_LINE) {
            line.line = (uint32_t)part.value;
        }
    }
    if (wire.is_bad) {
        return -EINVAL;
    }
    const int result = find_id(&d->functions, function, &line.function);
    struct oh_profile_line *const place = oh_decode_push(&d->lines, sizeof *place);
    if (place == NULL) {
        return -ENOMEM;
    }
    *place = line;
    return result;
}

// A location that its writer could not name: "[lib.so]", as our own profiles have it.
static int add_nameless_line(struct oh_decoder *d, const struct oh_profile_location *location)
{
    const char *file = "unknown";
    if (location->mapping != OH_PROFILE_NONE) {
        const uint32_t name = d->profile->mappings[location->mapping].file;
        file = oh_path_base(oh_profile_text(d->profile, name));
    }
    char text[512];
    const int len = snprintf(text, sizeof text, "[%s]", file);
    struct oh_profile_function function = {0};
    struct oh_profile_line *const line = oh_decode_push(&d->lines, sizeof *line);
    if (line == NULL || len < 0) {
        return -ENOMEM;
    }
    const size_t used = (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    const int result = oh_profile_intern_string(d->profile, text, used, &function.name);
    function.system_name = function.name;
    return result < 0 ? result : oh_profile_intern_function(d->profile, &function, &line->function);
}

int oh_decode_location(struct oh_decoder *d, const struct oh_wire_field *field)
{
    struct oh_profile_location location = {.mapping = OH_PROFILE_NONE};
    uint64_t id = 0;
    int result = 0;
    d->lines.count = 0;
    struct oh_wire wire = field->bytes;
    struct oh_wire_field part;
    while (result == 0 && oh_wire_next(&wire, &part)) {
        switch (part.number) {
        case OH_PPROF_LOCATION_ID: id = part.value; break;
        case OH_PPROF_LOCATION_MAPPING_ID:
            // 0: it belongs to no mapping.
            result = part.value == 0 ? 0 : find_id(&d->mappings, part.value, &location.mapping);
            break;
        case OH_PPROF_LOCATION_ADDRESS: location.address = part.value; break;
        case OH_PPROF_LOCATION_LINE: result = decode_line(d, part.bytes); break;
        default: break;
        }
    }
    if (result == 0 && d->lines.count == 0) {
        result = add_nameless_line(d, &location);
    }
    location.lines = d->lines.items;
    location.line_count = (uint32_t)d->lines.count;
    uint32_t index = 0;
    if (result == 0) {
        result = wire.is_bad ? -EINVAL : oh_profile_intern_location(d->profile, &location, &index);
    }
    return result < 0 ? result : add_id(&d->locations, id, index);
}

static int decode_label(struct oh_decoder *d, struct oh_wire wire, struct oh_profile_sample *sample)
{
    uint32_t key = 0;
    uint32_t text = 0;
    int64_t number = 0;
    int result = 0;
    struct oh_wire_field part;
    while (result == 0 && oh_wire_next(&wire, &part)) {
        if (part.number == OH_PPROF_LABEL_KEY) {
            result = oh_decode_string(d, part.value, &key);
        } else if (part.number == OH_PPROF_LABEL_STR) {
            result = oh_decode_string(d, part.value, &text);
        } else if (part.number == OH_PPROF_LABEL_NUM) {
            number = (int64_t)part.value;
        }
    }
    if (result < 0 || wire.is_bad) {
        return -EINVAL;
    }
    for (int i = 0; i < OH_LABEL_COUNT; i++) {
        if (strcmp(oh_profile_text(d->profile, key), oh_pprof_label_key(i)) == 0) {
            sample->labels[i] = text;
        }
    }
    for (int i = 0; i < OH_PPROF_MEANS; i++) {
        if (strcmp(oh_profile_text(d->profile, key), oh_pprof_mean(i)->key) == 0) {
            d->means[i] = number;
        }
    }
    return 0;
}

static int add_sample_location(struct oh_decoder *d, uint64_t id)
{
    uint32_t *const place = oh_decode_push(&d->places, sizeof *place);
    return place == NULL ? -ENOMEM : find_id(&d->locations, id, place);
}

// A repeated number: packed, or one by one.
typedef int oh_decode_number_fn(struct oh_decoder *d, uint64_t value);

static int each_number(struct oh_decoder *d, const struct oh_wire_field *field,
                       oh_decode_number_fn *fn)
{
    if (field->type != OH_WIRE_BYTES) {
        return fn(d, field->value);
    }
    struct oh_wire packed = field->bytes;
    uint64_t value = 0;
    int result = 0;
    while (result == 0 && oh_wire_next_varint(&packed, &value)) {
        result = fn(d, value);
    }
    return result == 0 && packed.is_bad ? -EINVAL : result;
}

static int add_value(struct oh_decoder *d, uint64_t value)
{
    if (d->value_count == OH_DECODE_VALUES_MAX) {
        return -EINVAL;
    }
    d->values[d->value_count++] = (int64_t)value;
    return 0;
}

// What is mapped is never sampled.
static bool is_of_maps(const struct oh_decoder *d, const struct oh_profile_sample *sample)
{
    const char *const kind = oh_profile_text(d->profile, sample->labels[OH_LABEL_KIND]);
    for (uint8_t k = OH_KIND_MMAP; k < OH_KIND_COUNT; k++) {
        if (strcmp(kind, oh_kind_name(k)) == 0) {
            return true;
        }
    }
    return false;
}

static void set_values(const struct oh_decoder *d, struct oh_profile_sample *sample)
{
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        sample->values[i] = d->values[d->value_place[i]];
    }
    if (is_of_maps(d, sample)) {
        return;
    }
    for (int i = 0; i < OH_PPROF_MEANS; i++) {
        const struct oh_pprof_mean *const pair = oh_pprof_mean(i);
        const double objects = fabs((double)sample->values[pair->objects]);
        const double space = fabs((double)sample->values[pair->space]);
        const int64_t mean = d->means[i] > 0 ? d->means[i] : d->profile->period;
        const double variance = oh_decode_object_variance(objects, space, (double)mean);
        const double size = objects > 0 ? space / objects : 0;
        sample->variances[pair->objects] = variance;
        sample->variances[pair->space] = variance * size * size;
        d->profile->has_means |= d->means[i] > 0;
    }
}

int oh_decode_sample(struct oh_decoder *d, const struct oh_wire_field *field)
{
    struct oh_profile_sample sample = {0};
    int result = 0;
    d->places.count = 0;
    d->value_count = 0;
    memset(d->means, 0, sizeof d->means);
    struct oh_wire wire = field->bytes;
    struct oh_wire_field part;
    while (result == 0 && oh_wire_next(&wire, &part)) {
        switch (part.number) {
        case OH_PPROF_SAMPLE_LOCATION_ID:
            result = each_number(d, &part, add_sample_location);
            break;
        case OH_PPROF_SAMPLE_VALUE: result = each_number(d, &part, add_value); break;
        case OH_PPROF_SAMPLE_LABEL: result = decode_label(d, part.bytes, &sample); break;
        default: break;
        }
    }
    if (result < 0) {
        return result;
    }
    if (wire.is_bad || d->value_count != d->type_count) {
        return -EINVAL;
    }
    set_values(d, &sample);
    sample.locations = d->places.items;
    sample.depth = (uint32_t)d->places.count;
    uint32_t index = 0;
    return oh_profile_add_sample(d->profile, &sample, &index);
}

void oh_decoder_fini(struct oh_decoder *d)
{
    free(d->strings.items);
    free(d->mappings.items);
    free(d->functions.items);
    free(d->locations.items);
    free(d->lines.items);
    free(d->places.items);
}
