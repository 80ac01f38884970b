// SPDX-License-Identifier: Apache-2.0
//
// Every hook against what glibc documents. hooks_subject states it; here it is run on the bare libc,
// and with the library in each of its moods. In all of them the program must not feel a difference.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/child.h"
#include "support/cmocka.h"
#include "support/scratch.h"

struct mood {
    const char *name;
    const char *settings[4];
    int recordings; // That the program itself leaves.
    int preloaded;
};

// The bare libc comes first: what it does not do, no case may ask of the library.
static const struct mood moods[] = {
    {"bare", {NULL}, 0, 0},
    {"exact", {"OFFHEAP_EXACT=1", "HOOKS_RECORDED=1", NULL}, 1, 1},
    {"deep", {"OFFHEAP_EXACT=1", "OFFHEAP_MAX_DEPTH=512", "HOOKS_RECORDED=1", NULL}, 1, 1},
    {"sampled", {"OFFHEAP_SAMPLE_BYTES=4096", NULL}, 1, 1},
    {"usual", {NULL}, 1, 1},
    {"disabled", {"OFFHEAP_DISABLE=1", NULL}, 0, 1},
    {"full", {"OFFHEAP_EXACT=1", "OFFHEAP_MAX_BYTES=2097152", NULL}, 1, 1},
    {"nowhere", {"OFFHEAP_DIR=/does/not/exist", NULL}, 0, 1},
};

struct run {
    const char *dir;
    const char *name;
    const struct mood *mood;
};

static void run_subject(void *arg)
{
    const struct run *run = arg;
    char dir[2 * OH_SCRATCH_BYTES];
    (void)clearenv();
    (void)putenv("PATH=/usr/bin:/bin");
    (void)snprintf(dir, sizeof dir, "OFFHEAP_DIR=%s", run->dir);
    (void)putenv(dir);
    for (int i = 0; run->mood->settings[i] != NULL; i++)
        (void)putenv((char *)run->mood->settings[i]);
    if (run->mood->preloaded)
        (void)putenv("LD_PRELOAD=" OH_TEST_LIBRARY);
    (void)execl(OH_TEST_SUBJECT, OH_TEST_SUBJECT, run->name, (char *)NULL);
    oh_child_fail(__FILE__, __LINE__, "the subject can be executed");
}

// In every mood: 0 is a pass, and `children` programs that it starts leave recordings, too.
static void run_case(const char *name, int children)
{
    for (size_t i = 0; i < sizeof moods / sizeof moods[0]; i++) {
        char dir[OH_SCRATCH_BYTES], found[OH_SCRATCH_BYTES];
        struct run run = {dir, name, &moods[i]};
        oh_scratch_make(dir, NULL);
        int status = oh_child_run(run_subject, &run);
        int left = oh_scratch_list(dir, found);
        oh_scratch_remove(dir);
        if (status != 0)
            print_error("%s, %s: status %d\n", name, moods[i].name, status);
        assert_int_equal(status, 0);
        assert_int_equal(left, moods[i].recordings * (1 + children));
    }
}

static void test_malloc_and_free_are_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("malloc", 0);
}

static void test_calloc_is_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("calloc", 0);
}

static void test_realloc_is_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("realloc", 0);
}

static void test_reallocarray_is_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("reallocarray", 0);
}

static void test_aligned_allocation_is_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("aligned", 0);
}

static void test_allocation_of_pages_is_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("pages", 0);
}

static void test_cfree_and_sized_frees_free_in_every_mood(void **state)
{
    (void)state;
    run_case("other_frees", 0);
}

static void test_blocks_outlive_their_threads_in_every_mood(void **state)
{
    (void)state;
    run_case("threads", 0);
}

static void test_the_smallest_stack_is_enough_in_every_mood(void **state)
{
    (void)state;
    run_case("small_stack", 0);
}

static void test_a_call_takes_a_bounded_part_of_the_hosts_stack(void **state)
{
    (void)state;
    run_case("stack_use", 0);
}

static void test_a_misaligned_stack_is_as_good_in_every_mood(void **state)
{
    (void)state;
    run_case("misaligned_stack", 0);
}

static void test_a_forked_child_changes_nothing_in_every_mood(void **state)
{
    (void)state;
    run_case("fork", 0);
}

static void test_spawned_programs_have_recordings_of_their_own(void **state)
{
    (void)state;
    run_case("spawn", 2);
}

static void test_dlclose_is_libcs_in_every_mood(void **state)
{
    (void)state;
    run_case("dlclose", 0);
}

static void test_contents_survive_a_mixture_of_all_calls_in_every_mood(void **state)
{
    (void)state;
    run_case("mixture", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malloc_and_free_are_libcs_in_every_mood),
        cmocka_unit_test(test_calloc_is_libcs_in_every_mood),
        cmocka_unit_test(test_realloc_is_libcs_in_every_mood),
        cmocka_unit_test(test_reallocarray_is_libcs_in_every_mood),
        cmocka_unit_test(test_aligned_allocation_is_libcs_in_every_mood),
        cmocka_unit_test(test_allocation_of_pages_is_libcs_in_every_mood),
        cmocka_unit_test(test_cfree_and_sized_frees_free_in_every_mood),
        cmocka_unit_test(test_blocks_outlive_their_threads_in_every_mood),
        cmocka_unit_test(test_the_smallest_stack_is_enough_in_every_mood),
        cmocka_unit_test(test_a_call_takes_a_bounded_part_of_the_hosts_stack),
        cmocka_unit_test(test_a_misaligned_stack_is_as_good_in_every_mood),
        cmocka_unit_test(test_a_forked_child_changes_nothing_in_every_mood),
        cmocka_unit_test(test_spawned_programs_have_recordings_of_their_own),
        cmocka_unit_test(test_dlclose_is_libcs_in_every_mood),
        cmocka_unit_test(test_contents_survive_a_mixture_of_all_calls_in_every_mood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
