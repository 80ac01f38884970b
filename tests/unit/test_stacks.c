// SPDX-License-Identifier: Apache-2.0
#include "tables/stacks.h"

#include <string.h>

#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"

enum { PCS_MAX = OH_FORMAT_MAX_DEPTH };

static void begin(const char *dir, uint64_t max_bytes)
{
    struct oh_config config;
    oh_tables_config(&config, dir, max_bytes);
    oh_tables_begin(&config);
}

// The n-th stack of a family that never repeats: its depth and frames follow from n.
static void make_key(struct oh_stack_key *key, uint64_t pcs[PCS_MAX], uint64_t n)
{
    struct oh_random random = {n};
    *key = (struct oh_stack_key){
        .kind = OH_KIND_MALLOC,
        .phase = OH_PHASE_MAIN,
        .end = OH_STACK_END_CLEAN,
        .depth = 1 + (uint32_t)oh_random_below(&random, 12),
        .pcs = pcs,
    };
    for (uint32_t i = 0; i < key->depth; i++)
        pcs[i] = 0x400000 + (oh_random_below(&random, 1 << 20) << 4);
    pcs[0] = 0x7f0000000000 + n;
}

static void keeps_all_parts(void *dir)
{
    uint64_t pcs[PCS_MAX];
    struct oh_stack_key key;
    begin(dir, OH_TABLES_SMALLEST);
    make_key(&key, pcs, 5);
    key.epoch = 3;
    key.end = OH_STACK_END_BROKEN;
    key.shard = 2;
    // when
    oh_require_equal(oh_stacks_find(&key), 0);
    uint32_t reference = oh_stacks_intern(&key);
    // then
    oh_require(reference != 0);
    oh_require_equal(oh_stacks_find(&key), reference);
    oh_require_equal(oh_stacks_intern(&key), reference);
    const struct oh_format_stack *stack = oh_stacks_at(reference);
    oh_require_equal(stack->epoch, 3);
    oh_require_equal(stack->kind, OH_KIND_MALLOC);
    oh_require_equal(stack->phase, OH_PHASE_MAIN);
    oh_require_equal(stack->end, OH_STACK_END_BROKEN);
    oh_require_equal(stack->shard, 2);
    oh_require_equal(stack->depth, key.depth);
    oh_require(memcmp(stack + 1, pcs, key.depth * sizeof *pcs) == 0);
    oh_require(stack->alloc_objects == 0 && stack->alloc_bytes == 0 && stack->samples == 0);
}

static void test_intern_of_a_stack_makes_it_known_once(void **state)
{
    (void)state;
    oh_scratch_run(keeps_all_parts);
}

static void every_part_counts(void *dir)
{
    uint64_t pcs[PCS_MAX];
    struct oh_stack_key key, other;
    uint32_t references[9];
    begin(dir, OH_TABLES_SMALLEST);
    make_key(&key, pcs, 5);
    key.depth = 3;
    references[0] = oh_stacks_intern(&key);
    other = key;
    other.epoch = 1;
    references[1] = oh_stacks_intern(&other);
    other = key;
    other.kind = 2;
    references[2] = oh_stacks_intern(&other);
    other = key;
    other.phase = OH_PHASE_BEFORE_MAIN;
    references[3] = oh_stacks_intern(&other);
    other = key;
    other.end = OH_STACK_END_DEPTH;
    references[4] = oh_stacks_intern(&other);
    other = key;
    other.depth = 2;
    references[5] = oh_stacks_intern(&other);
    other.depth = 0;
    references[6] = oh_stacks_intern(&other);
    pcs[2]++;
    references[7] = oh_stacks_intern(&key);
    key.shard = 1;
    references[8] = oh_stacks_intern(&key);
    for (int i = 0; i < 9; i++) {
        oh_require(references[i] != 0);
        for (int j = 0; j < i; j++)
            oh_require(references[i] != references[j]);
    }
}

static void test_intern_of_stacks_that_differ_in_one_part_keeps_them_apart(void **state)
{
    (void)state;
    oh_scratch_run(every_part_counts);
}

