// SPDX-License-Identifier: Apache-2.0
//
// A process has one recording: every case runs in a child with a directory of its own.

#include "recording/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "recording/place.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "tables/live.h"
#include "tables/stacks.h"

enum { NAMED_BYTES = 2 * OH_SCRATCH_BYTES, MANY_MS = 4000 };

static int create(const char *dir, uint64_t max_bytes, enum oh_format_off_reason *reason)
{
    struct oh_config config;
    oh_tables_config(&config, dir, max_bytes);
    return oh_recording_create(&config, reason);
}

static void must_create(const char *dir, uint64_t max_bytes)
{
    enum oh_format_off_reason reason;
    oh_require_equal(create(dir, max_bytes, &reason), 0);
    oh_require_equal(reason, OH_OFF_none);
}

static void must_refuse(const char *dir, int error, enum oh_format_off_reason wanted)
{
    char found[OH_SCRATCH_BYTES];
    enum oh_format_off_reason reason;
    oh_require_equal(create(dir, UINT64_C(8) << 20, &reason), error);
    oh_require_equal(reason, wanted);
    oh_require(oh_recording_header() == NULL);
    oh_recording_count(OH_COUNTER_early_calls); // harmless without a recording
    oh_require_equal(oh_scratch_list(dir, found), 0);
}

