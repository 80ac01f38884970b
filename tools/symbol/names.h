// SPDX-License-Identifier: Apache-2.0
//
// The readable names of linker symbols, each made once: a function of a recording has many
// addresses, and making its name takes longer than finding it. Owns the texts. One thread at a
// time.
//
// Elsewhere: how a name is made (demangle).

#ifndef OH_SYMBOL_NAMES_H
#define OH_SYMBOL_NAMES_H

#include <stddef.h>

struct oh_names_entry;

// A zeroed one is an empty one.
struct oh_names {
    struct oh_names_entry *entries;
    size_t capacity; // A power of two, or 0.
    size_t count;
};

void oh_names_fini(struct oh_names *names);

// What oh_demangle makes of the symbol; it lives as long as the names. NULL: no memory.
const char *oh_names_get(struct oh_names *names, const char *symbol);

#endif
