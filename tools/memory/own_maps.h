// SPDX-License-Identifier: Apache-2.0
//
// Finds in a process's memory what passes no hook. What glibc maps for itself: the arenas of threads,
// the large blocks that have a map of their own, and the threads' stacks with their thread-local
// storage; and what liboffheap.so does. Each is known by what its owner writes into it (sizes that
// fit, pointers to itself, a magic word), never by its place alone; so this needs to read the
// memory, and finds nothing without.
//
// Reads only pages that are resident. Elsewhere: who has a better claim (claim).

#ifndef OH_MEMORY_OWN_MAPS_H
#define OH_MEMORY_OWN_MAPS_H

#include <stdint.h>

#include "memory/cover.h"
#include "process/pages.h"

// Each looks at [start, end), anonymous writable memory that nobody owns yet, and adds what it
// finds. 0 or -ENOMEM.
int oh_glibc_find_arenas(struct oh_pages *pages, uint64_t start, uint64_t end,
                         struct oh_claims *claims);
int oh_glibc_find_blocks(struct oh_pages *pages, uint64_t start, uint64_t end,
                         struct oh_claims *claims);

// Maps of the library begin with OH_FORMAT_MAGIC and their size in bytes.
int oh_own_find_recorder(struct oh_pages *pages, uint64_t start, uint64_t end,
                         struct oh_claims *claims);

// *budget: pages that may still be read in search of threads.
int oh_glibc_find_threads(struct oh_pages *pages, uint64_t start, uint64_t end, uint64_t *budget,
                          struct oh_claims *claims);

#endif
