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
    const struct oh_block block = {
        .address = address, .size = size, .stack = 7, .time_s = 9, .mean = 3};
    return oh_tables_enter(&block);
}

static void comes_and_goes(void *dir)
{
    struct oh_block block = {.size = 99};
    (void)begin(dir, OH_TABLES_SMALLEST);
    // not there
    oh_require(!oh_live_take(0x1000, &block) && block.size == 99);
    // there, with all its facts, once
    oh_require(insert(0x1000, 24));
    oh_require(oh_live_take(0x1000, &block));
    oh_require(block.address == 0x1000 && block.size == 24 && block.stack == 7);
    oh_require(block.time_s == 9 && block.mean == 3);
    block.size = 99;
    oh_require(!oh_live_take(0x1000, &block) && block.size == 99);
    oh_require(!oh_live_remove(0x1000));
    // and again
    oh_require(insert(0x1000, 0));
    oh_require(oh_live_take(0x1000, &block) && block.size == 0);
    oh_require(insert(0x1000, 1));
    oh_require(oh_live_remove(0x1000) && !oh_live_remove(0x1000));
}

static void test_block_that_was_entered_is_taken_out_once(void **state)
{
    (void)state;
    oh_scratch_run(comes_and_goes);
}

static void is_replaced(void *dir)
{
    struct oh_block block = {.address = 0x1000, .size = 48};
    bool replaced = false;
    (void)begin(dir, OH_TABLES_SMALLEST);
    oh_require(insert(0x1000, 24));
    // when the address comes back without a free
    struct oh_format_block *entry = oh_live_claim(0x1000, &replaced);
    // then the old block is gone, and the new one stands alone
    oh_require(entry != NULL && replaced);
    oh_live_publish(entry, &block);
    oh_require(oh_live_take(0x1000, &block) && block.size == 48);
    oh_require(!oh_live_remove(0x1000));
}

static void test_insert_of_a_known_address_takes_out_the_old_block(void **state)
{
    (void)state;
    oh_scratch_run(is_replaced);
}

// Between the claim and the publication nobody finds the block, and others may come and go.
static void is_claimed(void *dir)
{
    struct oh_tables_sum sum;
    struct oh_block block = {.address = 0x1000, .size = 48};
    bool replaced;
    block.stack = begin(dir, OH_TABLES_SMALLEST);
    struct oh_format_block *entry = oh_live_claim(0x1000, &replaced);
    oh_require_equal(entry->place, OH_LIVE_BUSY);
    oh_require(!oh_live_remove(0x1000));
    oh_require(insert(0x2000, 1) && oh_live_remove(0x2000));
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0 && sum.blocks == 0);
    oh_live_publish(entry, &block);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0 && sum.blocks == 1);
    oh_require(sum.inuse_objects == 1 && sum.inuse_bytes == 48);
}

static void test_block_is_live_when_it_is_published(void **state)
{
    (void)state;
    oh_scratch_run(is_claimed);
}

// An entry that a killed writer left busy: it is never given out and stops nobody.
static void entry_stays_busy(void *dir)
{
    struct oh_tables_sum sum;
    struct oh_block block;
    uint32_t stack = begin(dir, OH_TABLES_SMALLEST);
    const struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, 0);
    struct oh_format_block *entries = oh_recording_at(section->offset);
    uint64_t slots = oh_layout_live_slots(section->bytes);
    for (uint64_t i = 0; i < slots; i += 2)
        oh_store_relaxed(&entries[i].place, OH_LIVE_BUSY);
    for (uint64_t n = 1; n <= 2000; n++) {
        const struct oh_block facts = {.address = n * 16, .size = n, .stack = stack};
        oh_require(oh_tables_enter(&facts));
    }
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, 2000);
    oh_require_equal(sum.blocks_bytes, 2000 * 2001 / 2);
    for (uint64_t n = 1; n <= 2000; n++)
        oh_require(oh_live_take(n * 16, &block) && block.size == n);
    for (uint64_t i = 0; i < slots; i += 2)
        oh_require_equal(entries[i].place, OH_LIVE_BUSY);
}

static void test_entries_that_stay_busy_are_passed_over(void **state)
{
    (void)state;
    oh_scratch_run(entry_stays_busy);
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
    const struct oh_block block = {
        .address = address_of(n), .size = size, .stack = (uint32_t)n, .mean = (uint32_t)n % 32};
    oh_require(oh_tables_enter(&block));
    model->live[n] = true;
    model->size[n] = size;
    model->count++;
}

