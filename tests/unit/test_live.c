// SPDX-License-Identifier: Apache-2.0
#include "tables/live.h"

#include "base/atomic.h"
#include "recording/layout.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/stacks.h"

// The reference of a stack, which the reader asks of every block.
static uint32_t begin(const char *dir, uint64_t max_bytes)
{
    const uint64_t pc = 0x401000;
    struct oh_stack_key key = {.kind = OH_KIND_MALLOC, .depth = 1, .pcs = &pc};
    struct oh_config config;
    oh_tables_config(&config, dir, max_bytes);
    oh_tables_begin(&config);
    return oh_stacks_intern(&key);
}

static bool insert(uint64_t address, uint64_t size)
{
    struct oh_format_block block = {.size = size, .weight = size + 1, .stack = 7, .time_s = 9};
    struct oh_format_block old;
    bool replaced = true;
    bool entered = oh_live_insert(address, &block, &replaced, &old);
    oh_require(!replaced);
    return entered;
}

static void comes_and_goes(void *dir)
{
    struct oh_format_block block = {.size = 99};
    (void)begin(dir, OH_TABLES_SMALLEST);
    // not there
    oh_require(!oh_live_remove(0x1000, &block) && block.size == 99);
    // there, with all its facts, once
    oh_require(insert(0x1000, 24));
    oh_require(oh_live_remove(0x1000, &block));
    oh_require(block.size == 24 && block.weight == 25 && block.stack == 7 && block.time_s == 9);
    block.size = 99;
    oh_require(!oh_live_remove(0x1000, &block) && block.size == 99);
    // and again
    oh_require(insert(0x1000, 0));
    oh_require(oh_live_remove(0x1000, &block) && block.size == 0);
}

static void test_block_that_was_entered_is_taken_out_once(void **state)
{
    (void)state;
    oh_scratch_run(comes_and_goes);
}

static void is_replaced(void *dir)
{
    struct oh_format_block block = {.size = 1}, old = {0};
    bool replaced = false;
    (void)begin(dir, OH_TABLES_SMALLEST);
    oh_require(insert(0x1000, 24));
    // when the address comes back without a free
    block.size = 48;
    oh_require(oh_live_insert(0x1000, &block, &replaced, &old));
    // then the old block is handed over and the new one stands alone
    oh_require(replaced && old.size == 24 && old.weight == 25);
    oh_require(oh_live_remove(0x1000, &block) && block.size == 48);
    oh_require(!oh_live_remove(0x1000, &block));
}

static void test_insert_of_a_known_address_hands_over_the_old_block(void **state)
{
    (void)state;
    oh_scratch_run(is_replaced);
}

// A word that a killed writer left busy: it is never given out and stops nobody.
static void word_stays_busy(void *dir)
{
    struct oh_tables_sum sum;
    struct oh_format_block block;
    uint32_t stack = begin(dir, OH_TABLES_SMALLEST);
    const struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, 0);
    uint64_t *words = oh_recording_at(section->offset);
    uint64_t slots = oh_layout_live_slots(section->bytes);
    for (uint64_t i = 0; i < slots; i += 2)
        oh_store_relaxed(&words[i], OH_LIVE_BUSY);
    for (uint64_t n = 1; n <= 2000; n++) {
        bool replaced;
        struct oh_format_block facts = {.size = n, .weight = 1, .stack = stack}, old;
        oh_require(oh_live_insert(n * 16, &facts, &replaced, &old) && !replaced);
    }
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, 2000);
    oh_require_equal(sum.blocks_bytes, 2000 * 2001 / 2);
    for (uint64_t n = 1; n <= 2000; n++)
        oh_require(oh_live_remove(n * 16, &block) && block.size == n);
    for (uint64_t i = 0; i < slots; i += 2)
        oh_require_equal(words[i], OH_LIVE_BUSY);
}

static void test_words_that_stay_busy_are_passed_over(void **state)
{
    (void)state;
    oh_scratch_run(word_stays_busy);
}

// --- Random operations against a plain array

enum { ADDRESSES = 60000, OPERATIONS = 1000000 };

struct model {
    bool live[ADDRESSES];
    uint64_t size[ADDRESSES];
    uint64_t count;
};

static uint64_t address_of(uint64_t n)
{
    return UINT64_C(0x7f0000000010) + n * 32;
}