static void in_scratch(oh_child_fn *fn)
{
    char dir[OH_SCRATCH_BYTES];
    oh_scratch_make(dir, NULL);
    int status = oh_child_run(fn, dir);
    oh_scratch_remove(dir);
    if (status == OH_CHILD_SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

static struct oh_format_section *last_level(enum oh_format_section_id id)
{
    struct oh_format_section *last = NULL;
    for (uint32_t level = 0; oh_recording_section(id, level) != NULL; level++)
        last = oh_recording_section(id, level);
    return last;
}

static uint64_t file_bytes(const char *path)
{
    struct stat st;
    oh_require(stat(path, &st) == 0);
    return (uint64_t)st.st_size;
}

static int find_own_descriptor(void)
{
    struct stat file, other;
    oh_require(stat(oh_recording_path(), &file) == 0);
    for (int fd = 0; fd < 65536; fd++) {
        if (fstat(fd, &other) == 0 && other.st_ino == file.st_ino && other.st_dev == file.st_dev)
            return fd;
    }
    return -1;
}

// --- Making it

static void is_private_and_complete(void *dir)
{
    struct stat st;
    char found[OH_SCRATCH_BYTES];
    struct oh_tables_sum sum;
    uint64_t before = (uint64_t)time(NULL);
    (void)umask(0);
    must_create(dir, UINT64_C(8) << 20);

    // one file, under its name, for its owner alone
    oh_require_equal(oh_scratch_list(dir, found), 1);
    oh_require(strcmp(found, oh_recording_path()) == 0);
    oh_require(strstr(found, ".offheap") == found + strlen(found) - 8);
    oh_require(lstat(found, &st) == 0 && S_ISREG(st.st_mode));
    oh_require_equal(st.st_mode & 07777, 0600);
    oh_require_equal(st.st_nlink, 1);

    // its descriptor is out of the way and does not pass an exec
    int fd = find_own_descriptor();
    oh_require(fd >= 900 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);

    // the header tells of this process
    const struct oh_format_header *header = oh_recording_header();
    oh_require(memcmp(header->magic, OH_FORMAT_MAGIC, 8) == 0);
    oh_require_equal(header->pid, getpid());
    oh_require_equal(header->ppid, getppid());
    oh_require(header->start_ticks > 0);
    oh_require(header->start_realtime_ns / 1000000000 >= before);
    oh_require(strncmp(header->writer, "offheap ", 8) == 0);
    oh_require_equal(header->mode, OH_MODE_EXACT);
    oh_require_equal(header->state, OH_STATE_STARTING);
    oh_require_equal(header->max_bytes, UINT64_C(8) << 20);
    oh_require(strstr(oh_recording_at(header->exe.offset), "/test_recording") != NULL);
    oh_require(header->args.length > 0);

    // what is ready is there, and a reader accepts it
    size_t size;
    oh_require(oh_recording_base(&size) == (const void *)header);
    oh_require(file_bytes(found) >= size);
    oh_require(oh_tables_sum_file(found, &sum) == 0);
    oh_require(sum.stacks == 0 && sum.blocks == 0 && sum.damaged == 0);
}

static void test_create_makes_one_private_file_that_a_reader_accepts(void **state)
{
    (void)state;
    in_scratch(is_private_and_complete);
}

static void start_ticks_are_those_of_proc(void *dir)
{
    char stat[1024] = "";
    unsigned long long ticks = 0;
    must_create(dir, UINT64_C(8) << 20);
    int fd = open("/proc/self/stat", O_RDONLY);
    oh_require(read(fd, stat, sizeof stat - 1) > 0);
    oh_require(sscanf(strrchr(stat, ')'),
                      ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                      "%*d %llu",
                      &ticks) == 1);
    oh_require_equal(oh_recording_header()->start_ticks, ticks);
}

static void test_create_notes_when_the_process_began(void **state)
{
    (void)state;
    in_scratch(start_ticks_are_those_of_proc);
}

static void sampled_header(void *dir)
{
    struct oh_config config;
    enum oh_format_off_reason reason;
    oh_tables_config(&config, dir, UINT64_C(8) << 20);
    config.exact = false;
    config.sample_bytes = 4096;
    config.run_token = 77;
    config.note_count = 2;
    strcpy(config.notes[0], "first");
    strcpy(config.notes[1], "second");
    oh_require(oh_recording_create(&config, &reason) == 0);
    const struct oh_format_header *header = oh_recording_header();
    oh_require_equal(header->mode, OH_MODE_SAMPLED);
    oh_require_equal(header->weight_shift, 16);
    oh_require_equal(header->sample_bytes, 4096);
    oh_require_equal(header->run_token, 77);
    oh_require(strcmp(oh_recording_at(header->notes[0].offset), "first") == 0);
    oh_require(strcmp(oh_recording_at(header->notes[1].offset), "second") == 0);
    oh_require_equal(header->notes[2].length, 0);
}

static void test_create_carries_the_configuration_and_its_notes(void **state)
{
    (void)state;
    in_scratch(sampled_header);
}

static void directory_is_missing(void *dir)
{
    enum oh_format_off_reason reason;
    char missing[NAMED_BYTES];
    (void)snprintf(missing, sizeof missing, "%s/missing", (const char *)dir);
    oh_require_equal(create(missing, UINT64_C(8) << 20, &reason), -ENOENT);
    oh_require_equal(reason, OH_OFF_no_file);
}

static void test_create_in_a_missing_directory_is_refused(void **state)
{
    (void)state;
    in_scratch(directory_is_missing);
}

static void name_is_too_long(void *dir)
{
    char name[OH_PLACE_PATH_BYTES];
    enum oh_format_off_reason reason;
    (void)dir;
    memset(name, 'n', sizeof name);
    name[0] = '/';
    for (size_t left = 1; left < 80; left++) {
        name[sizeof name - left] = '\0';
        oh_require_equal(create(name, UINT64_C(8) << 20, &reason), -ENAMETOOLONG);
        oh_require_equal(reason, OH_OFF_no_file);
    }
}

static void test_create_under_a_name_that_is_too_long_is_refused(void **state)
{
    (void)state;
    in_scratch(name_is_too_long);
}

// A container may hide /proc.
static void there_is_no_proc(void *dir)
{
    struct oh_tables_sum sum;
    oh_fault_change_root(dir);
    oh_require(mkdir("/data", 0700) == 0);
    must_create("/data", UINT64_C(8) << 20);
    const struct oh_format_header *header = oh_recording_header();
    oh_require(header->args.length == 0 && header->start_ticks == 0);
    oh_require(strstr(oh_recording_path(), "/data/unknown.") == oh_recording_path());
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
}

static void test_create_without_proc_leaves_out_what_it_cannot_know(void **state)
{
    (void)state;
    in_scratch(there_is_no_proc);
}

static void no_directory_at_all(void *dir)
{
    struct oh_config config;
    enum oh_format_off_reason reason;
    oh_fault_change_root(dir);
    oh_tables_config(&config, NULL, UINT64_C(8) << 20);
    oh_require_equal(oh_recording_create(&config, &reason), -EACCES);
    oh_require_equal(reason, OH_OFF_no_dir);
}

static void test_create_without_any_directory_is_refused(void **state)
{
    (void)state;
    in_scratch(no_directory_at_all);
}

// The names that create would choose in the next seconds.
static void name_at(char *path, const char *dir, uint64_t ms, const char *end)
{
    char exe[OH_PLACE_PATH_BYTES] = "";
    char name[OH_PLACE_PATH_BYTES];
    oh_require(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    oh_require(oh_place_path(name, dir, exe, (uint64_t)getpid(), ms) == 0);
    (void)snprintf(path, NAMED_BYTES, "%.400s%s", name, end);
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void put_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    oh_require(fd >= 0 && write(fd, "theirs", 6) == 6);
    (void)close(fd);
}

static void must_be_theirs(const char *path)
{
    char bytes[16] = "";
    int fd = open(path, O_RDONLY);
    oh_require(fd >= 0 && read(fd, bytes, sizeof bytes) == 6);
    oh_require(memcmp(bytes, "theirs", 6) == 0);
    (void)close(fd);
}

// Seven of eight names are taken.
static void names_collide(void *dir)
{
    char path[NAMED_BYTES];
    uint64_t first = now_ms();
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        if (ms % 8 != 0)
            put_file(path);
    }
    must_create(dir, UINT64_C(8) << 20);
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        if (ms % 8 != 0)
            must_be_theirs(path);
        else if (strcmp(path, oh_recording_path()) == 0)
            return;
    }
    oh_require(!"the recording has a free name");
}

static void test_create_under_taken_names_finds_a_free_one(void **state)
{
    (void)state;
    in_scratch(names_collide);
}

static void all_names_are_taken(void *dir)
{
    char path[NAMED_BYTES];
    enum oh_format_off_reason reason;
    uint64_t first = now_ms();
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        put_file(path);
    }
    oh_require_equal(create(dir, UINT64_C(8) << 20, &reason), -EEXIST);
    oh_require_equal(reason, OH_OFF_no_file);
    oh_require(oh_recording_header() == NULL);
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        must_be_theirs(path);
        name_at(path, dir, ms, ".new");
        oh_require(access(path, F_OK) < 0);
    }
}

