// SPDX-License-Identifier: Apache-2.0
//
// A table of unwind rows: for a code address, how the caller's registers are found. Working a row
// out means searching and running call frame information (unwind_c does that, by libunwind); this
// table keeps the result, so that a stack seen before is walked with loads and additions only.
//
// One table for the process, direct-mapped, without locks:
//   states       an entry's head is 0 (never used), odd (being written) or even: the code address
//                with a count of the entry's writes above it
//   writers      oh_rows_insert, any thread: takes the entry by changing its head from even to
//                odd; a thread that finds it odd leaves it. Readers: oh_rows_find, any thread
//   publication  the release of the even head in oh_rows_insert pairs with the acquire of the
//                head in oh_rows_find; a reader takes the row only when the head is the same
//                before and after
//   progress     one entry is looked at; a collision replaces the older row
//   dead writer  the entry stays odd: that entry is lost, nothing else
// A row is true for one generation of modules: oh_rows_forget begins a new one, and older rows
// are no longer found. A row is stored with the generation in which its making began.

#ifndef OH_CAPTURE_ROWS_H
#define OH_CAPTURE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/registers_x86_64.h"

enum oh_row_kind {
    OH_ROW_PLAIN, // The canonical frame address is a register plus an offset, and the rest follows.
    OH_ROW_COMPLEX, // Needs expressions: libunwind takes this step.
    // The same, and cfa_offset tells the CFA: it is the word there from the frame pointer, and the
    // caller's frame pointer is the word that this one points to.
    OH_ROW_REALIGNED,
    OH_ROW_SIGNAL, // As COMPLEX, and the caller was interrupted by a signal.
    OH_ROW_END,    // The outermost function: it has no return address.
    OH_ROW_NONE    // Code without call frame information.
};

enum { OH_ROW_WORDS = 3 };

// Also as words, so that the table moves it without the compiler copying wide over narrow stores.
union oh_row {
    struct {
        int32_t cfa_offset;   // Bytes from cfa_register to the canonical frame address (CFA).
        uint8_t cfa_register; // enum oh_register.
        uint8_t kind;         // enum oh_row_kind.
        // Where the caller's register was saved, in words from the CFA; 0: it has its value still.
        int16_t saved[OH_REG_SAVED_COUNT];
        uint32_t generation; // The table's own.
    };
    uint64_t word[OH_ROW_WORDS];
};

_Static_assert(sizeof(union oh_row) == sizeof(uint64_t[OH_ROW_WORDS]), "a row fills its words");

// What a row is of: rows after a call and at an interrupted instruction differ for one address.
struct oh_row_key {
    uint64_t pc;
    bool after_call;
    uint32_t generation; // From oh_rows_generation, before the row was looked for.
};

uint32_t oh_rows_generation(void);
bool oh_rows_find(const struct oh_row_key *key, union oh_row *row);
void oh_rows_insert(const struct oh_row_key *key, const union oh_row *row);

// Begins the generation after `seen`, unless another thread did so since that was current. Any
// thread, at any time.
void oh_rows_forget(uint32_t seen);

#endif
