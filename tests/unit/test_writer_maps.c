// SPDX-License-Identifier: Apache-2.0
//
// Maps in a profile, from a recording made by hand.
#include <string.h>

#include "profile/writer.h"
#include "support/cmocka.h"
#include "support/profiling.h"

static struct oh_profiling fixture;

static const struct oh_symbol_source source = {.find_file = oh_profiling_no_file};

static void build(void)
{
    oh_profiling_begin(&fixture);
    assert_int_equal(oh_profiling_build(&fixture, &source, NULL), 0);
}

static void forget(void)
{
    oh_profiling_end(&fixture);
}

static const char *text(uint32_t string)
{
    return oh_profiling_text(&fixture, string);
}

static uint32_t add_map_stack(uint8_t kind, uint64_t calls, uint64_t bytes)
{
    const uint64_t pc = 0x401400;
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN, .kind = kind};
    struct oh_format_stack *stack = oh_synthetic_stack(&fixture.recording, &like, &pc, 1, 0);
    stack->alloc_objects = calls << oh_synthetic_header(&fixture.recording)->weight_shift;
    stack->alloc_bytes = bytes;
    stack->samples = calls;
    return oh_synthetic_ref(&fixture.recording, stack);
}

// Three maps of two calls of which one is in two pieces, a reservation, and what is not the
// program's.
static void add_maps(void)
{
    (void)oh_synthetic_maps(&fixture.recording);
    const uint32_t memory = add_map_stack(OH_KIND_MMAP, 3, 0x9000);
    const uint32_t reserved = add_map_stack(OH_KIND_RESERVE, 1, 0x100000);
    const uint32_t gos = add_map_stack(OH_KIND_GO_RUNTIME, 1, 0x4000000);
    const uint32_t allocators = add_map_stack(OH_KIND_ALLOCATOR, 1, 0x200000);
    const uint32_t newer = add_map_stack(OH_KIND_COUNT + 7, 1, 0x300000);
    const struct oh_format_range ranges[] = {
        {0x10000, 0x12000, memory, 1},    {0x14000, 0x15000, memory, 1},
        {0x20000, 0x24000, memory, 2},    {0x100000, 0x1f0000, reserved, 3},
        {0x4000000, 0x8000000, gos, 4},   {0x9000000, 0x9200000, allocators, 5},
        {0xa000000, 0xa300000, newer, 6},
    };
    struct oh_format_map_table *table = oh_synthetic_table(&fixture.recording, 0);
    table->count = sizeof ranges / sizeof ranges[0];
    memcpy(table + 1, ranges, sizeof ranges);
}

static const struct oh_profile_sample *find_kind(const char *kind)
{
    const struct oh_profile_sample *found = NULL;
    for (uint32_t i = 0; i < fixture.profile.sample_count; i++) {
        const struct oh_profile_sample *sample = &fixture.profile.samples[i];
        if (strcmp(text(sample->labels[OH_LABEL_KIND]), kind) == 0) {
            assert_null(found);
            found = sample;
        }
    }
    return found;
}

static void test_build_maps_are_exact_and_beside_the_blocks(void **state)
{
    (void)state;
    const uint32_t modes[] = {OH_MODE_EXACT, OH_MODE_SAMPLED};
    for (int i = 0; i < 2; i++) {
        oh_synthetic_sample(&fixture.recording, modes[i]);
        add_maps();
        build();
        assert_int_equal(fixture.view.damaged, 0);
        assert_int_equal(fixture.profile.sample_count, 5);
        const struct oh_profile_sample *sample = find_kind("mmap");
        assert_int_equal(sample->values[OH_VALUE_ALLOC_OBJECTS], 3);
        assert_int_equal(sample->values[OH_VALUE_ALLOC_SPACE], 0x9000);
        assert_int_equal(sample->values[OH_VALUE_INUSE_OBJECTS], 2);
        assert_int_equal(sample->values[OH_VALUE_INUSE_SPACE], 0x7000);
        assert_float_equal(sample->variances[OH_VALUE_INUSE_SPACE], 0, 0);
        assert_int_equal(find_kind("reserve")->values[OH_VALUE_INUSE_SPACE], 0xf0000);
        assert_null(find_kind("go-runtime"));
        assert_null(find_kind("allocator"));
        assert_null(find_kind("unknown"));
        forget();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build_maps_are_exact_and_beside_the_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
