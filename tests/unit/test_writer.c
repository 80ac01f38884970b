// SPDX-License-Identifier: Apache-2.0
//
// From a recording made by hand to the model: values, labels, merging, comments. Names come from a
// source of the test's own.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "offheap/weight.h"
#include "profile/pprof.h"
#include "profile/writer.h"
#include "support/profiling.h"
#include "support/random.h"

enum { FLIPPED_RECORDINGS = 4000, FLIPS_EACH = 3, FLIPPED_BYTES = 24 << 10 };

static struct oh_profiling fixture;
static int asked; // How often a name was asked for.

// 0x1100 of the executable is a function with a call inlined into it; everything below 0x2000 of
// the executable has a name.
static int name_c(void *self, struct oh_symbol_module *module, uint64_t address,
                  oh_symbol_emit_fn *emit, void *arg)
{
    (void)self;
    char name[32];
    asked++;
    if ((module->raw.flags & OH_MODULE_MAIN) == 0)
        return 0;
    struct oh_symbol_frame frame = {.name = name, .file = "/src/app.c", .file_len = 10, .line = 7};
    frame.name_len = (size_t)snprintf(name, sizeof name, "f_%llx", (unsigned long long)address);
    if (address == 0x10ff) {
        struct oh_symbol_frame inlined = {
            .name = "inner", .name_len = 5, .line = 3, .flags = OH_FRAME_INLINED};
        (void)emit(arg, &inlined);
    }
    (void)emit(arg, &frame);
    return address == 0x10ff ? 2 : 1;
}

static const struct oh_symbol_source source = {.find_file = oh_profiling_no_file,
                                               .c_frames = name_c,
                                               .asks_without_file = true};

static int build(const struct oh_writer_options *options)
{
    return oh_profiling_build(&fixture, &source, options);
}

