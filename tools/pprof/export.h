// SPDX-License-Identifier: Apache-2.0
//
// From an opened recording to a profile with all names, and from a profile to a file. The profile's
// memory is the export's.

#ifndef OH_PPROF_EXPORT_H
#define OH_PPROF_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "profile/arena.h"
#include "profile/model.h"
#include "reader/reader.h"

struct oh_export {
    struct oh_arena arena;
    struct oh_profile profile;
};

// dirs: the --binary directories. Warnings (may be NULL) get the modules whose files are gone or
// replaced; what the recording says of itself stands in the profile's comments, and comes from
// oh_reader_collect_warnings.
int oh_export_build(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                    struct oh_export *made, struct oh_list *warnings, struct oh_err *err);

// The same with the residency of every sample: measure as in struct oh_writer_options.
struct oh_export_measure {
    void (*measure)(void *arg, uint64_t address, uint64_t size, double bytes,
                    double residency[OH_RESIDENCY_COUNT]);
    void *arg;
};
int oh_export_build_measured(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                             const struct oh_export_measure *measure, struct oh_export *made,
                             struct oh_list *warnings, struct oh_err *err);

// The same as it was when past_s seconds of the recording had passed (0: as it is), with the errors
// of what changed since errors_since_s (0: of all): see struct oh_writer_options.
struct oh_export_moment {
    uint32_t past_s;
    uint32_t errors_since_s;
};
int oh_export_build_moment(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                           const struct oh_export_moment *moment, struct oh_export *made,
                           struct oh_list *warnings, struct oh_err *err);

// The same of a few stacks: want as in struct oh_writer_options; NULL: of all.
struct oh_export_choice {
    bool (*want)(void *arg, uint32_t stack);
    void *arg;
    uint32_t errors_since_s; // As in struct oh_writer_options.
};
int oh_export_build_chosen(struct oh_reader *reader, const struct oh_export_choice *choice,
                           struct oh_export *made, struct oh_err *err);
void oh_export_fini(struct oh_export *made);

// Writes the gzipped profile to `path` through a file beside it that is renamed when it is
// complete; "-" is the standard output.
int oh_export_write(struct oh_profile *profile, const char *path, struct oh_err *err);

#endif
