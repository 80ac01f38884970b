// SPDX-License-Identifier: Apache-2.0
//
// What `offheap memory` prints beside its table: the stacks that grew between two looks, and what a
// recording without its process held.

#ifndef OH_CLI_MEMORY_STACKS_H
#define OH_CLI_MEMORY_STACKS_H

#include <stdio.h>

#include "base/err.h"
#include "memory/table.h"
#include "memory/watch.h"
#include "reader/reader.h"

enum { OH_MEMORY_STACKS = 5 };

struct oh_memory_stacks {
    struct oh_memory_stack list[OH_MEMORY_STACKS];
    size_t count;
};

// The difference of C live between the first and the last look, the largest stacks first; of these
// stacks alone, if there are any. 0 or a negative errno with err.
int oh_memory_stacks_print(FILE *out, struct oh_watch *watch, struct oh_risers *risers,
                           struct oh_err *err);

// The same as data.
int oh_memory_stacks_collect(struct oh_watch *watch, struct oh_risers *risers,
                             struct oh_memory_stacks *stacks, struct oh_err *err);
void oh_memory_stacks_fini(struct oh_memory_stacks *stacks);

// Of a process that is gone: what it held at its end by kind, the verdict, the time line, and which
// stacks grew.
int oh_memory_past_print(FILE *out, struct oh_reader *reader, const struct oh_memory_report *report,
                         struct oh_err *err);

#endif
