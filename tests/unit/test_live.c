// SPDX-License-Identifier: Apache-2.0
#include "tables/live.h"

#include "base/atomic.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/stacks.h"

// How much is done: a sanitizer makes each step dear.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { ADDRESSES = 20000, OPERATIONS = 200000, HEAP_BLOCKS = 12000, MANY_BLOCKS = 200000 };
enum { CHURN_LIVE = 20000, CHURN_TURNS = 200000, TRIED = 90000 };
static const uint64_t many_max_bytes = UINT64_C(10) << 20;
#else
enum { ADDRESSES = 60000, OPERATIONS = 1000000, HEAP_BLOCKS = 400000, MANY_BLOCKS = 3000000 };
enum { CHURN_LIVE = 100000, CHURN_TURNS = 3000000, TRIED = 200000 };
// OFFHEAP_MAX_BYTES when nothing is said.
static const uint64_t many_max_bytes = UINT64_C(128) << 20;
#endif

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

static bool take_out(uint64_t address)
{
    uint64_t size;
    return oh_live_remove(address, &size);
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
    oh_require(!take_out(0x1000));
    // and again
    oh_require(insert(0x1000, 0));
    oh_require(oh_live_take(0x1000, &block) && block.size == 0);
    oh_require(insert(0x1000, 1));
    oh_require(take_out(0x1000) && !take_out(0x1000));
    // removed with its size, also one that is kept in two parts
    uint64_t size = 0;
    oh_require(insert(0x1000, UINT64_C(5) << 32 | 9));
    oh_require(oh_live_remove(0x1000, &size) && size == (UINT64_C(5) << 32 | 9));
    oh_require(!oh_live_remove(0x1000, &size));
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
    oh_require(!take_out(0x1000));
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
    oh_require(!take_out(0x1000));
    oh_require(insert(0x2000, 1) && take_out(0x2000));
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
    uint64_t slots = section->bytes / sizeof *entries;
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

// What holds something: a page that nothing was ever put in is on the disk at most.
static double used_bytes_a_block(uint64_t blocks)
{
    enum { PAGE_WORDS = 512 };
    uint64_t bytes = 0;
    for (uint32_t level = 0; oh_recording_section(OH_SECTION_LIVE, level) != NULL; level++) {
        const struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, level);
        if (!oh_recording_ready(section))
            continue;
        const uint64_t *words = oh_recording_at(section->offset);
        for (uint64_t page = 0; page < section->bytes / (PAGE_WORDS * sizeof *words); page++) {
            uint64_t i = 0;
            while (i < PAGE_WORDS && oh_load_relaxed(&words[page * PAGE_WORDS + i]) == 0)
                i++;
            bytes += i < PAGE_WORDS ? PAGE_WORDS * sizeof *words : 0;
        }
    }
    return (double)bytes / (double)blocks;
}

static double reserved_bytes_a_block(uint64_t blocks)
{
    uint64_t bytes = 0;
    for (uint32_t level = 0; oh_recording_section(OH_SECTION_LIVE, level) != NULL; level++) {
        const struct oh_format_section *section = oh_recording_section(OH_SECTION_LIVE, level);
        if (oh_recording_ready(section))
            bytes += section->bytes;
    }
    return (double)bytes / (double)blocks;
}

enum { FEW = 10000, QUITE_A_FEW = 100000 };

// The bar of the whole library is 48 bytes of memory.
static void hold_memory(uint64_t blocks)
{
    const double most_used = blocks < QUITE_A_FEW ? 46 : 40, most_reserved = 64;
    oh_require(used_bytes_a_block(blocks) <= most_used);
    oh_require(reserved_bytes_a_block(blocks) <= most_reserved);
}

// Looks at the table whenever it holds a twentieth more than at the last look.
static void hold_memory_at_times(uint64_t blocks, uint64_t *next_look)
{
    if (blocks < *next_look)
        return;
    *next_look = blocks + blocks / 20;
    hold_memory(blocks);
}

