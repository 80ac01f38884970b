// SPDX-License-Identifier: Apache-2.0
#include "recording/layout.h"

#include <string.h>

#include "offheap/format.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "tables/levels.h"

static bool is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

// What every layout must satisfy; returns the slots of all LIVE sections.
static uint64_t check_layout(const struct oh_format_header *header, uint64_t end,
                             uint64_t max_bytes)
{
    uint64_t slots = 0;
    uint64_t reached = OH_FORMAT_HEADER_BYTES;
    uint32_t levels[OH_SECTION_ID_COUNT] = {0};
    assert_in_range(header->section_count, 5, OH_FORMAT_SECTIONS);
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct oh_format_section *section = &header->sections[i];
        // in the order of the file, none in another, whole pages
        assert_true(section->offset == reached);
        assert_true(section->offset % 4096 == 0 && section->bytes % 4096 == 0);
        assert_true(section->bytes > 0);
        reached = section->offset + section->bytes;
        assert_in_range(section->id, OH_SECTION_STRINGS, OH_SECTION_ID_COUNT - 1);
        assert_int_equal(section->level, levels[section->id]++);
        assert_true(section->state == OH_SECTION_UNRESERVED && section->cursor == 0);
        if (section->id == OH_SECTION_INDEX)
            assert_true(is_power_of_two(section->bytes / 64));
        if (section->id == OH_SECTION_LIVE) {
            // a level that has just been opened is not dear: at most as large as all before, and
            // but for the last not so small that many would be needed
            const uint64_t more = section->bytes / sizeof(struct oh_format_block);
            assert_true(section->level == 0 || more <= slots);
            slots += more;
        }
    }
    assert_true(reached == end);
    assert_true(end <= max_bytes);
    for (int id = OH_SECTION_STRINGS; id < OH_SECTION_ID_COUNT; id++)
        assert_in_range(levels[id], 1, OH_FORMAT_MAX_LEVELS);
    // a text's place is a 32-bit number, a stack's is one of 30 bits in units of 64 bytes
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct oh_format_section *section = &header->sections[i];
        if (section->id == OH_SECTION_STRINGS)
            assert_true(section->offset + section->bytes <= UINT32_MAX);
        assert_true((section->offset + section->bytes) / OH_FORMAT_STACK_ALIGN <=
                    UINT64_C(1) << OH_BLOCK_STACK_BITS);
    }
    return slots;
}

static void test_plan_of_any_bound_keeps_within_it_without_overlaps(void **state)
{
    (void)state;
    struct oh_random random = {3};
    struct oh_format_header header;
    for (int i = 0; i < 20000; i++) {
        // bounds over all magnitudes from 2 MiB to 64 GiB
        uint64_t magnitude = UINT64_C(2) << 20 << oh_random_below(&random, 16);
        uint64_t max_bytes = magnitude + oh_random_below(&random, magnitude);
        if (max_bytes > UINT64_C(64) << 30)
            max_bytes = UINT64_C(64) << 30;
        memset(&header, 0xa5, sizeof header);
        bool exact = (i & 1) != 0;
        (void)check_layout(&header, oh_layout_plan(&header, exact, max_bytes), max_bytes);
    }
}

static void test_plan_of_the_smallest_and_largest_bound_holds(void **state)
{
    (void)state;
    struct oh_format_header header;
    const uint64_t smallest = UINT64_C(2) << 20;
    const uint64_t largest = UINT64_C(64) << 30;
    for (int exact = 0; exact < 2; exact++) {
        memset(&header, 0, sizeof header);
        assert_true(check_layout(&header, oh_layout_plan(&header, exact, smallest), smallest) >=
                    4096);
        assert_true(check_layout(&header, oh_layout_plan(&header, exact, largest), largest) >=
                    10000000);
    }
}

static void test_plan_of_the_default_bound_has_slots_for_three_million_blocks(void **state)
{
    (void)state;
    struct oh_format_header header;
    const uint64_t max_bytes = UINT64_C(128) << 20;
    memset(&header, 0, sizeof header);
    uint64_t end = oh_layout_plan(&header, true, max_bytes);
    assert_true(check_layout(&header, end, max_bytes) >= 4000000);
}

static void test_plan_of_a_bound_uses_most_of_it(void **state)
{
    (void)state;
    struct oh_format_header header;
    for (uint64_t max_bytes = UINT64_C(4) << 20; max_bytes <= UINT64_C(16) << 30; max_bytes *= 2) {
        memset(&header, 0, sizeof header);
        for (int exact = 0; exact < 2; exact++)
            assert_true(oh_layout_plan(&header, exact != 0, max_bytes) > max_bytes / 10 * 9);
    }
}

static void test_plan_of_sampled_mode_starts_smaller(void **state)
{
    (void)state;
    struct oh_format_header sampled, exact;
    memset(&sampled, 0, sizeof sampled);
    memset(&exact, 0, sizeof exact);
    (void)oh_layout_plan(&sampled, false, UINT64_C(128) << 20);
    (void)oh_layout_plan(&exact, true, UINT64_C(128) << 20);
    assert_int_equal(sampled.sections[4].id, OH_SECTION_LIVE);
    assert_int_equal(exact.sections[4].id, OH_SECTION_LIVE);
    assert_true(sampled.sections[4].bytes < exact.sections[4].bytes);
    // and reserves less than a megabyte before anything is recorded
    assert_true(sampled.sections[4].offset + sampled.sections[4].bytes < 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_of_any_bound_keeps_within_it_without_overlaps),
        cmocka_unit_test(test_plan_of_the_smallest_and_largest_bound_holds),
        cmocka_unit_test(test_plan_of_the_default_bound_has_slots_for_three_million_blocks),
        cmocka_unit_test(test_plan_of_a_bound_uses_most_of_it),
        cmocka_unit_test(test_plan_of_sampled_mode_starts_smaller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
