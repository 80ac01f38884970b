// SPDX-License-Identifier: Apache-2.0
//
// The messages inside a profile: mappings, functions, locations, samples. Private to decode.c and
// decode_parts.c. Each function takes one field of the profile and returns 0, -EINVAL when its
// bytes or references are wrong, -ENOMEM or -EOVERFLOW.

#ifndef OH_PROFILE_DECODE_PARTS_H
#define OH_PROFILE_DECODE_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "profile/model.h"
#include "profile/pprof.h"
#include "profile/wire.h"

// Sample types that a file may have.
enum { OH_DECODE_VALUES_MAX = 32 };

struct oh_decode_array {
    void *items;
    size_t count;
    size_t room;
};

// What a file's id became in the model.
struct oh_decode_id {
    uint64_t id;
    uint32_t index;
};

struct oh_decoder {
    const char *name;
    struct oh_wire whole;
    struct oh_profile *profile;
    struct oh_decode_array strings;  // uint32_t: the file's string table in the model.
    struct oh_decode_array mappings; // struct oh_decode_id, sorted when complete.
    struct oh_decode_array functions;
    struct oh_decode_array locations;
    struct oh_decode_array lines;         // struct oh_profile_line: of the location being decoded.
    struct oh_decode_array places;        // uint32_t: the locations of the sample being decoded.
    int64_t values[OH_DECODE_VALUES_MAX]; // Its values, in the file's order.
    int value_count;
    int64_t means[OH_PPROF_MEANS]; // Its own, 0: none.
    int type_count;
    int value_place[OH_VALUE_COUNT]; // Which of the file's values it is, -1: none.
};

typedef int oh_decode_field_fn(struct oh_decoder *d, const struct oh_wire_field *field);

// Room for one more item of this size, zeroed; NULL without memory.
void *oh_decode_push(struct oh_decode_array *array, size_t size);
void oh_decode_sort_ids(struct oh_decode_array *ids);
// The model's string for an index of the file's table.
int oh_decode_string(const struct oh_decoder *d, uint64_t index, uint32_t *string);

oh_decode_field_fn oh_decode_mapping;
oh_decode_field_fn oh_decode_function;
oh_decode_field_fn oh_decode_location;
oh_decode_field_fn oh_decode_sample;

void oh_decoder_fini(struct oh_decoder *d);

#endif
