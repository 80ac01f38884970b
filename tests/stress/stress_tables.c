// SPDX-License-Identifier: Apache-2.0
//
// Many threads on the real tables of a real recording. While they run nothing is promised but that
// nothing breaks; when all are at rest, the file holds exactly what they did.

#include <string.h>

#include "base/atomic.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "support/threads.h"
#include "tables/filter.h"
#include "tables/live.h"
#include "tables/stacks.h"

enum { THREADS = 8, DEPTH_MAX = 16 };

static void begin(const char *dir, uint64_t max_bytes)
{
    struct oh_config config;
    oh_tables_config(&config, dir, max_bytes);
    oh_tables_begin(&config);
}

static uint32_t intern(uint64_t n)
{
    uint64_t pcs[DEPTH_MAX];
    struct oh_random random = {n};
    struct oh_stack_key key = {.kind = OH_KIND_MALLOC, .phase = OH_PHASE_MAIN, .pcs = pcs};
    key.depth = 1 + (uint32_t)oh_random_below(&random, DEPTH_MAX);
    for (uint32_t i = 0; i < key.depth; i++)
        pcs[i] = 0x400000 + oh_random_below(&random, 1 << 20);
    pcs[0] = 0x7f0000000000 + n;
    return oh_stacks_intern(&key);
}

// --- Stacks: all threads intern the same ones, in different orders

enum { STACKS = 3000, ROUNDS = 30000 };

static void intern_and_count(uint32_t number, void *arg)
{
    struct oh_random random = {number + 1};
    uint64_t *refused = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t reference = intern(oh_random_below(&random, STACKS));
        if (reference == 0) {
            (void)oh_add_relaxed(refused, 1);
            continue;
        }
        struct oh_format_stack *stack = oh_stacks_at(reference);
        (void)oh_add_relaxed(&stack->alloc_objects, 1);
        (void)oh_add_relaxed(&stack->alloc_bytes, 100);
        (void)oh_add_relaxed(&stack->samples, 1);
    }
}

static void stacks_add_up(const char *dir, uint64_t max_bytes, bool fits)
{
    struct oh_tables_sum sum;
    uint64_t refused = 0;
    begin(dir, max_bytes);
    // when
    oh_threads_run(THREADS, intern_and_count, &refused);
    // then every event is counted once, under a stack or as refused
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.damaged, 0);
    oh_require_equal(sum.samples + refused, THREADS * ROUNDS);
    oh_require_equal(sum.alloc_objects, sum.samples);
    oh_require_equal(sum.alloc_bytes, 100 * sum.samples);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), refused);
    oh_require(fits == (refused == 0));
    // A stack may stand in two levels when two threads brought it at once; hardly ever.
    if (fits)
        oh_require(sum.stacks >= STACKS && sum.stacks <= STACKS + STACKS / 20);
}

static void many_levels(void *dir)
{
    stacks_add_up(dir, UINT64_C(64) << 20, true);
}

static void too_few_levels(void *dir)
{
    stacks_add_up(dir, OH_TABLES_SMALLEST, false);
}

static void test_stacks_interned_by_all_at_once_add_up(void **state)
{
    (void)state;
    oh_scratch_run(many_levels);
}

static void test_stacks_that_find_no_place_are_counted_by_all(void **state)
{
    (void)state;
    oh_scratch_run(too_few_levels);
}

// --- Live blocks: each thread owns its addresses, and hands some to its neighbour to free

enum { OWN = 24000, STEPS = 60000, MAILBOXES = 64 };

struct exchange {
    uint64_t mail[THREADS][MAILBOXES]; // An address for that thread to free, or 0.
    uint64_t live[THREADS];            // What each counts as entered minus taken out.
    uint64_t bytes[THREADS];
    uint64_t refused;
    uint32_t stack;
};

static void enter_block(struct exchange *exchange, uint32_t number, uint64_t address)
{
    const struct oh_block block = {
        .address = address, .size = address & 0xfff, .stack = exchange->stack};
    if (!oh_filter_add((void *)address)) {
        (void)oh_add_relaxed(&exchange->refused, 1);
        return;
    }
    if (!oh_tables_enter(&block)) {
        oh_filter_remove((void *)address);
        (void)oh_add_relaxed(&exchange->refused, 1);
        return;
    }
    exchange->live[number]++;
    exchange->bytes[number] += block.size;
}

static bool take_block(struct exchange *exchange, uint32_t number, uint64_t address)
{
    struct oh_block block;
    if (!oh_filter_maybe((void *)address))
        return false;
    if (!oh_live_take(address, &block))
        return false;
    oh_require(block.address == address && block.size == (address & 0xfff));
    oh_filter_remove((void *)address);
    exchange->live[number]--;
    exchange->bytes[number] -= block.size;
    return true;
}

static void come_and_go(uint32_t number, void *arg)
{
    struct exchange *exchange = arg;
    struct oh_random random = {number + 100};
    static __thread uint64_t own[OWN];
    uint64_t next = ((uint64_t)number + 1) << 40;
    for (int i = 0; i < STEPS; i++) {
        uint64_t *slot = &own[oh_random_below(&random, OWN)];
        uint64_t *mail = &exchange->mail[(number + 1) % THREADS][i % MAILBOXES];
        uint64_t *mine = &exchange->mail[number][i % MAILBOXES];
        if (*slot == 0) {
            *slot = next += 16;
            enter_block(exchange, number, *slot);
        } else if ((i & 3) == 0 && oh_load_acquire(mail) == 0) {
            oh_store_release(mail, *slot);
            *slot = 0;
        } else {
            // A block of ours is always found, unless it was refused.
            if (!take_block(exchange, number, *slot))
                oh_require(oh_load_relaxed(&exchange->refused) > 0);
            *slot = 0;
        }
        uint64_t handed = oh_load_acquire(mine);
        if (handed != 0) {
            (void)take_block(exchange, number, handed);
            oh_store_release(mine, 0);
        }
    }
}

