// SPDX-License-Identifier: Apache-2.0
//
// The configuration: read from the environment once, before the first allocation is recorded, and
// constant from then on. A value that cannot be used falls back to the default and leaves a note,
// which the recording carries and the command shows. No other file looks at the environment.

#ifndef OH_BASE_CONFIG_H
#define OH_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OH_CONFIG_NOTES = 8, OH_CONFIG_NOTE_BYTES = 240 };

struct oh_config {
    bool disabled;
    bool exact;
    bool timeline;
    uint64_t sample_bytes;
    uint32_t max_overhead_ppm; // 0: no budget; never together with exact.
    uint64_t max_bytes;
    uint32_t max_depth;
    uint64_t run_token;
    const char *dir;     // OFFHEAP_DIR, or NULL when it was not given.
    const char *tmp_dir; // TMPDIR, or NULL.
    // The environment's own string "OFFHEAP_PROFILE=...", or under the name that a claim gave it
    // ("OFFHEAP_P" and six characters, see profile/outfile.h); NULL when there is none.
    char *profile_entry;
    unsigned note_count;
    char notes[OH_CONFIG_NOTES][OH_CONFIG_NOTE_BYTES];
};

// `environment` is an array of "NAME=value" that ends with NULL; the strings must outlive the
// configuration. NULL counts as empty.
void oh_config_read(struct oh_config *config, char **environment);

#endif