static void enter_one(struct model *model, uint64_t n, uint64_t size)
{
    struct oh_format_block block = {.size = size, .weight = n}, old;
    bool replaced;
    oh_require(oh_live_insert(address_of(n), &block, &replaced, &old) && !replaced);
    model->live[n] = true;
    model->size[n] = size;
    model->count++;
}

static void take_one(struct model *model, uint64_t n)
{
    struct oh_format_block block;
    bool taken = oh_live_remove(address_of(n), &block);
    oh_require(taken == model->live[n]);
    if (taken)
        oh_require(block.size == model->size[n] && block.weight == n);
    model->count -= taken;
    model->live[n] = false;
}

static void follows_the_model(void *dir)
{
    static struct model model;
    struct oh_random random = {21};
    (void)begin(dir, UINT64_C(128) << 20);
    for (int i = 0; i < OPERATIONS; i++) {
        uint64_t n = oh_random_below(&random, ADDRESSES);
        uint64_t size = oh_random_next(&random);
        // Waves: it grows until most is live, then shrinks to little, and so on.
        bool growing = i / (2 * ADDRESSES) % 2 == 0;
        if (!model.live[n] && oh_random_below(&random, 10) < (growing ? 9 : 2))
            enter_one(&model, n, size);
        else
            take_one(&model, n);
    }
    for (uint64_t n = 0; n < ADDRESSES; n++)
        take_one(&model, n);
    oh_require_equal(model.count, 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), 0);
}

static void test_a_million_random_operations_agree_with_a_map(void **state)
{
    (void)state;
    oh_scratch_run(follows_the_model);
}

// --- Capacity

static void a_million_are_live(void *dir)
{
    enum { BLOCKS = 1000000 };
    struct oh_tables_sum sum;
    struct oh_format_block block;
    uint32_t stack = begin(dir, UINT64_C(128) << 20); // OFFHEAP_MAX_BYTES when nothing is said
    for (uint64_t n = 1; n <= BLOCKS; n++) {
        bool replaced;
        struct oh_format_block facts = {.size = n, .weight = 1, .stack = stack}, old;
        oh_require(oh_live_insert(n * 48, &facts, &replaced, &old) && !replaced);
    }
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), 0);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, BLOCKS);
    oh_require_equal(sum.blocks_bytes, (uint64_t)BLOCKS * (BLOCKS + 1) / 2);
    for (uint64_t n = 1; n <= BLOCKS; n++)
        oh_require(oh_live_remove(n * 48, &block) && block.size == n);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, 0);
}

static void test_a_million_blocks_are_live_at_once_in_exact_mode(void **state)
{
    (void)state;
    oh_scratch_run(a_million_are_live);
}

static void table_is_full(void *dir)
{
    struct oh_tables_sum sum;
    struct oh_format_block block;
    uint64_t entered = 0, refused = 0;
    uint32_t stack = begin(dir, OH_TABLES_SMALLEST);
    for (uint64_t n = 1; n <= 100000; n++) {
        bool replaced;
        struct oh_format_block facts = {.size = n, .weight = 1, .stack = stack}, old;
        if (oh_live_insert(n * 16, &facts, &replaced, &old))
            entered++;
        else
            refused++;
    }
    oh_require(entered > 16384 && refused > 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), refused);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_no_room), 0);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, entered);
    // what was refused is not there, what was entered is
    uint64_t found = 0;
    for (uint64_t n = 1; n <= 100000; n++) {
        if (oh_live_remove(n * 16, &block)) {
            oh_require_equal(block.size, n);
            found++;
        }
    }
    oh_require_equal(found, entered);
    // and there is room again
    oh_require(insert(16, 1));
}

static void test_insert_into_a_full_table_counts_and_keeps_what_is_there(void **state)
{
    (void)state;
    oh_scratch_run(table_is_full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_that_was_entered_is_taken_out_once),
        cmocka_unit_test(test_insert_of_a_known_address_hands_over_the_old_block),
        cmocka_unit_test(test_words_that_stay_busy_are_passed_over),
        cmocka_unit_test(test_a_million_random_operations_agree_with_a_map),
        cmocka_unit_test(test_a_million_blocks_are_live_at_once_in_exact_mode),
        cmocka_unit_test(test_insert_into_a_full_table_counts_and_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
