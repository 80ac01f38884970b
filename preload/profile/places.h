// SPDX-License-Identifier: Apache-2.0
//
// The addresses of a recording's stacks and what they turned into. An address of a module is one
// place, however many epochs the module lived through, and is named once.
//
// Naming them in the order of their addresses (oh_places_name), after all stacks have been looked
// through, costs less than naming them as the stacks come (a sixth of the export of a large program):
// the tables that lead to names are in that order, too, and are so large that no cache holds them.
//
// All memory is the arena's of the profile. One thread at a time. Host-safe.
//
// Elsewhere: which stacks there are, and what becomes of the places (writer); names (symbols).

#ifndef OH_PROFILE_PLACES_H
#define OH_PROFILE_PLACES_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/keymap.h"
#include "profile/label.h"
#include "profile/model.h"
#include "profile/symbols.h"

enum { OH_PLACES_LINES_MAX = 256 }; // Of one address: calls inlined into each other.

// A place that is not shown has no frames.
struct oh_place {
    struct oh_symbol_module *module; // NULL: no module held the address in that epoch.
    uint64_t epoch;                  // The one that it was first seen in.
    uint64_t address;
    const struct oh_label_frame *frames; // One per line of the location.
    uint32_t frame_count;
    uint32_t location;
    bool is_named; // Else the three above are not known yet.
};

struct oh_places {
    struct oh_symbols *symbols;
    struct oh_profile *profile;
    uint32_t *mappings; // By module: its mapping, from 1 on; 0: not interned yet.
    struct oh_place *items;
    uint32_t count, room;
    struct oh_keymap by_epoch;                         // (epoch, address) to items,
    struct oh_keymap by_module;                        // and (module, address).
    struct oh_profile_line lines[OH_PLACES_LINES_MAX]; // Of the address that is being named.
    struct oh_label_frame frames[OH_PLACES_LINES_MAX];
    uint32_t line_count;
    int error; // Of the naming.
};

// Asked now and then; true: give up with -ETIMEDOUT.
typedef bool oh_places_stop_fn(void *arg);

// These return 0 or -ENOMEM.
int oh_places_init(struct oh_places *places, struct oh_symbols *symbols,
                   struct oh_profile *profile);
// The number of the address' place in items, which may move; it need not be named yet.
int oh_places_add(struct oh_places *places, uint64_t epoch, uint64_t address, uint32_t *number);
// The place, with its name. It lives until another one is added.
int oh_places_get(struct oh_places *places, uint64_t epoch, uint64_t address,
                  const struct oh_place **place);
// A location for what is no address.
int oh_places_make_location(struct oh_places *places, const char *name, uint32_t *location);
int oh_places_intern_mapping(struct oh_places *places, const struct oh_symbol_module *module,
                             uint32_t *index);

// Names all that have been added. 0, -ENOMEM or -ETIMEDOUT. stop may be NULL.
int oh_places_name(struct oh_places *places, oh_places_stop_fn *stop, void *arg);

#endif
