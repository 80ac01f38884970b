// SPDX-License-Identifier: Apache-2.0
#include "track/shard.h"

#include "base/atomic.h"
#include "base/attr.h"

static uint32_t moved_threads;

void oh_shard_own(struct oh_thread *thread)
{
    thread->shard = OH_SHARD_FIRST;
}

void oh_shard_fought(struct oh_thread *thread, uint32_t second)
{
    const uint32_t numbers = OH_SHARDS - OH_SHARD_FIRST - 1;
    if (thread->shard != OH_SHARD_COMMON)
        return;
    if (thread->fight_second != second) {
        thread->fight_second = second;
        thread->fights = 0;
    }
    if (++thread->fights >= OH_SHARD_FIGHTS)
        thread->shard = OH_SHARD_FIRST + 1 + oh_add32_relaxed(&moved_threads, 1) % numbers;
}

void oh_shard_add(struct oh_thread *thread, uint64_t *objects, uint64_t weight, uint64_t *bytes,
                  uint64_t size, uint32_t second)
{
    uint64_t seen = oh_load_relaxed(objects);
    if (oh_likely(thread->shard == OH_SHARD_FIRST)) {
        oh_store_relaxed(objects, seen + weight);
        oh_store_relaxed(bytes, oh_load_relaxed(bytes) + size);
        return;
    }
    // A compare-and-swap tells whether another thread came between; an addition would not.
    if (oh_unlikely(!oh_cas_relaxed(objects, &seen, seen + weight))) {
        (void)oh_add_relaxed(objects, weight);
        oh_shard_fought(thread, second);
    }
    (void)oh_add_relaxed(bytes, size);
}
