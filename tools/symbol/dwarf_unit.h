// SPDX-License-Identifier: Apache-2.0
//
// The root entry of a unit of .debug_info: enough of DWARF 2 to 5 to tell whose unit it is. The
// bytes are a file's and are not trusted. Pure functions, any thread.
//
// Elsewhere: everything that is below the root entry is libbacktrace's (csym).

#ifndef OH_SYMBOL_DWARF_UNIT_H
#define OH_SYMBOL_DWARF_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/elf.h"

// Of a unit's first bytes this many are always enough: its length, and what makes it a unit that
// readers pass over.
enum { OH_DWARF_UNIT_START_BYTES = 15 };

struct oh_dwarf_unit {
    uint64_t bytes; // With the field that says so.
    bool is_go;
    bool has_lines;
    uint64_t lines; // Where its line program stands in .debug_line, when it has one.
};

// The length of the unit that begins with these bytes; false when there is none.
bool oh_dwarf_unit_length(const uint8_t *head, size_t len, uint64_t *bytes);

// What these first bytes of a unit tell; false: not a unit that is understood, or its root entry
// does not end inside of them.
bool oh_dwarf_unit_read(const uint8_t *head, size_t len, struct oh_elf_bytes abbrev,
                        struct oh_dwarf_unit *unit);

// Makes the unit, by its first bytes, a type unit of DWARF 5 of the same length, in which nobody
// who looks for code looks further. Returns how many bytes count, 0 when it has too few.
size_t oh_dwarf_unit_blank(uint8_t *head, size_t len);

#endif
