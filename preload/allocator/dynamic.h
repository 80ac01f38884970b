// SPDX-License-Identifier: Apache-2.0
//
// What a loaded module exports and imports, read from its own tables in memory, without the loader's
// lock. For modules that stay loaded meanwhile: from our constructor, or
// from inside the loader. No state.

#ifndef OH_ALLOCATOR_DYNAMIC_H
#define OH_ALLOCATOR_DYNAMIC_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "profile/elf.h"

struct oh_dynamic {
    uint64_t base;
    const Elf64_Sym *symbols;
    const char *names;
    const uint32_t *hash;    // DT_GNU_HASH.
    const Elf64_Rela *slots; // Of the procedure linkage table.
    uint64_t slot_count;
};

// False: the module has no table of symbols (the vDSO has another kind).
bool oh_dynamic_open(struct oh_dynamic *dynamic, const struct link_map *map);

// Where the function lies that the module defines under this name: addresses, load base included.
bool oh_dynamic_find(const struct oh_dynamic *dynamic, const char *name, struct oh_elf_span *out);

// Where the function lies that the name means for the program, by the order of the modules that it
// was started with; 0: in none. The definition itself: dlsym gives, in a program that is not PIE and
// takes the function's address, a stub in the program.
uint64_t oh_dynamic_first(const char *name);

// The name by which the function is bound whose address the loader puts into the word at `slot`;
// NULL: there is no such word.
const char *oh_dynamic_slot(const struct oh_dynamic *dynamic, uint64_t slot);

#endif
