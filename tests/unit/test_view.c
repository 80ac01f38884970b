// SPDX-License-Identifier: Apache-2.0
//
// The checked view: what it accepts, what it refuses and where it says the fault is, and that no
// bytes whatever lead it out of them (the buffers below are exactly as large as what they hold, so
// that AddressSanitizer sees one byte too many).

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "offheap/hash.h"
#include "profile/view.h"
#include "support/random.h"
#include "support/synthetic.h"

enum { FLIPS = 40000, FLIPPED_AT_ONCE = 4, STOP = 77 };

static struct oh_synthetic recording;

struct sum {
    uint64_t stacks, blocks, modules;
    uint64_t alloc_bytes, block_bytes, weighted_bytes, text_bytes;
    struct oh_view *view;
};

static int add_stack(void *arg, const struct oh_view_stack *stack)
{
    struct sum *sum = arg;
    for (uint32_t i = 0; i < stack->depth; i++)
        sum->text_bytes += stack->pcs[i] & 1;
    sum->stacks++;
    sum->alloc_bytes += stack->alloc_bytes;
    return 0;
}

static int add_block(void *arg, const struct oh_view_block *block)
{
    struct sum *sum = arg;
    sum->blocks++;
    sum->block_bytes += block->size;
    sum->weighted_bytes += block->bytes;
    return 0;
}

static int add_module(void *arg, const struct oh_format_module *module, uint32_t number)
{
    struct sum *sum = arg;
    size_t length;
    const char *path = oh_view_text(sum->view, module->path, &length);
    assert_int_equal(strnlen(path, length + 1) <= length, 1);
    assert_true(number < 1 << 20);
    sum->modules++;
    return 0;
}

// Reads all that there is.
static struct sum read_all(struct oh_view *view)
{
    struct sum sum = {.view = view};
    size_t length;
    assert_int_equal(oh_view_each_stack(view, add_stack, &sum), 0);
    assert_int_equal(oh_view_each_block(view, add_block, &sum), 0);
    assert_int_equal(oh_view_each_module(view, add_module, &sum), 0);
    for (int i = 0; i < OH_FORMAT_NOTES; i++)
        (void)oh_view_text(view, view->header->notes[i], &length);
    (void)oh_view_text(view, view->header->exe, &length);
    return sum;
}

static int open_size(struct oh_view *view, size_t size, struct oh_view_fault *fault)
{
    return oh_view_open(view, recording.bytes, size, fault);
}

static int setup(void **state)
{
    (void)state;
    oh_synthetic_sample(&recording, OH_MODE_SAMPLED);
    return 0;
}

static void test_open_whole_recording_reads_everything(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    (void)state;
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    struct sum sum = read_all(&view);
    assert_int_equal(sum.stacks, 3);
    assert_int_equal(sum.blocks, 4);
    assert_int_equal(sum.modules, 2);
    assert_int_equal(sum.alloc_bytes, 3564);
    assert_int_equal(sum.block_bytes, 1300);
    assert_int_equal(sum.weighted_bytes, 2800);
    assert_int_equal(view.damaged, 0);
}

static void expect_fault(size_t size, enum oh_view_error error, const char *section)
{
    struct oh_view view;
    struct oh_view_fault fault;
    assert_int_equal(open_size(&view, size, &fault), -EINVAL);
    assert_int_equal(fault.error, error);
    assert_string_equal(fault.section, section);
}

static void test_open_what_is_no_recording_says_so(void **state)
{
    (void)state;
    expect_fault(0, OH_VIEW_EMPTY, "header");
    memset(recording.bytes, 0, 8);
    expect_fault(recording.size, OH_VIEW_EMPTY, "header");
    memcpy(recording.bytes, "\177ELF\2\1\1", 8);
    expect_fault(recording.size, OH_VIEW_NOT_OURS, "header");
    expect_fault(3, OH_VIEW_NOT_OURS, "header");
}

static void test_open_other_version_or_byte_order_is_refused(void **state)
{
    (void)state;
    struct oh_format_header *header = oh_synthetic_header(&recording);
    header->minor = 999;
    struct oh_view view;
    struct oh_view_fault fault;
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    header->major = OH_FORMAT_MAJOR + 1;
    expect_fault(recording.size, OH_VIEW_VERSION, "header");
    expect_fault(64, OH_VIEW_VERSION, "header"); // Told also when the rest is not there.
    header->endian_tag = 0x04030201;
    expect_fault(recording.size, OH_VIEW_ENDIAN, "header");
    header->endian_tag = 1;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "header");
}

