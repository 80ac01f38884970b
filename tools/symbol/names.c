// SPDX-License-Identifier: Apache-2.0
//
// See names.h. Open addressing, at most half full.

#include "symbol/names.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/demangle.h"

enum { FIRST_CAPACITY = 256 };

struct oh_names_entry {
    char *symbol; // NULL: empty.
    char *name;
    uint64_t hash;
};

static uint64_t hash_of(const char *symbol)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *at = symbol; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

// The symbol's entry, or the empty one where it belongs.
static struct oh_names_entry *find(const struct oh_names *names, const char *symbol, uint64_t hash)
{
    size_t at = (size_t)hash & (names->capacity - 1);
    while (names->entries[at].symbol != NULL &&
           (names->entries[at].hash != hash || strcmp(names->entries[at].symbol, symbol) != 0))
        at = (at + 1) & (names->capacity - 1);
    return &names->entries[at];
}

// False: no memory; nothing has changed then.
static bool grow(struct oh_names *names)
{
    struct oh_names larger = {.capacity =
                                  names->capacity == 0 ? FIRST_CAPACITY : names->capacity * 2,
                              .count = names->count};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL)
        return false;
    for (size_t i = 0; i < names->capacity; i++) {
        const struct oh_names_entry *entry = &names->entries[i];
        if (entry->symbol != NULL)
            *find(&larger, entry->symbol, entry->hash) = *entry;
    }
    free(names->entries);
    *names = larger;
    return true;
}

void oh_names_fini(struct oh_names *names)
{
    for (size_t i = 0; i < names->capacity; i++) {
        free(names->entries[i].symbol);
        free(names->entries[i].name);
    }
    free(names->entries);
    *names = (struct oh_names){0};
}

const char *oh_names_get(struct oh_names *names, const char *symbol)
{
    if (names->count >= names->capacity / 2 && !grow(names))
        return NULL;
    uint64_t hash = hash_of(symbol);
    struct oh_names_entry *entry = find(names, symbol, hash);
    if (entry->symbol != NULL)
        return entry->name;
    struct oh_names_entry made = {
        .symbol = strdup(symbol), .name = oh_demangle(symbol), .hash = hash};
    if (made.symbol == NULL || made.name == NULL) {
        free(made.symbol);
        free(made.name);
        return NULL;
    }
    *entry = made;
    names->count++;
    return made.name;
}
