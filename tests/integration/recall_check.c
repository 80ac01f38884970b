// SPDX-License-Identifier: Apache-2.0
//
// A library for programs that have stacks to offer, Go's above all: what a thread remembers of its
// last stack against the full walk, at the place from which recall_check is called. Any thread. It
// carries an unwinder of its own, whose frames are left out of both.

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/go_runtime.h"
#include "capture/recall.h"
#include "capture/unwind.h"
#include "offheap/hash.h"

OH_EXPORT void recall_start(void);
OH_EXPORT void recall_check(void);
OH_EXPORT unsigned long recall_checks(void);
OH_EXPORT unsigned long recall_recalled(void);

static uint64_t checks;
static uint64_t recalled_count;

static int add_runtime(struct dl_phdr_info *info, size_t size, void *unused)
{
    struct oh_go_runtime runtime;
    (void)size;
    (void)unused;
    if (oh_go_runtime_find(info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, &runtime) == 0)
        (void)oh_go_runtime_add(&runtime);
    return 0;
}

void recall_start(void)
{
    dl_iterate_phdr(add_runtime, NULL);
    oh_recall_enable();
    oh_unwind_init();
}

static void fail(const uint64_t *pcs, unsigned count, const struct oh_recalled *recalled)
{
    fprintf(stderr, "another stack: %u frames, %u recalled\n", count, recalled->depth);
    for (unsigned i = 0; i < count || i < recalled->depth; i++)
        fprintf(stderr, "%16llx %16llx\n", i < count ? (unsigned long long)pcs[i] : 0,
                i < recalled->depth ? (unsigned long long)recalled->pcs[i] : 0);
    abort();
}

OH_NOINLINE void recall_check(void)
{
    uint64_t pcs[OH_UNWIND_MAX];
    enum oh_unwind_end end;
    struct oh_recalled recalled;
    struct oh_caller caller;
    struct oh_recall *recall = oh_recall_mine();
    oh_caller_here(&caller);
    bool done = recall != NULL && oh_unwind_recall(&caller, OH_RECALL_FRAMES, recall, &recalled);
    unsigned count = oh_unwind_capture(NULL, pcs, OH_UNWIND_MAX, &end);
    (void)oh_add_relaxed(&checks, 1);
    if (!done)
        return;
    (void)oh_add_relaxed(&recalled_count, 1);
    uint32_t name = (uint32_t)oh_hash_stack(0, 0, pcs, count) | 1;
    if (end != OH_UNWIND_END_CLEAN || count != recalled.depth ||
        memcmp(pcs, recalled.pcs, count * sizeof *pcs) != 0 ||
        recalled.frames != oh_hash_frames(pcs, count) ||
        (recalled.note->stack != 0 && recalled.note->stack != name))
        fail(pcs, count, &recalled);
    recalled.note->stack = name;
    oh_recall_end(recall);
}

unsigned long recall_checks(void)
{
    return oh_load_relaxed(&checks);
}

unsigned long recall_recalled(void)
{
    return oh_load_relaxed(&recalled_count);
}
