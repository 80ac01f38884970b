// SPDX-License-Identifier: Apache-2.0
//
// Many threads put rows into few entries and read them back: a row that is found is always the
// one that belongs to its address.

#include "capture/rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/threads.h"

enum { THREADS = 8, ROUNDS = 300000, ADDRESSES = 64 };

// All words of a row follow from its address, so that a mixture shows.
static union oh_row row_of(uint64_t pc)
{
    union oh_row row = {.cfa_offset = (int32_t)pc, .cfa_register = OH_REG_SP};
    for (unsigned i = 0; i < OH_REG_SAVED_COUNT; i++)
        row.saved[i] = (int16_t)(pc >> i);
    return row;
}

static bool is_row_of(const union oh_row *row, uint64_t pc)
{
    union oh_row wanted = row_of(pc);
    wanted.generation = row->generation;
    for (unsigned i = 0; i < OH_ROW_WORDS; i++)
        if (row->word[i] != wanted.word[i])
            return false;
    return true;
}

static void run(uint32_t number, void *unused)
{
    unsigned seed = number + 1;
    unsigned long found = 0;
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        // Addresses 2^40 apart collide more often than neighbours do.
        uint64_t pc = 0x1000 + ((uint64_t)(rand_r(&seed) % ADDRESSES) << 40);
        struct oh_row_key key = {pc, true, oh_rows_generation()};
        union oh_row row = row_of(pc);
        if (round % 3 == 0)
            oh_rows_insert(&key, &row);
        if (round % 10007 == 0)
            oh_rows_forget(oh_rows_generation());
        if (!oh_rows_find(&key, &row))
            continue;
        found++;
        if (!is_row_of(&row, pc)) {
            fprintf(stderr, "stress_rows: a foreign row at %#llx\n", (unsigned long long)pc);
            exit(1);
        }
    }
    if (found == 0) {
        fprintf(stderr, "stress_rows: a thread never found a row\n");
        exit(1);
    }
}

int main(void)
{
    oh_threads_run(THREADS, run, NULL);
    return 0;
}