static int setup(void **state)
{
    (void)state;
    oh_profiling_begin(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_profiling_end(&fixture);
    return 0;
}

static const char *text(uint32_t string)
{
    return oh_profiling_text(&fixture, string);
}

static const struct oh_profile_sample *find_sample(const char *phase, int64_t alloc_bytes)
{
    for (uint32_t i = 0; i < fixture.profile.sample_count; i++) {
        const struct oh_profile_sample *sample = &fixture.profile.samples[i];
        if (strcmp(text(sample->labels[OH_LABEL_PHASE]), phase) == 0 &&
            sample->values[OH_VALUE_ALLOC_SPACE] == alloc_bytes)
            return sample;
    }
    fail_msg("no sample %s %lld", phase, (long long)alloc_bytes);
    return NULL;
}

static const char *name_at(const struct oh_profile_sample *sample, uint32_t frame, uint32_t line)
{
    const struct oh_profile_location *location =
        &fixture.profile.locations[sample->locations[frame]];
    assert_true(line < location->line_count);
    return text(fixture.profile.functions[location->lines[line].function].name);
}

static bool has_comment(const char *part)
{
    for (uint32_t i = 0; i < fixture.profile.comment_count; i++) {
        if (strstr(text(fixture.profile.comments[i]), part) != NULL)
            return true;
    }
    return false;
}

static void test_build_exact_recording_gives_the_counters(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    assert_int_equal(build(NULL), 0);
    assert_int_equal(fixture.profile.sample_count, 3);
    assert_int_equal(fixture.profile.period, 1);
    const struct oh_profile_sample *sample = find_sample("init", 1000);
    assert_int_equal(sample->values[OH_VALUE_ALLOC_OBJECTS], 10);
    assert_int_equal(sample->values[OH_VALUE_INUSE_OBJECTS], 3);
    assert_int_equal(sample->values[OH_VALUE_INUSE_SPACE], 300);
    assert_string_equal(text(sample->labels[OH_LABEL_HEAP]), "unmanaged");
    assert_string_equal(text(sample->labels[OH_LABEL_KIND]), "malloc");
    assert_int_equal(oh_profile_block_bytes(sample), 100);
}

// Half of everything is resident, and 1000 bytes are swapped out of each block.
static void measure(void *arg, uint64_t address, uint64_t size, double bytes,
                    double residency[OH_RESIDENCY_COUNT])
{
    assert_ptr_equal(arg, &fixture);
    assert_true(address != 0 && size != 0 && bytes >= (double)size);
    residency[OH_RESIDENCY_RESIDENT] += bytes / 2;
    residency[OH_RESIDENCY_SWAPPED] += 1000;
}

static void test_build_asks_for_the_residency_of_every_block(void **state)
{
    (void)state;
    const struct oh_writer_options options = {.measure = measure, .measure_arg = &fixture};
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    assert_int_equal(build(&options), 0);
    const struct oh_profile_sample *sample = find_sample("init", 1000);
    assert_float_equal(sample->residency[OH_RESIDENCY_RESIDENT], 150, 1e-9);
    assert_float_equal(sample->residency[OH_RESIDENCY_SWAPPED], 3000, 1e-9);
    assert_float_equal(find_sample("main", 64)->residency[OH_RESIDENCY_RESIDENT], 0, 1e-9);
}

static void test_build_names_leaf_first_with_inlined_calls(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    assert_int_equal(build(NULL), 0);
    const struct oh_profile_sample *sample = find_sample("init", 1000);
    assert_int_equal(sample->depth, 3);
    assert_string_equal(name_at(sample, 0, 0), "[libc-part.so]");
    assert_string_equal(name_at(sample, 1, 0), "inner");
    assert_string_equal(name_at(sample, 1, 1), "f_10ff");
    assert_string_equal(name_at(sample, 2, 0), "f_11ff");
    const struct oh_profile_location *leaf = &fixture.profile.locations[sample->locations[0]];
    assert_int_equal(leaf->address, 0x500fff);
    const struct oh_profile_function *function =
        &fixture.profile.functions[leaf->lines[0].function];
    assert_string_equal(text(function->system_name), "libc-part.so+0xfff");
    const struct oh_profile_mapping *mapping = &fixture.profile.mappings[leaf->mapping];
    assert_string_equal(text(mapping->file), "/opt/libc-part.so");
    assert_string_equal(text(mapping->build_id), "0a1b2c3d");
    assert_string_equal(text(fixture.profile.mappings[0].file), "/opt/app");
}

// arg: the only one that is wanted; 0 becomes the first that is asked for.
static bool want_one(void *arg, uint32_t stack)
{
    uint32_t *wanted = arg;
    *wanted = *wanted == 0 ? stack : *wanted;
    return stack == *wanted;
}

static void test_build_of_the_stacks_that_are_wanted(void **state)
{
    (void)state;
    uint32_t wanted = 0;
    const struct oh_writer_options one = {.want = want_one, .want_arg = &wanted};
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    assert_int_equal(build(&one), 0);
    assert_int_equal(fixture.profile.sample_count, 1);
}

static void test_build_cut_stack_ends_in_truncated(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    assert_int_equal(build(NULL), 0);
    const struct oh_profile_sample *sample = find_sample("main", 64);
    assert_int_equal(sample->depth, 3);
    assert_string_equal(name_at(sample, 2, 0), "[truncated]");
    assert_true(has_comment("1 recorded allocations whose stack is longer than the depth limit"));
    assert_false(has_comment("recorded allocations whose stack ends early"));
    assert_int_equal(sample->values[OH_VALUE_INUSE_SPACE], 0);
}

static void test_build_sampled_recording_rounds_and_has_variances(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
    assert_int_equal(build(NULL), 0);
    assert_int_equal(fixture.profile.period, 524288);
    const struct oh_profile_sample *sample = find_sample("main", 2500);
    assert_int_equal(sample->values[OH_VALUE_ALLOC_OBJECTS], 3);
    assert_int_equal(sample->values[OH_VALUE_INUSE_OBJECTS], 3);
    assert_float_equal(sample->variances[OH_VALUE_ALLOC_OBJECTS], 3.75, 1e-9);
    // Of the block's weight, 2.5004.
    assert_float_equal(sample->variances[OH_VALUE_INUSE_OBJECTS], 3.7515, 1e-4);
    assert_float_equal(sample->variances[OH_VALUE_INUSE_SPACE], 3751500, 100);
    assert_float_equal(find_sample("init", 1000)->variances[OH_VALUE_INUSE_SPACE], 0, 1e-9);
}

static void test_build_with_a_budget_tells_what_happened(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
    struct oh_format_header *header = oh_synthetic_header(&fixture.recording);
    for (uint32_t i = 8; i < 12; i++)
        header->means[i] = UINT64_C(65536) << (i - 8);
    header->budget = (struct oh_format_budget){
        .ppm = 5000,
        .spent_ns = 42100000,
        .cpu_ns = UINT64_C(12345678901),
        .changes = 14,
        .mean = 9,
        .finest = 8,
        .coarsest = 11,
    };
    assert_int_equal(build(NULL), 0);
    assert_int_equal(fixture.profile.period, 524288);
    assert_true(fixture.profile.has_means);
    assert_true(has_comment("sampled: one sample per 65536 to 524288 bytes (now 131072)"));
    assert_true(
        has_comment("budget: samples may take 0.5% of the processor time; 0.34% measured, of "
                    "12.345 s; changes of the mean: 14"));
}

static void test_build_with_a_budget_before_the_first_step_says_so(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
    struct oh_format_header *header = oh_synthetic_header(&fixture.recording);
    header->means[8] = 65536;
    header->budget = (struct oh_format_budget){.ppm = 10000, .mean = 8, .finest = 8, .coarsest = 8};
    assert_int_equal(build(NULL), 0);
    assert_int_equal(fixture.profile.period, 65536);
    assert_true(has_comment("sampled: one sample per 65536 bytes on average"));
    assert_true(has_comment("samples may take 1% of the processor time; too little was used"));
}

static void test_build_with_a_budget_that_no_library_writes_gives_some_profile(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
    struct oh_format_header *header = oh_synthetic_header(&fixture.recording);
    memset(&header->budget, 0xff, sizeof header->budget);
    assert_int_equal(build(NULL), 0);
}

static void test_build_stacks_with_equal_frames_and_labels_are_one_sample(void **state)
{
    (void)state;
    const uint64_t pcs[] = {0x401100, 0x401200};
    const struct oh_format_stack first = {.phase = OH_PHASE_MAIN, .epoch = 0};
    const struct oh_format_stack later = {.phase = OH_PHASE_MAIN, .epoch = 1};
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    oh_synthetic_module(&fixture.recording, "/opt/app", 0x400000, 0x480000)->flags = OH_MODULE_MAIN;
    struct oh_format_stack *stack = oh_synthetic_stack(&fixture.recording, &first, pcs, 2, 0);
    stack->alloc_objects = 1;
    stack->alloc_bytes = 10;
    stack = oh_synthetic_stack(&fixture.recording, &later, pcs, 2, 1);
    stack->alloc_objects = 2;
    stack->alloc_bytes = 20;
    oh_synthetic_stack(&fixture.recording, &later, pcs, 1, 1); // Nothing counted: no sample.
    assert_int_equal(build(NULL), 0);
    assert_int_equal(fixture.profile.sample_count, 1);
    assert_int_equal(find_sample("main", 30)->values[OH_VALUE_ALLOC_OBJECTS], 3);
}

static void test_build_address_of_a_module_is_named_once(void **state)
{
    (void)state;
    const uint64_t pcs[] = {0x401100, 0x401200};
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    oh_synthetic_module(&fixture.recording, "/opt/app", 0x400000, 0x480000)->flags = OH_MODULE_MAIN;
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        const struct oh_format_stack like = {.phase = OH_PHASE_MAIN, .epoch = epoch};
        oh_synthetic_stack(&fixture.recording, &like, pcs, 2, 0)->alloc_bytes = 1;
    }
    asked = 0;
    assert_int_equal(build(NULL), 0);
    assert_int_equal(find_sample("main", 20)->depth, 2);
    assert_int_equal(asked, 2);
}

