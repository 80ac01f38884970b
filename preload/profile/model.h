// SPDX-License-Identifier: Apache-2.0
//
// A profile in memory: the one model that the writer builds from a recording, that the pprof
// encoder writes and the command's decoder fills, and that reports read. Everything is interned:
// equal strings, mappings, functions and locations exist once, and are referred to by their index.
// Samples with equal frames and labels are one sample.
//
// All memory is the arena's, which must outlive the profile. One thread at a time. Host-safe.
//
// Elsewhere: what is in it (writer), its bytes (pprof).

#ifndef OH_PROFILE_MODEL_H
#define OH_PROFILE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/arena.h"

#define OH_PROFILE_NONE UINT32_MAX // No mapping.

enum oh_profile_limits { OH_PROFILE_MAX_STRING = 65535 };

// The values of a sample, in Go's order.
enum oh_profile_value {
    OH_VALUE_ALLOC_OBJECTS,
    OH_VALUE_ALLOC_SPACE,
    OH_VALUE_INUSE_OBJECTS,
    OH_VALUE_INUSE_SPACE,
    OH_VALUE_COUNT
};

// Bytes of what is in use, by what its pages are; the rest of it was never touched. Only where it
// was asked for (oh_writer_options), and not in a profile's file.
enum oh_profile_residency { OH_RESIDENCY_RESIDENT, OH_RESIDENCY_SWAPPED, OH_RESIDENCY_COUNT };

// The string labels of a sample, in the order in which they are written.
enum oh_profile_label {
    OH_LABEL_HEAP,
    OH_LABEL_KIND,
    OH_LABEL_PHASE,
    OH_LABEL_INIT_PACKAGE,
    OH_LABEL_COUNT
};

struct oh_profile_string {
    const char *data; // Valid UTF-8, NUL-terminated.
    uint32_t length;
};

// Strings below are indices of strings[]; 0 is the empty one.
struct oh_profile_mapping {
    uint64_t start;
    uint64_t limit;
    uint64_t offset;
    uint32_t file;
    uint32_t build_id; // Lower-case hex.
};

struct oh_profile_function {
    uint32_t name;
    uint32_t system_name;
    uint32_t file;
    uint32_t start_line;
};

struct oh_profile_line {
    uint32_t function; // Index of functions[].
    uint32_t line;
};

struct oh_profile_location {
    uint64_t address;
    const struct oh_profile_line *lines; // Leaf first: the last one is not inlined. At least one.
    uint32_t line_count;
    uint32_t mapping; // Index of mappings[], or OH_PROFILE_NONE.
};

struct oh_profile_sample {
    const uint32_t *locations; // Indices of locations[], leaf first.
    uint32_t depth;
    uint32_t labels[OH_LABEL_COUNT]; // 0: the sample has no such label.
    int64_t values[OH_VALUE_COUNT];
    double variances[OH_VALUE_COUNT]; // Of the estimates; 0 where a value is exact.
    double residency[OH_RESIDENCY_COUNT];
};

// One of a set's: the index of an entry + 1, 0 when it is empty; and the entry's hash, so that the
// entry itself, which is seldom in a cache, is looked at when it is most likely the one.
struct oh_profile_slot {
    uint32_t number;
    uint32_t hash;
};

// An open-addressing set of indices into one of the arrays.
struct oh_profile_set {
    struct oh_profile_slot *slots;
    uint32_t capacity; // A power of two, or 0.
    uint32_t count;
};

struct oh_profile {
    struct oh_arena *arena;
    struct oh_profile_string *strings;   // strings[0] is "".
    struct oh_profile_mapping *mappings; // mappings[0] is the main executable, when any is there.
    struct oh_profile_function *functions;
    struct oh_profile_location *locations;
    struct oh_profile_sample *samples;
    uint32_t *comments; // Strings, one sentence each.
    uint32_t string_count, mapping_count, function_count, location_count, sample_count,
        comment_count;
    uint32_t string_room, mapping_room, function_room, location_room, sample_room, comment_room;
    struct oh_profile_set string_set, mapping_set, function_set, location_set, sample_set;

    int64_t time_ns;     // CLOCK_REALTIME of the snapshot.
    int64_t duration_ns; // 0 for a snapshot.
    int64_t period;      // Mean sampling interval in bytes, 1 when everything was recorded.
    bool has_means;      // The mean changed: `period` is the largest, and samples have their own.
    uint32_t doc_url;
    uint32_t default_type; // A string: the sample type that is shown first.
};

// All return 0, -ENOMEM (the arena is full) or -EOVERFLOW (more than 2^31 entries); the profile
// is unchanged on failure, but for strings that nobody refers to.
int oh_profile_init(struct oh_profile *profile, struct oh_arena *arena);

// Bytes that are not UTF-8 become U+FFFD; what is longer than OH_PROFILE_MAX_STRING is cut off.
int oh_profile_intern_string(struct oh_profile *profile, const char *data, size_t length,
                             uint32_t *string);
int oh_profile_intern_mapping(struct oh_profile *profile, const struct oh_profile_mapping *mapping,
                              uint32_t *index);
int oh_profile_intern_function(struct oh_profile *profile,
                               const struct oh_profile_function *function, uint32_t *index);
// Copies the lines.
int oh_profile_intern_location(struct oh_profile *profile,
                               const struct oh_profile_location *location, uint32_t *index);
// Copies the locations; adds values (saturating) and variances to a sample that is already there.
int oh_profile_add_sample(struct oh_profile *profile, const struct oh_profile_sample *sample,
                          uint32_t *index);
// Keeps the samples that `keep` says yes to, in their order; indices of samples change.
void oh_profile_keep_samples(struct oh_profile *profile,
                             bool (*keep)(void *arg, const struct oh_profile_sample *sample),
                             void *arg);
// Makes room for what that many addresses may turn into, once instead of step by step. More may
// come, and less.
int oh_profile_expect(struct oh_profile *profile, uint32_t addresses);
int oh_profile_add_comment(struct oh_profile *profile, const char *text, size_t length);

// Mean size of the sample's allocations, 0 when there are none: the label `bytes`.
int64_t oh_profile_block_bytes(const struct oh_profile_sample *sample);

// The mean sampling interval, in bytes and at least 1, at which the sample's allocated or live
// bytes (space and objects tell which) would have the variance that they have; 0 when there are
// none.
int64_t oh_profile_mean(const struct oh_profile_sample *sample, enum oh_profile_value space,
                        enum oh_profile_value objects);

// NUL-terminated text of a string index.
static inline const char *oh_profile_text(const struct oh_profile *profile, uint32_t string)
{
    return profile->strings[string].data;
}

#endif