// A heap as an allocator fills it: the next block begins so many bytes on.
struct heap {
    uint64_t least, range; // Of the distances, multiples of 16; all between are alike.
};

static uint64_t distance(const struct heap *heap, struct oh_random *random)
{
    return heap->least + 16 * oh_random_below(random, heap->range / 16 + 1);
}

static void heap_is_entered(const char *dir, const struct heap *heap)
{
    struct oh_random random = {3};
    uint64_t first = UINT64_C(0x10000000000), address = first, next_look = FEW;
    (void)begin(dir, UINT64_C(128) << 20);
    for (uint64_t n = 1; n <= HEAP_BLOCKS; n++) {
        oh_require(insert(address, n));
        address += distance(heap, &random);
        hold_memory_at_times(n, &next_look);
    }
    // each stands there once
    random = (struct oh_random){3};
    address = first;
    for (uint64_t n = 1; n <= HEAP_BLOCKS; n++) {
        struct oh_block block;
        oh_require(oh_live_take(address, &block) && block.size == n);
        oh_require(!take_out(address));
        address += distance(heap, &random);
    }
}

static const struct heap *entered_heap; // Handed to the child.

static void entered_in(void *dir)
{
    heap_is_entered(dir, entered_heap);
}

static void test_heaps_of_any_distance_are_found_again_and_none_is_dear(void **state)
{
    // The distances of glibc's smallest chunks, of pages, arenas and huge pages, and mixtures.
    static const struct heap heaps[] = {
        {32, 0},   {48, 0},    {64, 0},      {80, 0},      {256, 0},      {1040, 0}, {4096, 0},
        {8192, 0}, {65536, 0}, {1 << 20, 0}, {2 << 20, 0}, {64 << 20, 0}, {32, 80},  {16, 4080}};
    (void)state;
    for (size_t i = 0; i < sizeof heaps / sizeof heaps[0]; i++) {
        entered_heap = &heaps[i];
        oh_scratch_run(entered_in);
    }
}

static void many_are_live(void *dir)
{
    struct oh_tables_sum sum;
    uint64_t next_look = FEW;
    uint32_t stack = begin(dir, many_max_bytes);
    for (uint64_t n = 1; n <= MANY_BLOCKS; n++) {
        const struct oh_block block = {.address = n * 48, .size = n, .stack = stack};
        oh_require(oh_tables_enter(&block));
        hold_memory_at_times(n, &next_look);
    }
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_live_full), 0);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, MANY_BLOCKS);
    oh_require_equal(sum.blocks_bytes, (uint64_t)MANY_BLOCKS * (MANY_BLOCKS + 1) / 2);
    for (uint64_t n = 1; n <= MANY_BLOCKS; n++)
        oh_require(take_out(n * 48));
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
    static uint64_t addresses[CHURN_LIVE];
    struct oh_random random = {5};
    uint64_t next = 0;
    (void)begin(dir, UINT64_C(128) << 20);
    for (uint64_t i = 0; i < CHURN_TURNS; i++) {
        uint64_t *address = &addresses[i < CHURN_LIVE ? i : oh_random_below(&random, CHURN_LIVE)];
        if (*address != 0)
            oh_require(take_out(*address));
        *address = next += 16 + 16 * oh_random_below(&random, 8);
        oh_require(insert(*address, 1));
    }
    hold_memory(CHURN_LIVE);
}

static void test_blocks_that_come_and_go_do_not_make_the_table_grow(void **state)
{
    (void)state;
    oh_scratch_run(churn);
}

static void table_is_full(void *dir)
{
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
        cmocka_unit_test(test_heaps_of_any_distance_are_found_again_and_none_is_dear),
        cmocka_unit_test(test_three_million_blocks_are_live_at_once_and_none_is_dear),
        cmocka_unit_test(test_blocks_that_come_and_go_do_not_make_the_table_grow),
        cmocka_unit_test(test_insert_into_a_full_table_counts_and_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
