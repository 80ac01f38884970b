// SPDX-License-Identifier: Apache-2.0
//
// Whether the process that made a recording still writes it. An exec keeps the pid and the start
// time, so the header of a recording of the program before still names the live process; what tells
// is which recording that maps now, and, when it is gone, which of its recordings is the newest.

#ifndef OH_READER_OWNER_H
#define OH_READER_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "offheap/format.h"

enum oh_owner {
    OH_OWNER_GONE,
    OH_OWNER_ALIVE,
    OH_OWNER_REPLACED, // The process has executed another program since.
};

// Whether the process that a header names is alive and still the same one, whatever it executes.
bool oh_owner_is_alive(const struct oh_format_header *header);

// Whether a live process that maps the recording of this header is its owner. If not, it is a child
// that was forked off and executes nothing else, and writes nothing into it. The pid alone does not
// tell: a child may have the same one as its parent, in a pid namespace of its own.
struct oh_proc;
bool oh_owner_is(const struct oh_format_header *header, const struct oh_proc *proc);

// Of such a child: the process that owns the recording, by its pid here, or, when that has ended,
// by the one that it had.
pid_t oh_owner_of_child(const struct oh_format_header *header, const struct oh_proc *proc);

// path: where the recording of this header lies; others of its process are looked for beside it.
enum oh_owner oh_owner_find(const char *path, const struct oh_format_header *header);

#endif