static void test_build_module_of_another_epoch_is_not_used(void **state)
{
    (void)state;
    const uint64_t pcs[] = {0x500100};
    const struct oh_format_stack early = {.phase = OH_PHASE_MAIN, .epoch = 1};
    const struct oh_format_stack late = {.phase = OH_PHASE_MAIN, .epoch = 2};
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    oh_synthetic_module(&fixture.recording, "/opt/liba.so", 0x500000, 0x510000)->last_epoch = 1;
    oh_synthetic_module(&fixture.recording, "/opt/libb.so", 0x500000, 0x510000)->first_epoch = 2;
    oh_synthetic_stack(&fixture.recording, &early, pcs, 1, 0)->alloc_bytes = 1;
    oh_synthetic_stack(&fixture.recording, &late, pcs, 1, 0)->alloc_bytes = 2;
    assert_int_equal(build(NULL), 0);
    assert_string_equal(name_at(find_sample("main", 1), 0, 0), "[liba.so]");
    assert_string_equal(name_at(find_sample("main", 2), 0, 0), "[libb.so]");
    assert_true(has_comment("addresses without a name in /opt/liba.so: 1 (its file is not there)"));
}

static void test_build_address_outside_of_modules_is_unknown(void **state)
{
    (void)state;
    const uint64_t pcs[] = {0x900000};
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    oh_synthetic_stack(&fixture.recording, &like, pcs, 1, 0)->alloc_bytes = 1;
    oh_synthetic_stack(&fixture.recording, &like, pcs, 0, 0)->alloc_bytes = 2;
    assert_int_equal(build(NULL), 0);
    assert_string_equal(name_at(find_sample("main", 1), 0, 0), "[unknown]");
    assert_string_equal(name_at(find_sample("main", 2), 0, 0), "[unknown]");
    assert_true(has_comment("1 addresses outside of every recorded module"));
}

