// SPDX-License-Identifier: Apache-2.0
//
// Asks a live process's allocator to give back what it keeps: glibc's malloc_trim, jemalloc's purge
// of all arenas. Changes the process, so only when the user says so.

#ifndef OH_MEMORY_TRIM_H
#define OH_MEMORY_TRIM_H

#include <sys/types.h>

#include "base/err.h"
#include "memory/live.h"

// allocator: of the look; jemalloc may be inside of the program. 0, and in what the call that was
// made ("malloc_trim(0)"); else a negative errno with err.
int oh_trim(pid_t pid, enum oh_allocator allocator, const char **what, struct oh_err *err);

#endif
