// SPDX-License-Identifier: Apache-2.0
//
// The recording's file when the system or the host does not do as one would wish: full disks,
// limits, missing calls, signals, and descriptors that are closed or used for something else.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/file.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/live.h"
#include "tables/stacks.h"

enum { NAMED_BYTES = 2 * OH_SCRATCH_BYTES };

// --- Space

static void disk_is_too_small(void *dir)
{
    oh_fault_small_disk(dir, 256 << 10);
    oh_file_refuse(dir, -ENOSPC, OH_OFF_no_space);
}

static void test_create_on_a_full_disk_is_refused(void **state)
{
    (void)state;
    oh_scratch_run(disk_is_too_small);
}

// Inserts until the table refuses.
static uint64_t fill_live(void)
{
    const uint64_t pc = 0x401000;
    struct oh_stack_key key = {.kind = OH_KIND_MALLOC, .depth = 1, .pcs = &pc};
    struct oh_block block = {.size = 1};
    oh_stacks_init();
    oh_live_init();
    block.stack = oh_stacks_intern(&key);
    uint64_t count = 0;
    for (block.address = 16; oh_tables_enter(&block); block.address += 16)
        count++;
    return count;
}

static void disk_fills_up(void *dir)
{
    struct oh_tables_sum sum;
    oh_fault_small_disk(dir, 768 << 10);
    oh_file_create(dir, UINT64_C(64) << 20);
    struct oh_format_section *second = oh_recording_section(OH_SECTION_LIVE, 1);
    // when the first level is full and the second finds no room
    uint64_t count = fill_live();
    // then that is counted, and stays so
    oh_require(count > 10000);
    oh_require_equal(second->state, OH_SECTION_FAILED);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_no_room), 1);
    oh_require_equal(oh_recording_reserve(second), -ENOSPC);
    // and what was recorded can be read
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, count);
}

static void test_growth_on_a_full_disk_fails_for_good_and_keeps_what_is_there(void **state)
{
    (void)state;
    oh_scratch_run(disk_fills_up);
}

static void limit_file_size(uint64_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    oh_require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

// Past the limit the kernel sends SIGXFSZ, which would end the host.
static void file_size_is_limited(void *dir)
{
    limit_file_size(UINT64_C(2) << 20);
    oh_file_create(dir, UINT64_C(64) << 20);
    oh_require_equal(oh_recording_reserve(oh_file_last_level(OH_SECTION_LIVE)), -ENOSPC);
    oh_require(fill_live() > 10000);
    oh_require(oh_tables_counter(OH_COUNTER_dropped_no_room) > 0);
}

static void test_growth_past_the_file_size_limit_fails_without_a_signal(void **state)
{
    (void)state;
    oh_scratch_run(file_size_is_limited);
}

static void file_size_is_limited_to_less(void *dir)
{
    limit_file_size(64 << 10);
    oh_file_refuse(dir, -EFBIG, OH_OFF_no_space);
}

static void test_create_past_the_file_size_limit_is_refused_without_a_signal(void **state)
{
    (void)state;
    oh_scratch_run(file_size_is_limited_to_less);
}

static void cannot_reserve(void *dir)
{
    struct oh_tables_sum sum;
    struct stat st;
    oh_fault_fail_call(SYS_fallocate, EOPNOTSUPP);
    oh_file_create(dir, UINT64_C(8) << 20);
    // the first level is written out, all of it
    const struct oh_format_header *header = oh_recording_header();
    size_t size;
    (void)oh_recording_base(&size);
    oh_require((header->flags & OH_FLAG_NO_FALLOCATE) != 0);
    oh_require(stat(oh_recording_path(), &st) == 0);
    oh_require(st.st_size >= (off_t)size && st.st_blocks * 512 >= st.st_size);
    // it is told
    oh_require(strstr(oh_recording_at(header->notes[0].offset), "fallocate") != NULL);
    // and the tables work without growing
    uint64_t count = fill_live();
    oh_require(count > 10000);
    oh_require_equal(oh_recording_section(OH_SECTION_LIVE, 1)->state, OH_SECTION_FAILED);
    oh_require_equal(oh_file_bytes(oh_recording_path()), (uint64_t)st.st_size);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, count);
}

static void test_create_where_space_cannot_be_reserved_writes_it_and_tells(void **state)
{
    (void)state;
    oh_scratch_run(cannot_reserve);
}

static void cannot_reserve_on_a_full_disk(void *dir)
{
    oh_fault_small_disk(dir, 256 << 10);
    oh_fault_fail_call(SYS_fallocate, EOPNOTSUPP);
    oh_file_refuse(dir, -ENOSPC, OH_OFF_no_space);
}

static void test_create_that_writes_on_a_full_disk_is_refused(void **state)
{
    (void)state;
    oh_scratch_run(cannot_reserve_on_a_full_disk);
}

