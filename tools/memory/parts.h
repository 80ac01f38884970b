// SPDX-License-Identifier: Apache-2.0
//
// The parts of a process's memory: the lines of the table that adds up to its resident size.

#ifndef OH_MEMORY_PARTS_H
#define OH_MEMORY_PARTS_H

enum oh_memory_part {
#define OH_MEMORY_PART(id, key, title, hint) OH_PART_##id,
#include "memory/parts.def"
#undef OH_MEMORY_PART
    OH_PART_COUNT
};

// The name in JSON, in the table, and what to look at next; the last has at most one %s.
const char *oh_part_key(enum oh_memory_part part);
const char *oh_part_title(enum oh_memory_part part);
const char *oh_part_hint(enum oh_memory_part part);

#endif
