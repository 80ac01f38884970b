// SPDX-License-Identifier: Apache-2.0
//
// Many threads put short rows into few lines, begin generations and walk: a row that is found is
// always the one that belongs to its address and to a generation that was current meanwhile.

#include "capture/quick.h"

#include <stdio.h>
#include <stdlib.h>

#include "capture/unwind.h"
#include "support/quick.h"
#include "support/threads.h"

enum { THREADS = 8, ROUNDS = 200000, ADDRESSES = 64 };

static int32_t bytes_of(uint64_t pc, uint32_t generation)
{
    return (int32_t)((pc >> 40) % 16 + generation % 16 + 1) * 8;
}

static void run(uint32_t number, void *unused)
{
    unsigned seed = number + 1;
    unsigned long hits = 0;
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t pc = 0x1000 + ((uint64_t)(rand_r(&seed) % ADDRESSES) << 40);
        struct oh_row_key key = {pc, true, oh_rows_generation()};
        union oh_row row = {.cfa_offset = bytes_of(pc, key.generation),
                            .cfa_register = OH_REG_SP,
                            .kind = OH_ROW_PLAIN};
        if (round % 3 == 0)
            oh_quick_insert(&key, &row);
        if (round % 2003 == 0)
            oh_unwind_forget_modules();
        uint32_t before = oh_rows_generation();
        uint64_t bytes = oh_quick_bytes_of(pc);
        if (bytes == 0 || before != oh_rows_generation())
            continue;
        hits++;
        if (bytes != (uint64_t)bytes_of(pc, before)) {
            fprintf(stderr, "stress_quick: a foreign row at %#llx\n", (unsigned long long)pc);
            exit(1);
        }
    }
    if (hits == 0) {
        fprintf(stderr, "stress_quick: a thread never found a row\n");
        exit(1);
    }
}

int main(void)
{
    oh_threads_run(THREADS, run, NULL);
    return 0;
}
