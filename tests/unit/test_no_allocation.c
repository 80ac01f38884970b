// SPDX-License-Identifier: Apache-2.0
//
// Nothing below a hook may allocate: this program's own malloc family stands before libc's and
// counts every call that comes while the slow path is at work, libc's and the loader's included.

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "capture/modules.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/tracking.h"
#include "track/mapping.h"
#include "track/track.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *block);

static bool at_work;
static uint64_t calls;

static void count_call(void)
{
    if (at_work)
        calls++;
}

OH_EXPORT void *malloc(size_t size)
{
    count_call();
    return __libc_malloc(size);
}

OH_EXPORT void *calloc(size_t count, size_t size)
{
    count_call();
    return __libc_calloc(count, size);
}

OH_EXPORT void *realloc(void *block, size_t size)
{
    count_call();
    return __libc_realloc(block, size);
}

OH_EXPORT void free(void *block)
{
    count_call();
    __libc_free(block);
}

OH_EXPORT void *memalign(size_t align, size_t size)
{
    count_call();
    return __libc_memalign(align, size);
}

OH_EXPORT void *aligned_alloc(size_t align, size_t size)
{
    count_call();
    return __libc_memalign(align, size);
}

OH_EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    count_call();
    *out = __libc_memalign(align, size);
    return *out != NULL ? 0 : ENOMEM;
}

static void start(const char *dir, bool exact)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(64) << 20);
    config.exact = exact;
    config.sample_bytes = exact ? config.sample_bytes : 64;
    oh_tracking_start(&config);
}

static __attribute__((noinline)) void allocate(uint64_t n)
{
    struct oh_track_call call;
    at_work = true;
    if (oh_track_begin(&call, 100))
        oh_track_end(&call, NULL, (void *)(UINT64_C(0x7e0000000000) + n * 16), 100);
    at_work = false;
}

static __attribute__((noinline)) void allocate_deep(uint64_t depth, uint64_t n)
{
    if (depth > 0)
        allocate_deep(depth - 1, n);
    else
        allocate(n);
    __asm__ volatile("" : : "r"(&depth) : "memory"); // No tail call: each level is a frame.
}

static void come_and_go(void)
{
    // new stacks, known stacks, cut stacks, and tables that grow
    for (uint64_t n = 1; n < 60000; n++)
        allocate_deep(n % 300, n);
    for (uint64_t n = 1; n < 60000; n++) {
        struct oh_track_block taken;
        const void *block = (void *)(UINT64_C(0x7e0000000000) + n * 16);
        at_work = true;
        oh_track_take(block, &taken);
        oh_track_restore(block, &taken);
        oh_track_free(block);
        at_work = false;
    }
    oh_require_equal(calls, 0);
}

static __attribute__((noinline)) void map_and_unmap(uint64_t n)
{
    struct oh_caller caller;
    struct oh_mapping_removal removal;
    const uint64_t at = UINT64_C(0x7d0000000000) + n * 8192;
    oh_caller_here(&caller);
    at_work = true;
    oh_mapping_add(&caller, at, at + 8192, n % 2 == 0 ? OH_KIND_RESERVE : OH_KIND_FILE);
    oh_mapping_commit(&caller, at, at + 4096);
    oh_mapping_begin_removal(&removal, at, at + 4096);
    oh_mapping_end_removal(&removal, n % 3 == 0);
    at_work = false;
}

static void maps(void *dir)
{
    start(dir, true);
    for (uint64_t n = 0; n < 60000; n++)
        map_and_unmap(n);
    oh_require_equal(calls, 0);
    oh_require(oh_recording_ready(oh_recording_section(OH_SECTION_MAPS, 1)));
}

static void exact(void *dir)
{
    start(dir, true);
    come_and_go();
    oh_require(oh_recording_ready(oh_recording_section(OH_SECTION_LIVE, 1)));
    oh_require(oh_tables_counter(OH_COUNTER_truncated_stacks) > 0);
}

static void sampled(void *dir)
{
    start(dir, false);
    come_and_go();
}

// The stack's modules are looked up for the first time.
static int allocate_for_qsort(const void *a, const void *b)
{
    (void)a;
    allocate((uint64_t)(uintptr_t)b & 0xffff);
    return 0;
}

static void new_modules(void *dir)
{
    int numbers[4] = {3, 1, 4, 1};
    start(dir, true);
    for (int i = 0; i < 3; i++) {
        void *handle = dlopen(OH_TEST_PROBE_A, RTLD_NOW);
        int (*probe)(void) = (int (*)(void))dlsym(handle, "probe_value");
        uint64_t pc = (uint64_t)(uintptr_t)probe + 1;
        at_work = true;
        (void)oh_modules_note(&pc, 1);
        at_work = false;
        // libc's qsort is between us and us
        at_work = true;
        qsort(numbers, 4, sizeof numbers[0], allocate_for_qsort);
        at_work = false;
        at_work = true;
        oh_modules_unloading();
        at_work = false;
        (void)dlclose(handle);
        at_work = true;
        oh_modules_unloaded();
        at_work = false;
    }
    oh_require_equal(calls, 0);
}

static void counts_itself(void *arg)
{
    (void)arg;
    void *volatile block;
    at_work = true;
    block = malloc(10);
    block = realloc(block, 20);
    free(block);
    free(strdup("by libc"));
    at_work = false;
    oh_require_equal(calls, 5);
}

static void test_the_count_sees_calls_of_ours_and_of_libc(void **state)
{
    (void)state;
    oh_child_must_pass(counts_itself, NULL);
}

static void test_the_slow_path_allocates_nothing_in_exact_mode(void **state)
{
    (void)state;
    oh_scratch_run(exact);
}

static void test_maps_allocate_nothing(void **state)
{
    (void)state;
    oh_scratch_run(maps);
}

static void test_the_slow_path_allocates_nothing_when_sampled(void **state)
{
    (void)state;
    oh_scratch_run(sampled);
}

static void test_the_slow_path_allocates_nothing_when_modules_come_and_go(void **state)
{
    (void)state;
    oh_scratch_run(new_modules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_count_sees_calls_of_ours_and_of_libc),
        cmocka_unit_test(test_the_slow_path_allocates_nothing_in_exact_mode),
        cmocka_unit_test(test_the_slow_path_allocates_nothing_when_sampled),
        cmocka_unit_test(test_maps_allocate_nothing),
        cmocka_unit_test(test_the_slow_path_allocates_nothing_when_modules_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