static void test_create_without_a_free_name_leaves_the_others_alone(void **state)
{
    (void)state;
    in_scratch(all_names_are_taken);
}

// Whoever may write into the directory lays links where the file would be made.
static void links_are_laid(void *dir)
{
    char path[NAMED_BYTES], target[NAMED_BYTES];
    enum oh_format_off_reason reason;
    (void)snprintf(target, sizeof target, "%s/target", (const char *)dir);
    uint64_t first = now_ms();
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, ".new");
        oh_require(symlink(target, path) == 0);
    }
    oh_require_equal(create(dir, UINT64_C(8) << 20, &reason), -EEXIST);
    oh_require_equal(reason, OH_OFF_no_file);
    oh_require(access(target, F_OK) < 0);
}

static void test_create_never_follows_a_symbolic_link(void **state)
{
    (void)state;
    in_scratch(links_are_laid);
}

static void exclusive_renames_are_refused(void *dir)
{
    char found[OH_SCRATCH_BYTES];
    oh_fault_fail_call(SYS_renameat2, EINVAL);
    must_create(dir, UINT64_C(8) << 20);
    oh_require_equal(oh_scratch_list(dir, found), 1);
    oh_require(strcmp(found, oh_recording_path()) == 0);
}

static void test_create_where_a_rename_cannot_be_exclusive_renames_plainly(void **state)
{
    (void)state;
    in_scratch(exclusive_renames_are_refused);
}

static void nothing_can_be_published(void *dir)
{
    oh_fault_fail_call(SYS_renameat2, EINVAL);
    oh_fault_fail_call(SYS_renameat, EIO);
    must_refuse(dir, -EIO, OH_OFF_no_file);
}

static void test_create_that_cannot_be_published_leaves_nothing(void **state)
{
    (void)state;
    in_scratch(nothing_can_be_published);
}

static void few_descriptors(void *dir)
{
    struct rlimit limit = {64, 64};
    oh_require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    must_create(dir, UINT64_C(8) << 20);
    oh_require(oh_recording_reserve(last_level(OH_SECTION_LIVE)) == 0);
}

static void test_create_under_a_low_limit_of_descriptors_works(void **state)
{
    (void)state;
    in_scratch(few_descriptors);
}

// --- Space

static void disk_is_too_small(void *dir)
{
    oh_fault_small_disk(dir, 256 << 10);
    must_refuse(dir, -ENOSPC, OH_OFF_no_space);
}

static void test_create_on_a_full_disk_is_refused(void **state)
{
    (void)state;
    in_scratch(disk_is_too_small);
}

