// SPDX-License-Identifier: Apache-2.0
//
// From a recording to a profile: reads every stack and live block through the checked view, names
// the frames, sets the labels, scales nothing twice, and says in comments what is missing. Used
// inside the host at its end and by the command, with other symbols.
//
// All memory is the arena's of the profile. One thread at a time. Host-safe.
//
// Elsewhere: names (symbols), phase and kind (label), the profile's bytes (pprof).

#ifndef OH_PROFILE_WRITER_H
#define OH_PROFILE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/model.h"
#include "profile/symbols.h"
#include "profile/view.h"

struct oh_writer_options {
    uint64_t time_ns;            // CLOCK_REALTIME of what the view shows; 0: now.
    const char *const *comments; // Put behind the writer's own.
    size_t comment_count;
    // As it was when so many seconds of the recording had passed, by the stacks' steps: only the
    // bytes in use, without an error. 0: as it is.
    uint32_t past_s;
    // The errors of the bytes in use are those of what they changed by since this second of the
    // recording (profile/holdings). 0: of all of them.
    uint32_t errors_since_s;
    bool (*want)(void *arg, uint32_t stack); // Of the stacks, only these. NULL: all.
    void *want_arg;
    bool (*stop)(void *arg); // Asked now and then; true gives up with -ETIMEDOUT. May be NULL.
    void *stop_arg;
    // Adds to the residency what of [address, address + size) is resident and swapped out, in
    // proportion to the bytes that it stands for. NULL: the samples' residency stays 0.
    void (*measure)(void *arg, uint64_t address, uint64_t size, double bytes,
                    double residency[OH_RESIDENCY_COUNT]);
    void *measure_arg;
};

// Initialises the profile and fills it. options may be NULL. 0; -ENOMEM: the arena's bound is
// reached; -ETIMEDOUT: told to stop. Damaged entries are left out and counted in a comment.
int oh_writer_build(struct oh_view *view, struct oh_symbols *symbols,
                    const struct oh_writer_options *options, struct oh_arena *arena,
                    struct oh_profile *profile);

#endif
