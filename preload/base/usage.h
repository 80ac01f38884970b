// SPDX-License-Identifier: Apache-2.0
//
// What the system says of the memory of this process: its resident size, and the charge of its
// control group (v2 and v1), each read from a file that is opened, read and closed again: no
// descriptor is kept. Whatever goes wrong (no /proc, no descriptor free, a refusal) makes a number
// absent.
//
// Where the control group's file is takes longer to find, so it is remembered, and looked up again
// when the caller says so. The resident size is the kernel's quick figure, which may be off by some
// hundred KiB on machines with many processors.
//
// One caller at a time; the state is the caller's.

#ifndef OH_BASE_USAGE_H
#define OH_BASE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#define OH_USAGE_ABSENT UINT64_MAX

enum { OH_USAGE_PATH_BYTES = 1024, OH_USAGE_BUFFER_BYTES = 4096 };

struct oh_usage {
    uint64_t resident_bytes;
    uint64_t cgroup_bytes;
};

struct oh_usage_source {
    const char *root;                 // Stands before /proc: "", or a directory in tests.
    char charge[OH_USAGE_PATH_BYTES]; // The group's file; "": there is none, or not looked for yet.
    char group[OH_USAGE_PATH_BYTES];
    char buffer[OH_USAGE_BUFFER_BYTES];
};

void oh_usage_init(struct oh_usage_source *source, const char *root);

// look: find the group's file anew.
void oh_usage_read(struct oh_usage_source *source, bool look, struct oh_usage *usage);

#endif