// Inserts until the table refuses.
static uint64_t fill_live(void)
{
    const uint64_t pc = 0x401000;
    struct oh_stack_key key = {.kind = OH_KIND_MALLOC, .depth = 1, .pcs = &pc};
    struct oh_format_block block = {.size = 1, .weight = 1}, old;
    oh_stacks_init();
    oh_live_init();
    block.stack = oh_stacks_intern(&key);
    bool replaced;
    uint64_t count = 0;
    while (oh_live_insert((count + 1) * 16, &block, &replaced, &old))
        count++;
    return count;
}

static void disk_fills_up(void *dir)
{
    struct oh_tables_sum sum;
    oh_fault_small_disk(dir, 2 << 20);
    must_create(dir, UINT64_C(64) << 20);
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
    in_scratch(disk_fills_up);
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
    must_create(dir, UINT64_C(64) << 20);
    oh_require_equal(oh_recording_reserve(last_level(OH_SECTION_LIVE)), -ENOSPC);
    oh_require(fill_live() > 10000);
    oh_require(oh_tables_counter(OH_COUNTER_dropped_no_room) > 0);
}

static void test_growth_past_the_file_size_limit_fails_without_a_signal(void **state)
{
    (void)state;
    in_scratch(file_size_is_limited);
}

static void file_size_is_limited_to_less(void *dir)
{
    limit_file_size(64 << 10);
    must_refuse(dir, -EFBIG, OH_OFF_no_space);
}

static void test_create_past_the_file_size_limit_is_refused_without_a_signal(void **state)
{
    (void)state;
    in_scratch(file_size_is_limited_to_less);
}

static void cannot_reserve(void *dir)
{
    struct oh_tables_sum sum;
    struct stat st;
    oh_fault_fail_call(SYS_fallocate, EOPNOTSUPP);
    must_create(dir, UINT64_C(8) << 20);
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
    oh_require_equal(file_bytes(oh_recording_path()), (uint64_t)st.st_size);
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
    oh_require_equal(sum.blocks, count);
}

static void test_create_where_space_cannot_be_reserved_writes_it_and_tells(void **state)
{
    (void)state;
    in_scratch(cannot_reserve);
}

static void cannot_reserve_on_a_full_disk(void *dir)
{
    oh_fault_small_disk(dir, 256 << 10);
    oh_fault_fail_call(SYS_fallocate, EOPNOTSUPP);
    must_refuse(dir, -ENOSPC, OH_OFF_no_space);
}

static void test_create_that_writes_on_a_full_disk_is_refused(void **state)
{
    (void)state;
    in_scratch(cannot_reserve_on_a_full_disk);
}

// What is known to fail is not tried again: not by each of a million calls.
static void failed_is_final(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    uint64_t bytes = file_bytes(oh_recording_path());
    struct oh_format_section *failed = last_level(OH_SECTION_LIVE);
    failed->state = OH_SECTION_FAILED;
    oh_require_equal(oh_recording_reserve(failed), -ENOSPC);
    oh_require_equal(failed->state, OH_SECTION_FAILED);
    oh_recording_header()->flags |= OH_FLAG_NO_FALLOCATE;
    oh_require_equal(oh_recording_reserve(last_level(OH_SECTION_INDEX)), -ENOSPC);
    oh_require_equal(last_level(OH_SECTION_INDEX)->state, OH_SECTION_FAILED);
    oh_require_equal(file_bytes(oh_recording_path()), bytes);
}

static void test_growth_that_cannot_be_is_not_tried_again(void **state)
{
    (void)state;
    in_scratch(failed_is_final);
}

static void reserving_is_always_interrupted(void *dir)
{
    oh_fault_fail_call(SYS_fallocate, EINTR);
    must_refuse(dir, -EINTR, OH_OFF_no_file);
}