static void take_one(struct model *model, uint64_t n)
{
    struct oh_block block;
    bool taken = oh_live_take(address_of(n), &block);
    oh_require(taken == model->live[n]);
    if (taken)
        oh_require(block.size == model->size[n] && block.stack == n && block.mean == n % 32);
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
        uint64_t size = oh_random_next(&random) >> (17 + oh_random_below(&random, 47));
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

// What the table has reserved; a level that has just been opened is soon touched on all pages.
static double bytes_a_block(uint64_t blocks)
{
    uint64_t bytes = 0;
    for (uint32_t level = 0; oh_recording_section(OH_SECTION_LIVE, level) != NULL; level++) {
        const struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, level);
        if (oh_recording_ready(section))
            bytes += section->bytes;
    }
    return (double)bytes / (double)blocks;
}

static void many_are_live(void *dir)
{
    enum { BLOCKS = 3000000, FEW = 10000 };
    const double most_bytes = 40; // The bar is 48 for all of the library.
    struct oh_tables_sum sum;
    uint32_t stack = begin(dir, UINT64_C(128) << 20); // OFFHEAP_MAX_BYTES when nothing is said
    for (uint64_t n = 1; n <= BLOCKS; n++) {
        const struct oh_block block = {.address = n * 48, .size = n, .stack = stack};
        oh_require(oh_tables_enter(&block));
        if (n >= FEW && n % 100 == 0)
            oh_require(bytes_a_block(n) <= most_bytes);
    }
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), 0);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, BLOCKS);
    oh_require_equal(sum.blocks_bytes, (uint64_t)BLOCKS * (BLOCKS + 1) / 2);
    for (uint64_t n = 1; n <= BLOCKS; n++)
        oh_require(oh_live_remove(n * 48));
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, 0);
}

static void test_three_million_blocks_are_live_at_once_and_none_is_dear(void **state)
{
    (void)state;
    oh_scratch_run(many_are_live);
}

// Blocks come and go at random while as many are live: no level is opened that these do not need.
static void churn(void *dir)
{
    enum { LIVE = 100000, TURNS = 3000000 };
    static uint64_t addresses[LIVE];
    struct oh_random random = {5};
    uint64_t next = 0;
    (void)begin(dir, UINT64_C(128) << 20);
    for (uint64_t i = 0; i < TURNS; i++) {
        uint64_t *address = &addresses[i < LIVE ? i : oh_random_below(&random, LIVE)];
        if (*address != 0)
            oh_require(oh_live_remove(*address));
        *address = next += 16 + 16 * oh_random_below(&random, 8);
        oh_require(insert(*address, 1));
    }
    oh_require(bytes_a_block(LIVE) <= 40);
}

static void test_blocks_that_come_and_go_do_not_make_the_table_grow(void **state)
{
    (void)state;
    oh_scratch_run(churn);
}

static void table_is_full(void *dir)
{
    enum { TRIED = 200000 };
    struct oh_tables_sum sum;
    struct oh_block block;
    uint64_t entered = 0, refused = 0;
    uint32_t stack = begin(dir, OH_TABLES_SMALLEST);
    for (uint64_t n = 1; n <= TRIED; n++) {
        const struct oh_block facts = {.address = n * 16, .size = n, .stack = stack};
        if (oh_tables_enter(&facts))
            entered++;
        else
            refused++;
    }
    oh_require(entered > 30000 && refused > 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), refused);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_no_room), 0);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, entered);
    // what was refused is not there, what was entered is
    uint64_t found = 0;
    for (uint64_t n = 1; n <= TRIED; n++) {
        if (oh_live_take(n * 16, &block)) {
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
        cmocka_unit_test(test_insert_of_a_known_address_takes_out_the_old_block),
        cmocka_unit_test(test_block_is_live_when_it_is_published),
        cmocka_unit_test(test_entries_that_stay_busy_are_passed_over),
        cmocka_unit_test(test_a_million_random_operations_agree_with_a_map),
        cmocka_unit_test(test_three_million_blocks_are_live_at_once_and_none_is_dear),
        cmocka_unit_test(test_blocks_that_come_and_go_do_not_make_the_table_grow),
        cmocka_unit_test(test_insert_into_a_full_table_counts_and_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