// What is known to fail is not tried again: not by each of a million calls.
static void failed_is_final(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
    uint64_t bytes = oh_file_bytes(oh_recording_path());
    struct oh_format_section *failed = oh_file_last_level(OH_SECTION_LIVE);
    failed->state = OH_SECTION_FAILED;
    oh_require_equal(oh_recording_reserve(failed), -ENOSPC);
    oh_require_equal(failed->state, OH_SECTION_FAILED);
    oh_recording_header()->flags |= OH_FLAG_NO_FALLOCATE;
    oh_require_equal(oh_recording_reserve(oh_file_last_level(OH_SECTION_INDEX)), -ENOSPC);
    oh_require_equal(oh_file_last_level(OH_SECTION_INDEX)->state, OH_SECTION_FAILED);
    oh_require_equal(oh_file_bytes(oh_recording_path()), bytes);
}

static void test_growth_that_cannot_be_is_not_tried_again(void **state)
{
    (void)state;
    oh_scratch_run(failed_is_final);
}

static void reserving_is_always_interrupted(void *dir)
{
    oh_fault_fail_call(SYS_fallocate, EINTR);
    oh_file_refuse(dir, -EINTR, OH_OFF_no_file);
}

static void test_create_that_is_interrupted_for_ever_gives_up(void **state)
{
    (void)state;
    oh_scratch_run(reserving_is_always_interrupted);
}

static void on_signal(int number)
{
    (void)number;
}