static void test_build_own_library_is_left_out(void **state)
{
    (void)state;
    const uint64_t pcs[] = {0x401200, 0x601000, 0x401300};
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    oh_synthetic_module(&fixture.recording, "/opt/app", 0x400000, 0x480000)->flags = OH_MODULE_MAIN;
    oh_synthetic_module(&fixture.recording, "/opt/liboffheap.so", 0x600000, 0x610000)->flags =
        OH_MODULE_SELF;
    oh_synthetic_stack(&fixture.recording, &like, pcs, 3, 0)->alloc_bytes = 1;
    assert_int_equal(build(NULL), 0);
    assert_int_equal(find_sample("main", 1)->depth, 2);
}

static void test_build_tells_what_is_missing(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
    struct oh_format_header *header = oh_synthetic_header(&fixture.recording);
    header->counters[OH_COUNTER_dropped_live_full] = 12;
    header->state = OH_STATE_OFF;
    header->off_reason = OH_OFF_no_space;
    header->off_errno = 28;
    header->flags = 0;
    const char *const more[] = {"and this"};
    const struct oh_writer_options options = {.comments = more, .comment_count = 1};
    assert_int_equal(build(&options), 0);
    assert_true(has_comment("offheap 0.1.0: unmanaged (C) memory of pid 4711 (/opt/app)"));
    assert_true(has_comment("one sample per 524288 bytes"));
    assert_true(has_comment("12 allocations not recorded: the table of live blocks is full"));
    assert_true(has_comment("no longer recorded: no room: the disk is full (error 28)"));
    assert_true(has_comment("the begin of main was not seen"));
    assert_true(has_comment("a note"));
    assert_true(has_comment("and this"));
}

static void test_build_exact_is_not_said_to_be_whole_above_losses(void **state)
{
    static const char whole[] = "exact: every allocation was recorded";
    static const char partly[] = "exact: no sampling, but not every allocation was recorded";
    (void)state;
    struct oh_format_header *header = oh_synthetic_header(&fixture.recording);
    for (int loss = 0; loss < 4; loss++) {
        oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
        memset(header->counters, 0, sizeof header->counters);
        if (loss == 1)
            header->counters[OH_COUNTER_dropped_stacks_full] = 1;
        else if (loss == 2)
            header->state = OH_STATE_OFF;
        else if (loss == 3) // The newest index word refers to nothing.
            oh_synthetic_stack(&fixture.recording, &(struct oh_format_stack){0}, NULL, 0, 0)
                ->hash++;
        assert_int_equal(build(NULL), 0);
        assert_int_equal(has_comment(partly), loss != 0);
        assert_int_equal(has_comment(whole), loss == 0);
    }
}

