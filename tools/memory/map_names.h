// SPDX-License-Identifier: Apache-2.0
//
// What a map is by the name that the kernel gives it: a program's or a library's file, data, shared
// memory, or memory that the program named by prctl.

#ifndef OH_MEMORY_MAP_NAMES_H
#define OH_MEMORY_MAP_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/live.h"
#include "memory/parts.h"
#include "process/smaps.h"

// The files that hold code, for telling a library from data.
struct oh_map_names {
    const char *exe;  // Path of the program.
    uint64_t *inodes; // Of the maps that are executable, sorted.
    size_t count;
};

// exe may be NULL: the first executable file is the program. 0 or -ENOMEM.
int oh_map_names_init(struct oh_map_names *names, const struct oh_smaps *smaps, const char *exe);
void oh_map_names_fini(struct oh_map_names *names);

// OH_PART_UNCLAIMED when the name does not tell, OH_PART_SHM for shared memory.
enum oh_memory_part oh_map_names_part(const struct oh_map_names *names, const struct oh_smap *map);

bool oh_map_names_is_shm(const struct oh_smap *map);

// Whether the map is a recording's, or the library's that writes it.
bool oh_map_names_is_recorder(const char *name);

// Which allocator the process has, by its libraries.
enum oh_allocator oh_map_names_allocator(const struct oh_smaps *smaps);

// What a Go runtime calls a part of its memory ("heap", "metadata", ...), from "[anon: Go: heap]";
// NULL when the map has no such name. *length: its bytes.
const char *oh_map_names_go(const struct oh_smap *map, size_t *length);

#endif
