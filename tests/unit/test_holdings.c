// SPDX-License-Identifier: Apache-2.0
//
// The errors of what stacks hold, from a recording made by hand. Sums, and the errors of all that
// is in use, are looked at through the profile in test_writer.

#include "profile/holdings.h"

#include <math.h>

#include "offheap/step.h"
#include "profile/writer.h"
#include "support/cmocka.h"
#include "support/profiling.h"

static struct oh_profiling fixture;

static int no_name(void *self, struct oh_symbol_module *module, uint64_t address,
                   oh_symbol_emit_fn *emit, void *arg)
{
    (void)self;
    (void)module;
    (void)address;
    (void)emit;
    (void)arg;
    return 0;
}

static const struct oh_symbol_source source = {.find_file = oh_profiling_no_file,
                                               .c_frames = no_name};

// The variance of the growth of a stack that has 64 MiB of before and as much of later, in blocks
// that stand for themselves.
static double variance_of_growth(uint64_t then_bytes, double alloc_variance)
{
    enum { SINCE = 100, BLOCK = 64 << 20 };
    const uint64_t pc = 0x401100;
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    const struct oh_writer_options growth = {.errors_since_s = SINCE};
    oh_profiling_begin(&fixture);
    oh_synthetic_begin(&fixture.recording, OH_MODE_SAMPLED);
    struct oh_format_stack *stack = oh_synthetic_stack(&fixture.recording, &like, &pc, 1, 0);
    for (uint32_t i = 0; i < 2; i++) {
        const struct oh_block block = {.address = 0x10000 + 0x100 * (uint64_t)i,
                                       .size = BLOCK,
                                       .time_s = SINCE - 1 + i,
                                       .stack = oh_synthetic_ref(&fixture.recording, stack)};
        (void)oh_synthetic_block(&fixture.recording, &block);
    }
    stack->alloc_objects = 10;
    stack->alloc_bytes = UINT64_C(10) * BLOCK;
    stack->alloc_bytes_variance = oh_bits_of_double(alloc_variance);
    struct oh_step_row row = {.second = SINCE, .values = {oh_step_pack(then_bytes)}};
    stack->steps[0] = row.values[0];
    stack->step_word = oh_step_word(&row);
    assert_int_equal(oh_profiling_build(&fixture, &source, &growth), 0);
    const double variance = fixture.profile.samples[0].variances[OH_VALUE_INUSE_SPACE];
    oh_profiling_end(&fixture);
    return variance;
}

// What is live since before says nothing wrong of growth. What is gone since then does, by as much
// as the stack's allocations do on the average.
static void test_errors_of_growth_are_of_what_came_and_of_what_went(void **state)
{
    const uint64_t block = 64 << 20;
    const double each = 1000;
    const double of_all = 10 * (double)block * each;
    (void)state;
    assert_float_equal(variance_of_growth(block + 5000, of_all), 5000 * each, 1);
    assert_float_equal(variance_of_growth(block, of_all), 0, 1);
    assert_float_equal(variance_of_growth(0, of_all), 0, 1);
    // A damaged recording's
    assert_float_equal(variance_of_growth(2 * block, -of_all), 0, 1);
    assert_float_equal(variance_of_growth(2 * block, (double)INFINITY), 0, 1);
    assert_float_equal(variance_of_growth(2 * block, (double)NAN), 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_of_growth_are_of_what_came_and_of_what_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