static bool stop_at_once(void *arg)
{
    (void)arg;
    return true;
}

static void test_build_told_to_stop_gives_up(void **state)
{
    (void)state;
    const struct oh_writer_options options = {.stop = stop_at_once};
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    assert_int_equal(build(&options), -ETIMEDOUT);
}

// Blocks that are allocated while the profile is built.
enum { MORE = 30 };

static bool allocate_more(void *arg)
{
    struct oh_format_stack *stack = arg;
    for (uint64_t i = 0; stack->alloc_objects < 16 + MORE; i++) {
        const struct oh_block block = {.address = 0x30000 + 16 * i,
                                       .size = 10,
                                       .stack = oh_synthetic_ref(&fixture.recording, stack)};
        stack->alloc_objects++;
        stack->alloc_bytes += 10;
        (void)oh_synthetic_block(&fixture.recording, &block);
    }
    return false;
}

static void test_build_counts_nothing_in_use_that_is_not_allocated_yet(void **state)
{
    const uint64_t pc = 0x401100;
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    (void)state;
    oh_synthetic_begin(&fixture.recording, OH_MODE_EXACT);
    struct oh_format_stack *stack = oh_synthetic_stack(&fixture.recording, &like, &pc, 1, 0);
    const struct oh_block block = {
        .address = 0x10000, .size = 10, .stack = oh_synthetic_ref(&fixture.recording, stack)};
    (void)oh_synthetic_block(&fixture.recording, &block);
    stack->alloc_objects = 16;
    stack->alloc_bytes = 160;
    // when it is asked for the first time whether to stop, more is allocated
    const struct oh_writer_options options = {.stop = allocate_more, .stop_arg = stack};
    assert_int_equal(build(&options), 0);
    // then all of it is seen in both, and what was freed before is not in use
    const struct oh_profile_sample *sample = &fixture.profile.samples[0];
    assert_int_equal(sample->values[OH_VALUE_INUSE_OBJECTS], 1 + MORE);
    assert_int_equal(sample->values[OH_VALUE_ALLOC_OBJECTS], 16 + MORE);
    assert_int_equal(sample->values[OH_VALUE_INUSE_SPACE], 10 * (1 + MORE));
}

// Records of one stack that threads keep apart are one row, with what all of them hold and the
// variances of all.
static void test_build_shards_of_a_stack_are_one_sample(void **state)
{
    const uint64_t pc = 0x401100;
    (void)state;
    oh_synthetic_begin(&fixture.recording, OH_MODE_SAMPLED);
    const uint32_t shift = oh_synthetic_header(&fixture.recording)->weight_shift;
    for (uint8_t shard = 0; shard < 3; shard++) {
        const struct oh_format_stack like = {.phase = OH_PHASE_MAIN, .shard = shard};
        struct oh_format_stack *stack = oh_synthetic_stack(&fixture.recording, &like, &pc, 1, 0);
        const struct oh_block block = {.address = 0x10000 + 0x100 * (uint64_t)shard,
                                       .size = 64 << 20, // So large that it stands for itself.
                                       .stack = oh_synthetic_ref(&fixture.recording, stack)};
        (void)oh_synthetic_block(&fixture.recording, &block);
        stack->alloc_objects = UINT64_C(2) << shift;
        stack->alloc_bytes = 2 * (64 << 20);
        stack->alloc_objects_variance = oh_bits_of_double(1.25);
        stack->alloc_bytes_variance = oh_bits_of_double(100.5);
    }
    assert_int_equal(build(NULL), 0);
    assert_int_equal(fixture.profile.sample_count, 1);
    const struct oh_profile_sample *sample = &fixture.profile.samples[0];
    assert_int_equal(sample->values[OH_VALUE_ALLOC_OBJECTS], 6);
    assert_int_equal(sample->values[OH_VALUE_ALLOC_SPACE], 6 * (64 << 20));
    assert_int_equal(sample->values[OH_VALUE_INUSE_OBJECTS], 3);
    assert_int_equal(sample->values[OH_VALUE_INUSE_SPACE], 3 * (64 << 20));
    assert_float_equal(sample->variances[OH_VALUE_ALLOC_OBJECTS], 3.75, 1e-9);
    assert_float_equal(sample->variances[OH_VALUE_ALLOC_SPACE], 301.5, 1e-9);
}

