// SPDX-License-Identifier: Apache-2.0
//
// What a process runs, as far as its memory is concerned: which file is the program, whether it is
// Go's, whether C has a part in it, and what its recording knows of its maps.

#ifndef OH_MEMORY_PROGRAM_H
#define OH_MEMORY_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "memory/claim.h"
#include "process/smaps.h"
#include "profile/view.h"

struct oh_program {
    char *exe; // NULL: it cannot be read.
    bool is_go;
    unsigned go_minor; // 19 of Go 1.19; 0: not known.
    bool has_libc;
};

// view may be NULL. 0 or -ENOMEM.
int oh_program_get(const char *root, pid_t pid, const struct oh_smaps *smaps, struct oh_view *view,
                   struct oh_program *program);
void oh_program_fini(struct oh_program *program);

// The maps that a recording knows, to be freed; *has_mapped: whether it keeps any. view may be NULL.
// 0 or -ENOMEM.
int oh_mapped_read(struct oh_view *view, struct oh_mapped_range **ranges, size_t *count,
                   bool *has_mapped);

#endif