// tmpfs gives up a reservation when a signal is pending; a profiling timer sends them all the time.
static void timer_is_fast(void *dir)
{
    struct itimerval timer = {{0, 500}, {0, 500}};
    struct sigaction action = {.sa_handler = on_signal};
    oh_fault_small_disk(dir, UINT64_C(512) << 20);
    oh_file_create(dir, UINT64_C(256) << 20);
    oh_require(sigaction(SIGALRM, &action, NULL) == 0);
    oh_require(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    oh_require_equal(oh_recording_reserve(oh_file_last_level(OH_SECTION_LIVE)), 0);
}

static void test_growth_under_a_fast_timer_comes_to_its_end(void **state)
{
    (void)state;
    oh_scratch_run(timer_is_fast);
}

static void cannot_map(void *dir)
{
    struct rlimit limit;
    oh_require(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = UINT64_C(1) << 30;
    oh_require(setrlimit(RLIMIT_AS, &limit) == 0);
    enum oh_format_off_reason reason;
    char found[OH_SCRATCH_BYTES];
    oh_require_equal(oh_file_try(dir, UINT64_C(4) << 30, &reason), -ENOMEM);
    oh_require_equal(reason, OH_OFF_no_memory);
    oh_require_equal(oh_scratch_list(dir, found), 0);
}

static void test_create_that_cannot_be_mapped_leaves_nothing(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // A sanitizer's shadow memory does not fit into such a limit.
#endif
    oh_scratch_run(cannot_map);
}

// --- The descriptor in a host that does what it likes

static void grow_last(void)
{
    struct oh_format_section *section = oh_file_last_level(OH_SECTION_LIVE);
    oh_require_equal(oh_recording_reserve(section), 0);
    oh_require(oh_recording_ready(section));
    uint8_t *bytes = oh_recording_at(section->offset);
    bytes[0] = 1; // A byte that was not reserved would end us here.
    bytes[section->bytes - 1] = 1;
    oh_require(oh_file_bytes(oh_recording_path()) >= section->offset + section->bytes);
}

static void descriptor_is_closed(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
    (void)close(oh_file_descriptor());
    oh_require(oh_file_descriptor() == -1);
    grow_last();
    oh_require(oh_file_descriptor() == -1);
}

static void test_growth_after_the_host_closed_our_descriptor_works(void **state)
{
    (void)state;
    oh_scratch_run(descriptor_is_closed);
}

static void descriptor_is_reused(void *dir)
{
    char path[NAMED_BYTES];
    oh_file_create(dir, UINT64_C(8) << 20);
    int fd = oh_file_descriptor();
    (void)snprintf(path, sizeof path, "%s/theirs", (const char *)dir);
    int theirs = open(path, O_RDWR | O_CREAT, 0600);
    oh_require(theirs >= 0 && dup2(theirs, fd) == fd);
    grow_last();
    oh_require_equal(oh_file_bytes(path), 0);
}

static void test_growth_after_the_host_reused_our_descriptor_leaves_its_file_alone(void **state)
{
    (void)state;
    oh_scratch_run(descriptor_is_reused);
}

// Closed, and none can be had at the moment when a level is full.
static void descriptors_are_out_for_a_while(void *dir)
{
    enum { CALLS = 3000 };
    struct rlimit none, some;
    oh_file_create(dir, UINT64_C(8) << 20);
    (void)close(oh_file_descriptor());
    oh_require(getrlimit(RLIMIT_NOFILE, &some) == 0);
    none = some;
    none.rlim_cur = 0;
    oh_require(setrlimit(RLIMIT_NOFILE, &none) == 0);
    struct oh_format_section *section = oh_file_last_level(OH_SECTION_LIVE);
    // when it is refused, it is told
    oh_require_equal(oh_recording_reserve(section), -EMFILE);
    oh_require_equal(section->state, OH_SECTION_UNRESERVED);
    oh_require(oh_recording_header()->notes[0].length > 0);
    // and not tried at every call
    oh_require_equal(oh_recording_reserve(section), -EAGAIN);
    oh_require(setrlimit(RLIMIT_NOFILE, &some) == 0);
    // but it comes to work again
    int calls = 0;
    while (calls < CALLS && oh_recording_reserve(section) < 0)
        calls++;
    oh_require(calls > 10 && calls < CALLS);
    grow_last();
}

static void test_growth_without_a_descriptor_waits_until_there_is_one(void **state)
{
    (void)state;
    oh_scratch_run(descriptors_are_out_for_a_while);
}

static void descriptor_is_closed_and_file_is_gone(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
    (void)close(oh_file_descriptor());
    oh_require(unlink(oh_recording_path()) == 0);
    oh_require_equal(oh_recording_reserve(oh_file_last_level(OH_SECTION_LIVE)), -ENOSPC);
    oh_require_equal(oh_file_last_level(OH_SECTION_LIVE)->state, OH_SECTION_FAILED);
}

static void test_growth_of_a_file_that_is_gone_fails(void **state)
{
    (void)state;
    oh_scratch_run(descriptor_is_closed_and_file_is_gone);
}

static void descriptor_is_closed_and_name_is_theirs(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
    (void)close(oh_file_descriptor());
    oh_require(unlink(oh_recording_path()) == 0);
    oh_file_put_theirs(oh_recording_path());
    oh_require_equal(oh_recording_reserve(oh_file_last_level(OH_SECTION_LIVE)), -ENOSPC);
    oh_file_must_be_theirs(oh_recording_path());
}

static void test_growth_never_touches_another_file_under_our_name(void **state)
{
    (void)state;
    oh_scratch_run(descriptor_is_closed_and_name_is_theirs);
}

// --- A process that confines itself

static void process_confines_itself(void *dir)
{
    struct oh_format_section *last;
    oh_file_create(dir, UINT64_C(64) << 20);
    last = oh_file_last_level(OH_SECTION_LIVE);
    // given what comes next is reserved in time
    oh_recording_reserve_ahead();
    oh_sandbox_enter();
    // when every system call is fatal
    oh_fault_allow_no_call();
    // then some levels are there, and others are refused
    oh_require(oh_recording_reserve(oh_recording_section(OH_SECTION_LIVE, 1)) == 0);
    oh_require(oh_recording_reserve(oh_recording_section(OH_SECTION_STACKS, 1)) == 0);
    oh_require_equal(oh_recording_reserve(last), -EPERM);
    oh_require(!oh_recording_ready(last));
    // What oh_scratch_run and the sanitizers do last is not allowed.
    (void)syscall(SYS_exit_group, 0);
}

static void test_growth_of_a_confined_process_asks_nothing_of_the_system(void **state)
{
    (void)state;
    oh_scratch_run(process_confines_itself);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_on_a_full_disk_is_refused),
        cmocka_unit_test(test_growth_on_a_full_disk_fails_for_good_and_keeps_what_is_there),
        cmocka_unit_test(test_growth_past_the_file_size_limit_fails_without_a_signal),
        cmocka_unit_test(test_create_past_the_file_size_limit_is_refused_without_a_signal),
        cmocka_unit_test(test_create_where_space_cannot_be_reserved_writes_it_and_tells),
        cmocka_unit_test(test_create_that_writes_on_a_full_disk_is_refused),
        cmocka_unit_test(test_growth_that_cannot_be_is_not_tried_again),
        cmocka_unit_test(test_create_that_is_interrupted_for_ever_gives_up),
        cmocka_unit_test(test_growth_under_a_fast_timer_comes_to_its_end),
        cmocka_unit_test(test_create_that_cannot_be_mapped_leaves_nothing),
        cmocka_unit_test(test_growth_after_the_host_closed_our_descriptor_works),
        cmocka_unit_test(test_growth_after_the_host_reused_our_descriptor_leaves_its_file_alone),
        cmocka_unit_test(test_growth_without_a_descriptor_waits_until_there_is_one),
        cmocka_unit_test(test_growth_of_a_file_that_is_gone_fails),
        cmocka_unit_test(test_growth_never_touches_another_file_under_our_name),
        cmocka_unit_test(test_growth_of_a_confined_process_asks_nothing_of_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