static void test_open_cut_at_any_edge_says_where(void **state)
{
    (void)state;
    const struct oh_format_header *header = oh_synthetic_header(&recording);
    const char *const names[] = {"", "strings", "modules", "index", "stacks", "live"};
    for (size_t size = 8; size < OH_FORMAT_HEADER_BYTES; size += 8)
        expect_fault(size, OH_VIEW_TRUNCATED, "header");
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct oh_format_section *section = &header->sections[i];
        if (section->state != OH_SECTION_READY)
            continue;
        expect_fault(section->offset, OH_VIEW_TRUNCATED, names[section->id]);
        expect_fault(section->offset + section->bytes - 1, OH_VIEW_TRUNCATED, names[section->id]);
    }
}

static void test_open_unknown_section_is_skipped(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    (void)state;
    struct oh_format_header *header = oh_synthetic_header(&recording);
    header->sections[header->section_count++] =
        (struct oh_format_section){.id = 4000, .offset = 3, .bytes = 5, .state = OH_SECTION_READY};
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    assert_int_equal(read_all(&view).stacks, 3);
}

static void test_open_impossible_values_are_refused(void **state)
{
    (void)state;
    struct oh_format_header *header = oh_synthetic_header(&recording);
    struct oh_format_section *section = &header->sections[3];
    const struct oh_format_section good = *section;
    section->offset += 8;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "stacks");
    *section = good;
    section->offset = header->sections[0].offset;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "stacks");
    *section = good;
    section->offset = UINT64_MAX - 4095;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "stacks");
    *section = good;
    section->bytes = UINT64_MAX - 4095;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "stacks");
    *section = good;
    section->bytes = 0;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "stacks");
    *section = good;
    section->level = OH_FORMAT_MAX_LEVELS;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "stacks");
    *section = good;
    header->sections[2].bytes = 3 * 4096;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "index");
    header->sections[2].bytes = 4096;
    header->sections[5].level = 0; // A second index of level 0.
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "index");
    header->sections[5].level = 1;
    header->section_count = OH_FORMAT_SECTIONS + 1;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "header");
    header->section_count = 0;
    header->weight_shift = 64;
    expect_fault(recording.size, OH_VIEW_INCONSISTENT, "header");
}

static void test_each_stack_damaged_ones_are_left_out(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    const uint64_t pcs[] = {1, 2};
    const struct oh_format_stack like = {.phase = OH_PHASE_MAIN};
    (void)state;
    oh_synthetic_stack(&recording, &like, pcs, 2, 0)->hash ^= UINT64_C(1) << 40;
    oh_synthetic_stack(&recording, &like, pcs, 1, 0)->depth = 600;
    oh_synthetic_stack(&recording, &like, pcs, 1, 0)->epoch = 5;
    oh_synthetic_stack(&recording, &like, pcs, 2, 1)->shard = 3;
    (void)oh_synthetic_stack(&recording, &like, pcs, 0, 1);
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    struct sum sum = read_all(&view);
    assert_int_equal(sum.stacks, 4);
    assert_int_equal(view.damaged, 4);
}

static void test_each_block_dead_writer_s_slot_is_skipped(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    struct oh_block stray = {.address = 0x5000, .size = 1, .stack = 7};
    (void)state;
    oh_synthetic_block(&recording, &stray)->place = OH_LIVE_BUSY;
    (void)oh_synthetic_block(&recording, &stray);
    // and one whose mean is not there
    stray.stack = oh_synthetic_ref(
        &recording, oh_synthetic_stack(&recording, &(struct oh_format_stack){0}, NULL, 0, 0));
    stray.mean = 9;
    (void)oh_synthetic_block(&recording, &stray);
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    assert_int_equal(read_all(&view).blocks, 4);
    assert_int_equal(view.damaged, 2);
}

static void test_each_module_claimed_is_skipped_and_damaged_counted(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    (void)state;
    oh_synthetic_module(&recording, "/lib/a.so", 0x1000, 0x2000)->state = OH_MODULE_CLAIMED;
    oh_synthetic_module(&recording, "/lib/b.so", 0x2000, 0x1000);
    oh_synthetic_module(&recording, "/lib/c.so", 0x1000, 0x2000)->path.offset = UINT32_MAX;
    oh_synthetic_module(&recording, "/lib/d.so", 0x1000, 0x2000)->build_id_bytes = 65;
    oh_synthetic_module(&recording, "/lib/e.so", 0x1000, 0x2000)->state = 99;
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    assert_int_equal(read_all(&view).modules, 2);
    assert_int_equal(view.damaged, 4);
}

static int stop_at_stack(void *arg, const struct oh_view_stack *stack)
{
    (void)arg;
    (void)stack;
    return STOP;
}

static int stop_at_block(void *arg, const struct oh_view_block *block)
{
    (void)arg;
    (void)block;
    return STOP;
}

static int stop_at_module(void *arg, const struct oh_format_module *module, uint32_t number)
{
    (void)arg;
    (void)module;
    (void)number;
    return STOP;
}

