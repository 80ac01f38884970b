// SPDX-License-Identifier: Apache-2.0
//
// One allocator that is not reached by our symbols, and the redirection of its functions: which of
// them, in which order, and what is told of those that are refused. Finding it is allocator/allocators'.
//
// One thread at a time, at moments when no other can run the functions (patch/redirect.h).

#ifndef OH_ALLOCATOR_FOREIGN_H
#define OH_ALLOCATOR_FOREIGN_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocator/dynamic.h"
#include "patch/redirect.h"
#include "profile/allocator.h"

struct oh_foreign {
    const struct link_map *map;
    struct oh_dynamic dynamic;
    bool has_dynamic;
    bool is_executable;
    bool is_jemalloc;
    bool is_behind;         // Our hooks of malloc and its like call it.
    bool has_own_operators; // Its operators new do not come back to malloc by ways unseen here.
    struct oh_allocator_symbols symbols; // By address.
    size_t count;
    uint8_t which[OH_ALLOCATOR_FUNCTIONS]; // enum oh_allocator_function of each that follows.
    struct oh_redirect redirect[OH_ALLOCATOR_FUNCTIONS];
};

// Whether the address lies in the module.
bool oh_foreign_holds(const struct link_map *map, uint64_t address);

// Redirects its functions, all that free or none. A function that goes on to a recorded one is left
// alone. The rest of *foreign must be filled in. is_new: none of its code has run yet.
// True: its blocks are recorded, by this or by our symbols.
bool oh_foreign_redirect(struct oh_foreign *foreign, bool is_new);

#endif
