// SPDX-License-Identifier: Apache-2.0
#include "tables/levels.h"

#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"
#include "support/tables.h"

static void begin(const char *dir, uint64_t max_bytes)
{
    struct oh_config config;
    oh_tables_config(&config, dir, max_bytes);
    oh_tables_begin(&config);
}

static void opens_one_after_the_other(void *dir)
{
    struct oh_levels levels;
    bool no_room = false;
    begin(dir, UINT64_C(64) << 20);
    // given
    oh_levels_init(&levels, OH_SECTION_LIVE);
    oh_require_equal(oh_levels_count(&levels), 1);
    oh_require(levels.planned >= 3);
    for (uint32_t i = 0; i < levels.planned; i++) {
        oh_require(levels.level[i].section == oh_recording_section(OH_SECTION_LIVE, i));
        oh_require_equal(levels.level[i].buckets * 64, levels.level[i].section->bytes);
    }
    // when
    for (uint32_t count = 1; count < levels.planned; count++) {
        oh_require(!oh_recording_ready(levels.level[count].section));
        oh_require(oh_levels_open(&levels, count, &no_room));
        // then
        oh_require_equal(oh_levels_count(&levels), count + 1);
        oh_require(oh_recording_ready(levels.level[count].section));
    }
    // and there is an end
    oh_require(!oh_levels_open(&levels, levels.planned, &no_room));
    oh_require_equal(oh_levels_count(&levels), levels.planned);
    oh_require(!no_room);
}

static void test_open_goes_level_by_level_to_the_last(void **state)
{
    (void)state;
    oh_scratch_run(opens_one_after_the_other);
}

// A thread that saw fewer levels than there are now opens nothing: it only has to look again.
static void opened_by_another(void *dir)
{
    struct oh_levels levels;
    bool no_room = false;
    begin(dir, UINT64_C(64) << 20);
    oh_levels_init(&levels, OH_SECTION_INDEX);
    oh_require(oh_levels_open(&levels, 1, &no_room));
    oh_require(oh_levels_open(&levels, 1, &no_room));
    oh_require_equal(oh_levels_count(&levels), 2);
    oh_require(!oh_recording_ready(levels.level[2].section));
    oh_require(oh_levels_open(&levels, 2, &no_room));
    oh_require(oh_levels_open(&levels, 1, &no_room));
    oh_require_equal(oh_levels_count(&levels), 3);
}

static void test_open_of_a_level_that_is_open_is_true_at_once(void **state)
{
    (void)state;
    oh_scratch_run(opened_by_another);
}

static void no_room_on_the_disk(void *dir)
{
    struct oh_levels levels;
    bool no_room = false;
    oh_fault_small_disk(dir, 768 << 10);
    begin(dir, UINT64_C(64) << 20);
    oh_levels_init(&levels, OH_SECTION_LIVE);
    oh_require(!oh_levels_open(&levels, 1, &no_room));
    oh_require(no_room);
    oh_require_equal(oh_levels_count(&levels), 1);
}

static void test_open_without_room_says_so(void **state)
{
    (void)state;
    oh_scratch_run(no_room_on_the_disk);
}

static void buckets_lie_inside(void *dir)
{
    struct oh_levels levels;
    begin(dir, OH_TABLES_SMALLEST);
    oh_levels_init(&levels, OH_SECTION_INDEX);
    const struct oh_level *level = &levels.level[0];
    for (uint64_t hash = 0; hash < UINT64_C(4) << 20; hash += 77) {
        for (uint32_t n = 0; n < OH_LEVELS_PROBES; n++) {
            const uint8_t *bucket = (uint8_t *)oh_level_bucket(level, hash * 0x9e3779b97f4a7c15, n);
            oh_require(bucket >= level->bytes && (bucket - level->bytes) % 64 == 0);
            oh_require(bucket + 64 <= level->bytes + level->section->bytes);
        }
    }
    // the last bucket's neighbour is the first
    oh_require(oh_level_bucket(level, (level->buckets - 1) << 8, 1) == (uint64_t *)level->bytes);
}

static void test_buckets_of_any_hash_lie_inside_of_the_level(void **state)
{
    (void)state;
    oh_scratch_run(buckets_lie_inside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_goes_level_by_level_to_the_last),
        cmocka_unit_test(test_open_of_a_level_that_is_open_is_true_at_once),
        cmocka_unit_test(test_open_without_room_says_so),
        cmocka_unit_test(test_buckets_of_any_hash_lie_inside_of_the_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