// Equal tags in one bucket: the index word alone cannot tell them apart.
static void tags_collide(void *dir)
{
    uint64_t first, second = 0, pcs[PCS_MAX];
    struct oh_stack_key key;
    begin(dir, OH_TABLES_SMALLEST);
    make_key(&key, pcs, 1);
    key.depth = 1;
    first = oh_stacks_intern(&key);
    // The record under the first stack's index word is made to look like another stack.
    struct oh_format_stack *stack = oh_stacks_at((uint32_t)first);
    uint64_t *frame = (uint64_t *)(stack + 1);
    *frame += 8;
    second = oh_stacks_intern(&key);
    oh_require(second != 0 && second != first);
    *frame -= 8;
    // so for every part of it
    stack->hash++;
    oh_require_equal(oh_stacks_find(&key), second);
    stack->hash--;
    stack->epoch++;
    oh_require_equal(oh_stacks_find(&key), second);
    stack->epoch--;
    stack->depth++;
    oh_require_equal(oh_stacks_find(&key), second);
    stack->depth--;
    stack->kind++;
    oh_require_equal(oh_stacks_find(&key), second);
    stack->kind--;
    stack->phase++;
    oh_require_equal(oh_stacks_find(&key), second);
    stack->phase--;
    stack->end++;
    oh_require_equal(oh_stacks_find(&key), second);
    stack->end--;
    oh_require_equal(oh_stacks_find(&key), first);
}

static void test_find_compares_the_frames_and_not_only_the_hash(void **state)
{
    (void)state;
    oh_scratch_run(tags_collide);
}

static void deepest(void *dir)
{
    static uint64_t pcs[PCS_MAX];
    struct oh_stack_key key;
    begin(dir, OH_TABLES_SMALLEST);
    make_key(&key, pcs, 1);
    key.depth = PCS_MAX;
    for (int i = 0; i < PCS_MAX; i++)
        pcs[i] = (uint64_t)i + 1;
    uint32_t reference = oh_stacks_intern(&key);
    oh_require(reference != 0 && oh_stacks_find(&key) == reference);
    key.depth = PCS_MAX - 1;
    oh_require(oh_stacks_intern(&key) != reference);
}

static void test_intern_of_the_deepest_stack_works(void **state)
{
    (void)state;
    oh_scratch_run(deepest);
}

// 200,000 distinct stacks: every one found again, at the same place, over all levels.
static void many(void *dir)
{
    enum { STACKS = 200000 };
    static uint32_t references[STACKS];
    uint64_t pcs[PCS_MAX];
    struct oh_stack_key key;
    struct oh_tables_sum sum;
    begin(dir, UINT64_C(256) << 20);
    for (uint64_t n = 0; n < STACKS; n++) {
        make_key(&key, pcs, n);
        references[n] = oh_stacks_intern(&key);
        oh_require(references[n] != 0);
        oh_stacks_at(references[n])->alloc_bytes = n;
    }
    for (uint64_t n = 0; n < STACKS; n++) {
        make_key(&key, pcs, n);
        oh_require_equal(oh_stacks_find(&key), references[n]);
        oh_require_equal(oh_stacks_at(references[n])->alloc_bytes, n);
    }
    make_key(&key, pcs, STACKS);
    oh_require_equal(oh_stacks_find(&key), 0);
    // and the reader sees each of them once
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.stacks, STACKS);
    oh_require_equal(sum.alloc_bytes, (uint64_t)STACKS * (STACKS - 1) / 2);
    oh_require_equal(sum.damaged, 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), 0);
}

static void test_intern_of_many_stacks_over_all_levels_finds_each_again(void **state)
{
    (void)state;
    oh_scratch_run(many);
}

static void table_is_full(void *dir)
{
    uint64_t pcs[PCS_MAX];
    struct oh_stack_key key;
    struct oh_tables_sum sum;
    uint64_t known = 0, refused = 0;
    begin(dir, OH_TABLES_SMALLEST);
    for (uint64_t n = 0; n < 20000; n++) {
        make_key(&key, pcs, n);
        if (oh_stacks_intern(&key) != 0)
            known++;
        else
            refused++;
    }
    oh_require(known > 1000 && refused > 1000);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), refused);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_no_room), 0);
    // what is known stays known, and costs nothing more
    make_key(&key, pcs, 0);
    oh_require(oh_stacks_intern(&key) != 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_stacks_full), refused);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.stacks, known);
}

static void test_intern_into_a_full_table_counts_and_keeps_the_known(void **state)
{
    (void)state;
    oh_scratch_run(table_is_full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intern_of_a_stack_makes_it_known_once),
        cmocka_unit_test(test_intern_of_stacks_that_differ_in_one_part_keeps_them_apart),
        cmocka_unit_test(test_find_compares_the_frames_and_not_only_the_hash),
        cmocka_unit_test(test_intern_of_the_deepest_stack_works),
        cmocka_unit_test(test_intern_of_many_stacks_over_all_levels_finds_each_again),
        cmocka_unit_test(test_intern_into_a_full_table_counts_and_keeps_the_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
