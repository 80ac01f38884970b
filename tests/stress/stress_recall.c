// SPDX-License-Identifier: Apache-2.0
//
// Threads come and go, more of them than there are slots, and each remembers its own stacks: what
// one left is never taken for another's. Rows are forgotten meanwhile.

#include "capture/recall.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "capture/unwind.h"

#define NOINLINE __attribute__((noinline))

enum { THREADS = 8, LIVES = 40, CAPTURES = 400 };

static uint64_t recalled_count;

static NOINLINE void look(void)
{
    uint64_t pcs[OH_UNWIND_MAX];
    enum oh_unwind_end end;
    struct oh_recalled recalled;
    struct oh_caller caller;
    struct oh_recall *recall = oh_recall_mine();
    oh_caller_here(&caller);
    bool done = recall != NULL && oh_unwind_recall(&caller, OH_RECALL_FRAMES, recall, &recalled);
    unsigned count = oh_unwind_capture(NULL, pcs, OH_UNWIND_MAX, &end);
    if (!done)
        return;
    (void)oh_add_relaxed(&recalled_count, 1);
    // The full walk begins one or two frames further in.
    unsigned first = count - recalled.depth;
    if (recalled.depth > count || first > 3 ||
        memcmp(recalled.pcs, pcs + first, recalled.depth * sizeof *pcs) != 0) {
        fprintf(stderr, "stress_recall: another stack\n");
        exit(1);
    }
    oh_recall_end(recall);
}

static NOINLINE void descend(unsigned depth)
{
    if (depth == 0)
        look();
    else
        descend(depth - 1);
    __asm__ volatile("");
}

static void *live(void *argument)
{
    unsigned seed = *(const unsigned *)argument;
    for (int i = 0; i < CAPTURES; i++)
        descend((unsigned)rand_r(&seed) % 20);
    return NULL;
}

static void *run(void *argument)
{
    unsigned seed = *(const unsigned *)argument;
    for (int i = 0; i < LIVES; i++) {
        pthread_t thread;
        unsigned own = seed + (unsigned)i;
        if (pthread_create(&thread, NULL, live, &own) != 0)
            exit(1);
        pthread_join(thread, NULL);
        oh_unwind_forget_modules();
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    oh_recall_enable();
    oh_unwind_init();
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i * LIVES + 1;
        if (pthread_create(&threads[i], NULL, run, &seeds[i]) != 0)
            return 1;
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    if (recalled_count < THREADS * LIVES * CAPTURES / 10) {
        fprintf(stderr, "stress_recall: too few remembered: %llu\n",
                (unsigned long long)recalled_count);
        return 1;
    }
    return 0;
}
