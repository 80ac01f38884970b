// SPDX-License-Identifier: Apache-2.0
#include "allocator/allocator_stats.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "capture/unwind.h"
#include "offheap/format.h"
#include "recording/recording.h"
#include "tables/stacks.h"
#include "track/owner.h"
#include "track/timeline.h"

static struct {
    oh_mallctl_fn *ask;
    struct oh_elf_span fork;
    uint64_t answered; // What `wanted` was then. Written by the thread that has the second.
} stats;

static void store(const char *name, uint64_t *word)
{
    size_t value = 0, size = sizeof value;
    if (stats.ask(name, &value, &size, NULL, 0) == 0)
        oh_store_relaxed(word, value);
}

static void update(struct oh_format_jemalloc *said)
{
    // Statistics are those of the last time that this was written.
    uint64_t epoch = 1;
    if (stats.ask("epoch", NULL, NULL, &epoch, sizeof epoch) != 0)
        return;
    store("stats.allocated", &said->allocated);
    store("stats.active", &said->active);
    store("stats.metadata", &said->metadata);
    store("stats.resident", &said->resident);
    store("stats.mapped", &said->mapped);
    store("stats.retained", &said->retained);
    uint64_t now_ns = oh_recording_now_ns();
    oh_store_release(&said->time_ns, now_ns != 0 ? now_ns : 1);
}

// Whether the thread may hold jemalloc's locks.
static bool may_be_inside(const uint64_t *pcs, uint32_t depth)
{
    bool inside = false;
    for (uint32_t i = 0; i < depth && !inside; i++)
        inside = oh_owner_of_caller(pcs[i]) == OH_KIND_ALLOCATOR ||
                 pcs[i] - stats.fork.begin < stats.fork.end - stats.fork.begin;
    return inside;
}

static void each_second(uint32_t reference)
{
    struct oh_format_jemalloc *said = &oh_recording_header()->jemalloc;
    uint64_t wanted = oh_load_relaxed(&said->wanted);
    if (wanted == stats.answered)
        return;
    const struct oh_format_stack *stack = oh_stacks_at(reference);
    if (stack->end != OH_STACK_END_CLEAN ||
        may_be_inside((const uint64_t *)(const void *)(stack + 1), stack->depth))
        return;
    stats.answered = wanted;
    update(said);
}

void oh_allocator_stats_init(oh_mallctl_fn *mallctl, const struct oh_elf_span *fork)
{
    if (stats.ask != NULL)
        return;
    stats.ask = mallctl;
    stats.fork = *fork;
    if (fork->begin != 0)
        oh_timeline_each_second(each_second);
}

void oh_allocator_stats_end(void)
{
    enum { DEPTH = 256 };
    uint64_t pcs[DEPTH];
    enum oh_unwind_end end = OH_UNWIND_END_BROKEN;
    if (stats.ask == NULL)
        return;
    unsigned depth = oh_unwind_capture(NULL, pcs, DEPTH, &end);
    if (end == OH_UNWIND_END_CLEAN && !may_be_inside(pcs, depth))
        update(&oh_recording_header()->jemalloc);
}