static void test_build_arena_too_small_says_so(void **state)
{
    (void)state;
    oh_synthetic_sample(&fixture.recording, OH_MODE_EXACT);
    oh_arena_fini(&fixture.arena);
    for (size_t bytes = 4096; bytes < 512 << 10; bytes += 4096) {
        struct oh_view_fault fault;
        assert_int_equal(oh_arena_init(&fixture.arena, bytes), 0);
        assert_int_equal(
            oh_view_open(&fixture.view, fixture.recording.bytes, fixture.recording.size, &fault),
            0);
        int rc = oh_symbols_init(&fixture.symbols, &fixture.arena, &fixture.view, &source, false);
        if (rc == 0)
            rc = oh_writer_build(&fixture.view, &fixture.symbols, NULL, &fixture.arena,
                                 &fixture.profile);
        assert_true(rc == 0 || rc == -ENOMEM);
        oh_symbols_fini(&fixture.symbols);
        oh_arena_fini(&fixture.arena);
    }
}

static int count_bytes(void *arg, const void *data, size_t size)
{
    (void)data;
    *(size_t *)arg += size;
    return 0;
}

// Whatever a damaged recording says, a profile of it can be written.
static void test_build_flipped_recordings_give_some_profile(void **state)
{
    struct oh_random random = {11};
    size_t bytes = 0;
    (void)state;
    for (int round = 0; round < FLIPPED_RECORDINGS; round++) {
        struct oh_view_fault fault;
        oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
        for (int i = 0; i < FLIPS_EACH; i++) {
            uint64_t bit = oh_random_below(&random, (uint64_t)FLIPPED_BYTES * 8);
            fixture.recording.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        if (oh_view_open(&fixture.view, fixture.recording.bytes, fixture.recording.size, &fault) !=
            0)
            continue;
        const struct oh_symbol_source *names = round % 2 == 0 ? &source : NULL;
        assert_int_equal(
            oh_symbols_init(&fixture.symbols, &fixture.arena, &fixture.view, names, false), 0);
        assert_int_equal(oh_writer_build(&fixture.view, &fixture.symbols, NULL, &fixture.arena,
                                         &fixture.profile),
                         0);
        assert_int_equal(oh_pprof_write_raw(&fixture.profile, count_bytes, &bytes), 0);
        for (uint32_t i = 0; i < fixture.profile.sample_count; i++) {
            const struct oh_profile_sample *sample = &fixture.profile.samples[i];
            assert_true(sample->depth > 0);
            for (int v = 0; v < OH_VALUE_COUNT; v++)
                assert_true(sample->values[v] >= 0 && sample->variances[v] >= 0);
        }
        oh_profiling_end(&fixture);
        oh_profiling_begin(&fixture);
    }
    assert_true(bytes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_build_exact_recording_gives_the_counters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_asks_for_the_residency_of_every_block, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_names_leaf_first_with_inlined_calls, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_of_the_stacks_that_are_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_cut_stack_ends_in_truncated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_sampled_recording_rounds_and_has_variances,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_build_stacks_with_equal_frames_and_labels_are_one_sample, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_module_of_another_epoch_is_not_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_address_outside_of_modules_is_unknown, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_own_library_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_tells_what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_exact_is_not_said_to_be_whole_above_losses,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_address_of_a_module_is_named_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_with_a_budget_tells_what_happened, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_with_a_budget_before_the_first_step_says_so,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_build_with_a_budget_that_no_library_writes_gives_some_profile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_told_to_stop_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_counts_nothing_in_use_that_is_not_allocated_yet,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_shards_of_a_stack_are_one_sample, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_build_arena_too_small_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_flipped_recordings_give_some_profile, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
