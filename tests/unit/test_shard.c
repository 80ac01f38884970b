// SPDX-License-Identifier: Apache-2.0
#include "track/shard.h"

#include "base/atomic.h"
#include "support/cmocka.h"
#include "support/threads.h"

enum { THREADS = 4, ADDITIONS = 200000 };

static void test_thread_that_fights_now_and_then_stays(void **state)
{
    (void)state;
    struct oh_thread thread = {0};
    for (uint32_t second = 0; second < 100; second++) {
        for (int i = 1; i < OH_SHARD_FIGHTS; i++)
            oh_shard_fought(&thread, second);
    }
    assert_int_equal(thread.shard, OH_SHARD_COMMON);
}

static void test_thread_that_fights_all_the_time_moves_once(void **state)
{
    (void)state;
    struct oh_thread thread = {0}, other = {0};
    for (int i = 0; i < OH_SHARD_FIGHTS; i++) {
        oh_shard_fought(&thread, 7);
        oh_shard_fought(&other, 8);
    }
    const uint32_t moved = thread.shard;
    assert_in_range(moved, OH_SHARD_FIRST + 1, OH_SHARDS - 1);
    assert_in_range(other.shard, OH_SHARD_FIRST + 1, OH_SHARDS - 1);
    assert_int_not_equal(moved, other.shard);
    for (int i = 0; i < 10 * OH_SHARD_FIGHTS; i++)
        oh_shard_fought(&thread, 9);
    assert_int_equal(thread.shard, moved);
}

static void test_moved_threads_never_get_the_first_one_s_number(void **state)
{
    (void)state;
    for (int n = 0; n < 3 * OH_SHARDS; n++) {
        struct oh_thread thread = {0};
        for (int i = 0; i < OH_SHARD_FIGHTS; i++)
            oh_shard_fought(&thread, 1);
        assert_in_range(thread.shard, OH_SHARD_FIRST + 1, OH_SHARDS - 1);
    }
    struct oh_thread first = {0};
    oh_shard_own(&first);
    for (int i = 0; i < 2 * OH_SHARD_FIGHTS; i++)
        oh_shard_fought(&first, 1);
    assert_int_equal(first.shard, OH_SHARD_FIRST);
}

// Counters by shard, as records are.
static struct {
    uint64_t objects[OH_SHARDS], bytes[OH_SHARDS];
} counters;

static void add(uint32_t number, void *arg)
{
    struct oh_thread thread = {0};
    (void)arg;
    if (number == 0)
        oh_shard_own(&thread);
    for (uint32_t i = 0; i < ADDITIONS; i++) {
        uint32_t shard = thread.shard;
        oh_shard_add(&thread, &counters.objects[shard], 1, &counters.bytes[shard], 10, 1);
    }
}

static void test_additions_of_many_threads_add_up(void **state)
{
    (void)state;
    uint64_t objects = 0, bytes = 0;
    oh_threads_run(THREADS, add, NULL);
    for (int i = 0; i < OH_SHARDS; i++) {
        objects += counters.objects[i];
        bytes += counters.bytes[i];
    }
    assert_int_equal(counters.objects[OH_SHARD_FIRST], ADDITIONS);
    assert_int_equal(objects, THREADS * ADDITIONS);
    assert_int_equal(bytes, 10 * THREADS * ADDITIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_that_fights_now_and_then_stays),
        cmocka_unit_test(test_thread_that_fights_all_the_time_moves_once),
        cmocka_unit_test(test_moved_threads_never_get_the_first_one_s_number),
        cmocka_unit_test(test_additions_of_many_threads_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