static void test_each_callback_can_stop(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    (void)state;
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    assert_int_equal(oh_view_each_stack(&view, stop_at_stack, NULL), STOP);
    assert_int_equal(oh_view_each_block(&view, stop_at_block, NULL), STOP);
    assert_int_equal(oh_view_each_module(&view, stop_at_module, NULL), STOP);
}

static void test_text_out_of_bounds_is_absent(void **state)
{
    struct oh_view view;
    struct oh_view_fault fault;
    size_t length = 1;
    (void)state;
    assert_int_equal(open_size(&view, recording.size, &fault), 0);
    const struct oh_format_text exe = view.header->exe;
    assert_string_equal(oh_view_text(&view, exe, &length), "/opt/app");
    assert_int_equal(length, 8);
    const struct oh_format_text bad[] = {
        {0, 4},                                        // In the header.
        {exe.offset, 7},                               // No NUL behind it.
        {exe.offset, UINT32_MAX},                      // Past its section.
        {exe.offset + 2 * 4096 - 1, 1},                // Its NUL is past its section.
        {UINT32_MAX, 1},                               // Past the file.
        {(uint32_t)view.header->sections[4].offset, 1} // In another section.
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(oh_view_text(&view, bad[i], &length), "");
        assert_int_equal(length, 0);
    }
}

// A copy of just these bytes, so that reading one more is seen.
static void read_copy(const uint8_t *bytes, size_t size)
{
    struct oh_view view;
    struct oh_view_fault fault;
    void *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    if (oh_view_open(&view, copy, size, &fault) == 0)
        (void)read_all(&view);
    else
        assert_non_null(fault.section);
    free(copy);
}

static void test_view_any_length_stays_inside(void **state)
{
    (void)state;
    for (size_t size = 0; size < recording.size; size += size < 4096 ? 1 : 509)
        read_copy(recording.bytes, size);
}

static void test_view_without_a_ready_section_stays_inside(void **state)
{
    (void)state;
    struct oh_format_header *header = oh_synthetic_header(&recording);
    for (uint32_t i = 0; i < header->section_count; i++) {
        uint64_t was = header->sections[i].state;
        header->sections[i].state = OH_SECTION_FAILED;
        read_copy(recording.bytes, header->sections[i].offset);
        read_copy(recording.bytes, recording.size);
        header->sections[i].state = was;
    }
}

// Bits are turned over where they matter: mostly in the header, the modules, the index and the
// stacks.
static void test_view_flipped_bits_stay_inside(void **state)
{
    struct oh_random random = {20240229};
    uint8_t *bytes = malloc(recording.size);
    struct oh_view view;
    struct oh_view_fault fault;
    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, recording.bytes, recording.size);
    for (int round = 0; round < FLIPS; round++) {
        uint64_t where[FLIPPED_AT_ONCE];
        for (int i = 0; i < FLIPPED_AT_ONCE; i++) {
            uint64_t range = oh_random_below(&random, 3) == 0 ? recording.size : 22 * 1024;
            where[i] = oh_random_below(&random, range * 8);
            if (range != recording.size && where[i] / 8 > 1100 && where[i] / 8 < 4096)
                where[i] -= 1100 * 8; // The reserved part of the header is dull.
            bytes[where[i] / 8] ^= (uint8_t)(1 << where[i] % 8);
        }
        if (oh_view_open(&view, bytes, recording.size, &fault) == 0)
            (void)read_all(&view);
        for (int i = 0; i < FLIPPED_AT_ONCE; i++)
            bytes[where[i] / 8] = recording.bytes[where[i] / 8];
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_open_whole_recording_reads_everything, setup),
        cmocka_unit_test_setup(test_open_what_is_no_recording_says_so, setup),
        cmocka_unit_test_setup(test_open_other_version_or_byte_order_is_refused, setup),
        cmocka_unit_test_setup(test_open_cut_at_any_edge_says_where, setup),
        cmocka_unit_test_setup(test_open_unknown_section_is_skipped, setup),
        cmocka_unit_test_setup(test_open_impossible_values_are_refused, setup),
        cmocka_unit_test_setup(test_each_stack_damaged_ones_are_left_out, setup),
        cmocka_unit_test_setup(test_each_block_dead_writer_s_slot_is_skipped, setup),
        cmocka_unit_test_setup(test_each_module_claimed_is_skipped_and_damaged_counted, setup),
        cmocka_unit_test_setup(test_each_callback_can_stop, setup),
        cmocka_unit_test_setup(test_text_out_of_bounds_is_absent, setup),
        cmocka_unit_test_setup(test_view_any_length_stays_inside, setup),
        cmocka_unit_test_setup(test_view_without_a_ready_section_stays_inside, setup),
        cmocka_unit_test_setup(test_view_flipped_bits_stay_inside, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