static void blocks_add_up(const char *dir, uint64_t max_bytes, bool fits)
{
    static struct exchange exchange;
    struct oh_tables_sum sum;
    uint64_t live = 0, bytes = 0;
    begin(dir, max_bytes);
    exchange.stack = intern(1);
    oh_threads_run(THREADS, come_and_go, &exchange);
    for (int i = 0; i < THREADS; i++) {
        live += exchange.live[i];
        bytes += exchange.bytes[i];
    }
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, live);
    oh_require_equal(sum.blocks_bytes, bytes);
    oh_require_equal(sum.damaged, 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), exchange.refused);
    oh_require(fits == (exchange.refused == 0));
}

static void blocks_fit(void *dir)
{
    blocks_add_up(dir, UINT64_C(64) << 20, true);
}

static void blocks_do_not_fit(void *dir)
{
    blocks_add_up(dir, OH_TABLES_SMALLEST, false);
}

static void test_blocks_entered_and_taken_by_all_at_once_add_up(void **state)
{
    (void)state;
    oh_scratch_run(blocks_fit);
}

static void test_blocks_that_find_no_place_are_counted_by_all(void **state)
{
    (void)state;
    oh_scratch_run(blocks_do_not_fit);
}

// --- The filter: addresses of all threads share counters

static void share_counters(uint32_t number, void *arg)
{
    uint64_t *refused = arg;
    for (uint64_t i = 0; i < 200000; i++) {
        // 64 counters in 8 words for all; each has its last block removed all the time.
        uint64_t random = oh_random_next(&(struct oh_random){i * THREADS + number});
        void *block = (void *)((random & 63) << OH_FILTER_GRANULE_BITS);
        if (!oh_filter_add(block)) {
            (void)oh_add_relaxed(refused, 1);
            continue;
        }
        for (int look = 0; look < 8; look++)
            oh_require(oh_filter_maybe(block));
        oh_filter_remove(block);
    }
}

static void counters_return(void *arg)
{
    uint64_t refused = 0;
    (void)arg;
    oh_threads_run(THREADS, share_counters, &refused);
    // A thread that stands still between its two steps of removing refuses others at that counter.
    oh_require(refused < 200000 * (uint64_t)THREADS / 4);
    uint32_t left = 0;
    for (int i = 0; i < OH_FILTER_WORDS; i++)
        left += (uint32_t)__builtin_popcount(oh_filter_flags[i]);
    // A remove that lost a race too often leaves its flag.
    oh_require(left <= 2);
}

static void test_filter_shared_by_all_never_denies_a_live_block(void **state)
{
    (void)state;
    oh_child_must_pass(counters_return, NULL);
}

// --- Growth: every thread wants the same section at the same moment

static void reserve_all(uint32_t number, void *arg)
{
    (void)number;
    (void)arg;
    for (uint32_t level = 0;; level++) {
        struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, level);
        if (section == NULL)
            break;
        oh_require(oh_recording_reserve(section) == 0);
        oh_require(oh_recording_ready(section));
        uint64_t *last = oh_recording_at(section->offset + section->bytes - sizeof *last);
        (void)oh_add_relaxed(last, 1);
    }
}

static void all_reserve(void *dir)
{
    begin(dir, UINT64_C(64) << 20);
    oh_threads_run(THREADS, reserve_all, NULL);
    for (uint32_t level = 0; oh_recording_section(OH_SECTION_LIVE, level) != NULL; level++) {
        const struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, level);
        const uint64_t *last = oh_recording_at(section->offset + section->bytes - sizeof *last);
        oh_require_equal(*last, THREADS);
    }
}

static void test_sections_reserved_by_all_at_once_are_there(void **state)
{
    (void)state;
    oh_scratch_run(all_reserve);
}

// --- Texts and entries: every byte is given out once

static void add_texts(uint32_t number, void *arg)
{
    uint64_t *stored = arg;
    char text[64];
    memset(text, 'a' + (int)number, sizeof text);
    for (int i = 0; i < 400; i++) {
        struct oh_format_text added = oh_recording_add_text(text, 1 + (size_t)i % sizeof text);
        if (added.length == 0)
            continue;
        (void)oh_add_relaxed(stored, 1);
        oh_require(memcmp(oh_recording_at(added.offset), text, added.length) == 0);
    }
}

static void texts_stay_apart(void *dir)
{
    uint64_t stored = 0;
    begin(dir, UINT64_C(64) << 20);
    oh_threads_run(THREADS, add_texts, &stored);
    oh_require_equal(stored + oh_tables_counter(OH_COUNTER_strings_full), THREADS * 400);
}

static void test_texts_added_by_all_at_once_stay_whole(void **state)
{
    (void)state;
    oh_scratch_run(texts_stay_apart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stacks_interned_by_all_at_once_add_up),
        cmocka_unit_test(test_stacks_that_find_no_place_are_counted_by_all),
        cmocka_unit_test(test_blocks_entered_and_taken_by_all_at_once_add_up),
        cmocka_unit_test(test_blocks_that_find_no_place_are_counted_by_all),
        cmocka_unit_test(test_filter_shared_by_all_never_denies_a_live_block),
        cmocka_unit_test(test_sections_reserved_by_all_at_once_are_there),
        cmocka_unit_test(test_texts_added_by_all_at_once_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
