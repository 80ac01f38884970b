// SPDX-License-Identifier: Apache-2.0
//
// The places of a recording's addresses: in which order they are named, and that none is missed.
// What profiles show of them: test_writer.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "profile/writer.h"
#include "support/profiling.h"

static struct oh_profiling fixture;
static int asked;           // How often a name was asked for,
static int asked_back;      // how often for one before the last,
static uint64_t asked_last; // and for which.

static int name_c(void *self, struct oh_symbol_module *module, uint64_t address,
                  oh_symbol_emit_fn *emit, void *arg)
{
    char name[32];
    (void)self;
    (void)module;
    asked++;
    asked_back += address < asked_last ? 1 : 0;
    asked_last = address;
    struct oh_symbol_frame frame = {.name = name};
    frame.name_len = (size_t)snprintf(name, sizeof name, "f_%llx", (unsigned long long)address);
    (void)emit(arg, &frame);
    return 1;
}

static const struct oh_symbol_source source = {.find_file = oh_profiling_no_file,
                                               .c_frames = name_c,
                                               .asks_without_file = true};

static int build(const struct oh_writer_options *options)
{
    asked = 0;
    asked_back = 0;
    asked_last = 0;
    return oh_profiling_build(&fixture, &source, options);
}

static int setup(void **state)
{
    (void)state;
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    oh_synthetic_module(&fixture.recording, "/opt/app", 0x400000, 0x480000)->flags = OH_MODULE_MAIN;
    oh_profiling_begin(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_profiling_end(&fixture);
    return 0;
}

// A frame's name in the sample of that many bytes.
static const char *name_at(int64_t bytes, uint32_t frame)
{
    const struct oh_profile *profile = &fixture.profile;
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        const struct oh_profile_sample *sample = &profile->samples[i];
        if (sample->values[OH_VALUE_ALLOC_SPACE] != bytes)
            continue;
        assert_true(frame < sample->depth);
        const struct oh_profile_line *line = profile->locations[sample->locations[frame]].lines;
        return oh_profile_text(profile, profile->functions[line->function].name);
    }
    fail_msg("no sample of %lld bytes", (long long)bytes);
    return NULL;
}

static void test_name_asks_in_the_order_of_addresses(void **state)
{
    (void)state;
    const uint64_t pcs[] = {0x401500, 0x40a100, 0x401300, 0x401501, 0x479000};
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    oh_synthetic_stack(&fixture.recording, &like, pcs, 5, 0)->alloc_bytes = 1;
    oh_synthetic_stack(&fixture.recording, &like, pcs + 2, 2, 0)->alloc_bytes = 2;
    assert_int_equal(build(NULL), 0);
    assert_int_equal(asked, 5);
    assert_int_equal(asked_back, 0);
    // and the samples are as recorded
    assert_string_equal(name_at(1, 0), "f_14ff");
    assert_string_equal(name_at(1, 4), "f_78fff");
    assert_string_equal(name_at(2, 1), "f_1500");
}

// Says yes, or adds a stack, when it is asked for the second time: while addresses are named.
struct second_time {
    int times;
    bool stops;
};

static bool act_at_second_time(void *arg)
{
    static const uint64_t pcs[] = {0x401700, 0x401100};
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    struct second_time *second = arg;
    if (++second->times != 2)
        return false;
    if (!second->stops)
        oh_synthetic_stack(&fixture.recording, &like, pcs, 2, 0)->alloc_bytes = 77;
    return second->stops;
}

static int build_with_second_time(bool stops)
{
    const uint64_t pc = 0x401100;
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    struct second_time second = {.stops = stops};
    const struct oh_writer_options options = {.stop = act_at_second_time, .stop_arg = &second};
    oh_synthetic_stack(&fixture.recording, &like, &pc, 1, 0)->alloc_bytes = 1;
    return build(&options);
}

static void test_name_told_to_stop_gives_up(void **state)
{
    (void)state;
    assert_int_equal(build_with_second_time(true), -ETIMEDOUT);
}

static void test_get_stack_that_comes_while_naming_has_names(void **state)
{
    (void)state;
    assert_int_equal(build_with_second_time(false), 0);
    assert_string_equal(name_at(1, 0), "f_10ff");
    assert_string_equal(name_at(77, 0), "f_16ff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_name_asks_in_the_order_of_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_told_to_stop_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get_stack_that_comes_while_naming_has_names, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
