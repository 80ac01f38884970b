// SPDX-License-Identifier: Apache-2.0
//
// A profile as bytes of google/pprof's profile.proto, written field by field: a varint and a
// length are all there is to the encoding. Only what samples refer to is written; ids are dense
// and in order of appearance, as strict readers ask. Every mapping says that it is symbolized.
//
// Scratch memory is the arena's of the profile. One thread at a time. Host-safe.
//
// Elsewhere: reading such files (tools/pprof), compression (gzip).

#ifndef OH_PROFILE_PPROF_H
#define OH_PROFILE_PPROF_H

#include <stddef.h>
#include <stdint.h>

#include "profile/gzip.h"
#include "profile/model.h"

// Field numbers of profile.proto: the decoder of the command uses the same.
enum oh_pprof_profile_field {
    OH_PPROF_SAMPLE_TYPE = 1,
    OH_PPROF_SAMPLE = 2,
    OH_PPROF_MAPPING = 3,
    OH_PPROF_LOCATION = 4,
    OH_PPROF_FUNCTION = 5,
    OH_PPROF_STRING_TABLE = 6,
    OH_PPROF_DROP_FRAMES = 7,
    OH_PPROF_KEEP_FRAMES = 8,
    OH_PPROF_TIME_NANOS = 9,
    OH_PPROF_DURATION_NANOS = 10,
    OH_PPROF_PERIOD_TYPE = 11,
    OH_PPROF_PERIOD = 12,
    OH_PPROF_COMMENT = 13,
    OH_PPROF_DEFAULT_SAMPLE_TYPE = 14,
    OH_PPROF_DOC_URL = 15,
};

enum oh_pprof_value_type_field { OH_PPROF_VALUE_TYPE = 1, OH_PPROF_VALUE_UNIT = 2 };

enum oh_pprof_sample_field {
    OH_PPROF_SAMPLE_LOCATION_ID = 1,
    OH_PPROF_SAMPLE_VALUE = 2,
    OH_PPROF_SAMPLE_LABEL = 3,
};

enum oh_pprof_label_field {
    OH_PPROF_LABEL_KEY = 1,
    OH_PPROF_LABEL_STR = 2,
    OH_PPROF_LABEL_NUM = 3,
    OH_PPROF_LABEL_NUM_UNIT = 4,
};

enum oh_pprof_mapping_field {
    OH_PPROF_MAPPING_ID = 1,
    OH_PPROF_MAPPING_START = 2,
    OH_PPROF_MAPPING_LIMIT = 3,
    OH_PPROF_MAPPING_OFFSET = 4,
    OH_PPROF_MAPPING_FILE = 5,
    OH_PPROF_MAPPING_BUILD_ID = 6,
    OH_PPROF_MAPPING_HAS_FUNCTIONS = 7,
    OH_PPROF_MAPPING_HAS_FILES = 8,
    OH_PPROF_MAPPING_HAS_LINES = 9,
    OH_PPROF_MAPPING_HAS_INLINES = 10,
};

enum oh_pprof_location_field {
    OH_PPROF_LOCATION_ID = 1,
    OH_PPROF_LOCATION_MAPPING_ID = 2,
    OH_PPROF_LOCATION_ADDRESS = 3,
    OH_PPROF_LOCATION_LINE = 4,
};

enum oh_pprof_line_field { OH_PPROF_LINE_FUNCTION_ID = 1, OH_PPROF_LINE_LINE = 2 };

enum oh_pprof_function_field {
    OH_PPROF_FUNCTION_ID = 1,
    OH_PPROF_FUNCTION_NAME = 2,
    OH_PPROF_FUNCTION_SYSTEM_NAME = 3,
    OH_PPROF_FUNCTION_FILE = 4,
    OH_PPROF_FUNCTION_START_LINE = 5,
};

// The names of a profile's sample types and their units, the keys of its string labels, by index.
const char *oh_pprof_value_name(enum oh_profile_value value);
const char *oh_pprof_value_unit(enum oh_profile_value value);
const char *oh_pprof_label_key(enum oh_profile_label label);

// The numeric labels of a profile whose samples have means of their own (oh_profile_mean): in
// bytes.
struct oh_pprof_mean {
    const char *key;
    enum oh_profile_value objects, space;
};

enum { OH_PPROF_MEANS = 2 };
const struct oh_pprof_mean *oh_pprof_mean(int i);

// Writes the whole profile, gzipped: 0, -ENOMEM, or the sink's error. The profile gets a few more
// strings (the names above); nothing else in it changes.
int oh_pprof_write(struct oh_profile *profile, oh_sink_fn *sink, void *arg);
// The same bytes without gzip.
int oh_pprof_write_raw(struct oh_profile *profile, oh_sink_fn *sink, void *arg);

#endif