static void test_create_that_is_interrupted_for_ever_gives_up(void **state)
{
    (void)state;
    in_scratch(reserving_is_always_interrupted);
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
    must_create(dir, UINT64_C(256) << 20);
    oh_require(sigaction(SIGALRM, &action, NULL) == 0);
    oh_require(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    oh_require_equal(oh_recording_reserve(last_level(OH_SECTION_LIVE)), 0);
}

static void test_growth_under_a_fast_timer_comes_to_its_end(void **state)
{
    (void)state;
    in_scratch(timer_is_fast);
}

static void cannot_map(void *dir)
{
    struct rlimit limit;
    oh_require(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = UINT64_C(1) << 30;
    oh_require(setrlimit(RLIMIT_AS, &limit) == 0);
    enum oh_format_off_reason reason;
    char found[OH_SCRATCH_BYTES];
    oh_require_equal(create(dir, UINT64_C(4) << 30, &reason), -ENOMEM);
    oh_require_equal(reason, OH_OFF_no_memory);
    oh_require_equal(oh_scratch_list(dir, found), 0);
}

static void test_create_that_cannot_be_mapped_leaves_nothing(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); // A sanitizer's shadow memory does not fit into such a limit.
#endif
    in_scratch(cannot_map);
}

// --- The descriptor in a host that does what it likes

static void grow_last(void)
{
    struct oh_format_section *section = last_level(OH_SECTION_LIVE);
    oh_require_equal(oh_recording_reserve(section), 0);
    oh_require(oh_recording_ready(section));
    uint8_t *bytes = oh_recording_at(section->offset);
    bytes[0] = 1; // A byte that was not reserved would end us here.
    bytes[section->bytes - 1] = 1;
    oh_require(file_bytes(oh_recording_path()) >= section->offset + section->bytes);
}

static void descriptor_is_closed(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    (void)close(find_own_descriptor());
    oh_require(find_own_descriptor() == -1);
    grow_last();
    oh_require(find_own_descriptor() == -1);
}

static void test_growth_after_the_host_closed_our_descriptor_works(void **state)
{
    (void)state;
    in_scratch(descriptor_is_closed);
}

static void descriptor_is_reused(void *dir)
{
    char path[NAMED_BYTES];
    must_create(dir, UINT64_C(8) << 20);
    int fd = find_own_descriptor();
    (void)snprintf(path, sizeof path, "%s/theirs", (const char *)dir);
    int theirs = open(path, O_RDWR | O_CREAT, 0600);
    oh_require(theirs >= 0 && dup2(theirs, fd) == fd);
    grow_last();
    oh_require_equal(file_bytes(path), 0);
}

static void test_growth_after_the_host_reused_our_descriptor_leaves_its_file_alone(void **state)
{
    (void)state;
    in_scratch(descriptor_is_reused);
}

static void descriptor_is_closed_and_file_is_gone(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    (void)close(find_own_descriptor());
    oh_require(unlink(oh_recording_path()) == 0);
    oh_require_equal(oh_recording_reserve(last_level(OH_SECTION_LIVE)), -ENOSPC);
    oh_require_equal(last_level(OH_SECTION_LIVE)->state, OH_SECTION_FAILED);
}

static void test_growth_of_a_file_that_is_gone_fails(void **state)
{
    (void)state;
    in_scratch(descriptor_is_closed_and_file_is_gone);
}

static void descriptor_is_closed_and_name_is_theirs(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    (void)close(find_own_descriptor());
    oh_require(unlink(oh_recording_path()) == 0);
    put_file(oh_recording_path());
    oh_require_equal(oh_recording_reserve(last_level(OH_SECTION_LIVE)), -ENOSPC);
    must_be_theirs(oh_recording_path());
}

static void test_growth_never_touches_another_file_under_our_name(void **state)
{
    (void)state;
    in_scratch(descriptor_is_closed_and_name_is_theirs);
}

// --- What hangs on the sections

static void sections_give_out_space(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    struct oh_format_section *first = oh_recording_section(OH_SECTION_STACKS, 0);
    struct oh_format_section *later = oh_recording_section(OH_SECTION_STACKS, 1);
    oh_require(oh_recording_section(OH_SECTION_STACKS, 99) == NULL);
    oh_require(oh_recording_section(OH_SECTION_ID_COUNT, 0) == NULL);
    // a section that is not ready gives nothing
    oh_require(!oh_recording_ready(later) && oh_recording_take(later, 64) == 0);
    oh_require(later->cursor == 0);
    // one that is gives its bytes one after the other, and to the last
    oh_require_equal(oh_recording_take(first, 64), first->offset);
    oh_require_equal(oh_recording_take(first, 128), first->offset + 64);
    oh_require_equal(oh_recording_take(first, first->bytes - 192), first->offset + 192);
    oh_require_equal(oh_recording_take(first, 64), 0);
    uint64_t cursor = first->cursor;
    for (int i = 0; i < 1000; i++)
        oh_require_equal(oh_recording_take(first, 64), 0);
    oh_require_equal(first->cursor, cursor);
    // one that does not fit is refused
    oh_require(oh_recording_reserve(later) == 0);
    oh_require_equal(oh_recording_take(later, later->bytes + 64), 0);
}

static void test_take_gives_each_byte_once_and_none_beyond(void **state)
{
    (void)state;
    in_scratch(sections_give_out_space);
}

static void texts_fill_up(void *dir)
{
    char text[1000];
    uint64_t stored = 0;
    struct oh_format_text last = {0, 0};
    must_create(dir, UINT64_C(8) << 20);
    memset(text, 't', sizeof text);
    for (;; stored++) {
        struct oh_format_text added = oh_recording_add_text(text, sizeof text);
        if (added.length == 0)
            break;
        last = added;
    }
    oh_require(stored > 250 && stored < 300); // 32 KiB and 256 KiB
    oh_require_equal(oh_tables_counter(OH_COUNTER_strings_full), 1);
    const char *bytes = oh_recording_at(last.offset);
    oh_require(memcmp(bytes, text, sizeof text) == 0 && bytes[sizeof text] == '\0');
}

static void test_texts_beyond_the_room_are_counted_and_empty(void **state)
{
    (void)state;
    in_scratch(texts_fill_up);
}

static void notes_fill_up(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    for (int i = 0; i < OH_FORMAT_NOTES + 5; i++)
        oh_recording_add_note(i < OH_FORMAT_NOTES ? "a note" : "one too many");
    const struct oh_format_header *header = oh_recording_header();
    for (int i = 0; i < OH_FORMAT_NOTES; i++)
        oh_require(strcmp(oh_recording_at(header->notes[i].offset), "a note") == 0);
}

static void test_notes_beyond_their_number_are_left_out(void **state)
{
    (void)state;
    in_scratch(notes_fill_up);
}

static void state_is_set(void *dir)
{
    oh_recording_set_state(OH_STATE_OFF, OH_OFF_internal); // harmless without a recording
    must_create(dir, UINT64_C(8) << 20);
    oh_recording_set_state(OH_STATE_OFF, OH_OFF_internal);
    const struct oh_format_header *header = oh_recording_header();
    oh_require_equal(header->state, OH_STATE_OFF);
    oh_require_equal(header->off_reason, OH_OFF_internal);
    oh_require(header->end_realtime_ns >= header->start_realtime_ns);
}

static void test_set_state_tells_why_and_when(void **state)
{
    (void)state;
    in_scratch(state_is_set);
}

static void clock_goes_on(void *dir)
{
    must_create(dir, UINT64_C(8) << 20);
    uint64_t before = oh_recording_now_ns();
    struct timespec pause = {0, 50000000};
    (void)nanosleep(&pause, NULL);
    uint64_t passed = oh_recording_now_ns() - before;
    oh_require(passed >= 40000000 && passed < UINT64_C(10000000000));
}

static void test_clock_counts_from_the_begin(void **state)
{
    (void)state;
    in_scratch(clock_goes_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_makes_one_private_file_that_a_reader_accepts),
        cmocka_unit_test(test_create_notes_when_the_process_began),
        cmocka_unit_test(test_create_carries_the_configuration_and_its_notes),
        cmocka_unit_test(test_create_in_a_missing_directory_is_refused),
        cmocka_unit_test(test_create_under_a_name_that_is_too_long_is_refused),
        cmocka_unit_test(test_create_without_proc_leaves_out_what_it_cannot_know),
        cmocka_unit_test(test_create_without_any_directory_is_refused),
        cmocka_unit_test(test_create_under_taken_names_finds_a_free_one),
        cmocka_unit_test(test_create_without_a_free_name_leaves_the_others_alone),
        cmocka_unit_test(test_create_never_follows_a_symbolic_link),
        cmocka_unit_test(test_create_where_a_rename_cannot_be_exclusive_renames_plainly),
        cmocka_unit_test(test_create_that_cannot_be_published_leaves_nothing),
        cmocka_unit_test(test_create_under_a_low_limit_of_descriptors_works),
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
        cmocka_unit_test(test_growth_of_a_file_that_is_gone_fails),
        cmocka_unit_test(test_growth_never_touches_another_file_under_our_name),
        cmocka_unit_test(test_take_gives_each_byte_once_and_none_beyond),
        cmocka_unit_test(test_texts_beyond_the_room_are_counted_and_empty),
        cmocka_unit_test(test_notes_beyond_their_number_are_left_out),
        cmocka_unit_test(test_set_state_tells_why_and_when),
        cmocka_unit_test(test_clock_counts_from_the_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
