// SPDX-License-Identifier: Apache-2.0
#include "allocator/allocator_stats.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "offheap/format.h"
#include "recording/recording.h"
#include "tables/stacks.h"
#include "track/owner.h"
#include "track/timeline.h"

static oh_mallctl_fn *ask_jemalloc;

static void store(const char *name, uint64_t *word)
{
    size_t value = 0, size = sizeof value;
    if (ask_jemalloc(name, &value, &size, NULL, 0) == 0)
        oh_store_relaxed(word, value);
}

void oh_allocator_stats_update(void)
{
    // Statistics are those of the last time that this was written.
    uint64_t epoch = 1;
    if (ask_jemalloc == NULL || ask_jemalloc("epoch", NULL, NULL, &epoch, sizeof epoch) != 0)
        return;
    struct oh_format_jemalloc *said = &oh_recording_header()->jemalloc;
    store("stats.allocated", &said->allocated);
    store("stats.active", &said->active);
    store("stats.metadata", &said->metadata);
    store("stats.resident", &said->resident);
    store("stats.mapped", &said->mapped);
    store("stats.retained", &said->retained);
    uint64_t now_ns = oh_recording_now_ns();
    oh_store_release(&said->time_ns, now_ns != 0 ? now_ns : 1);
}

// Whether the thread is in the allocator, and may hold its locks; also when that cannot be told.
static bool may_be_inside(const struct oh_format_stack *stack)
{
    const uint64_t *pc = (const uint64_t *)(const void *)(stack + 1);
    bool inside = stack->end != OH_STACK_END_CLEAN;
    for (uint32_t i = 0; i < stack->depth && !inside; i++)
        inside = oh_owner_of_caller(pc[i]) == OH_KIND_ALLOCATOR;
    return inside;
}

static void each_second(uint32_t stack)
{
    if (!may_be_inside(oh_stacks_at(stack)))
        oh_allocator_stats_update();
}

void oh_allocator_stats_init(oh_mallctl_fn *mallctl)
{
    if (ask_jemalloc != NULL)
        return;
    ask_jemalloc = mallctl;
    oh_timeline_each_second(each_second);
}
