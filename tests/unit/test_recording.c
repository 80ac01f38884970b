// SPDX-License-Identifier: Apache-2.0
//
// A process has one recording: every case runs in a child with a directory of its own.

#include "recording/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include "recording/place.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/file.h"
#include "support/scratch.h"
#include "support/tables.h"

enum { NAMED_BYTES = 2 * OH_SCRATCH_BYTES, MANY_MS = 8000, DISK_BYTES = 64 << 20 };

// --- Making it

static void is_private_and_complete(void *dir)
{
    struct stat st;
    char found[OH_SCRATCH_BYTES];
    struct oh_tables_sum sum;
    uint64_t before = (uint64_t)time(NULL);
    (void)umask(0);
    oh_file_create(dir, UINT64_C(8) << 20);

    // one file, under its name, for its owner alone
    oh_require_equal(oh_scratch_list(dir, found), 1);
    oh_require(strcmp(found, oh_recording_path()) == 0);
    oh_require(strstr(found, ".offheap") == found + strlen(found) - 8);
    oh_require(lstat(found, &st) == 0 && S_ISREG(st.st_mode));
    oh_require_equal(st.st_mode & 07777, 0600);
    oh_require_equal(st.st_nlink, 1);

    // its descriptor is out of the way and does not pass an exec
    int fd = oh_file_descriptor();
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
    char args[1024];
    int command = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = read(command, args, sizeof args);
    (void)close(command);
    oh_require(length > 0 && header->args.length == (uint32_t)length);
    oh_require(memcmp(oh_recording_at(header->args.offset), args, (size_t)length) == 0);

    // what is ready is there, and a reader accepts it
    size_t size;
    oh_require(oh_recording_base(&size) == (const void *)header);
    oh_require(oh_file_bytes(found) >= size);
    oh_require(oh_tables_sum_file(found, &sum) == 0);
    oh_require(sum.stacks == 0 && sum.blocks == 0 && sum.damaged == 0);
}

static void test_create_makes_one_private_file_that_a_reader_accepts(void **state)
{
    (void)state;
    oh_scratch_run(is_private_and_complete);
}

static void start_ticks_are_those_of_proc(void *dir)
{
    char stat[1024] = "";
    unsigned long long ticks = 0;
    oh_file_create(dir, UINT64_C(8) << 20);
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
    oh_scratch_run(start_ticks_are_those_of_proc);
}

static void sampled_header(void *dir)
{
    struct oh_config config;
    struct oh_process_facts process;
    enum oh_format_off_reason reason;
    oh_tables_config(&config, dir, UINT64_C(8) << 20);
    config.exact = false;
    config.sample_bytes = 4096;
    config.run_token = 77;
    config.note_count = 2;
    strcpy(config.notes[0], "first");
    strcpy(config.notes[1], "second");
    oh_process_read(&process);
    oh_require(oh_recording_create(&config, &process, &reason) == 0);
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
    oh_scratch_run(sampled_header);
}

static void directory_is_missing(void *dir)
{
    enum oh_format_off_reason reason;
    char missing[NAMED_BYTES];
    (void)snprintf(missing, sizeof missing, "%s/missing", (const char *)dir);
    oh_require_equal(oh_file_try(missing, UINT64_C(8) << 20, &reason), -ENOENT);
    oh_require_equal(reason, OH_OFF_no_file);
}

static void test_create_in_a_missing_directory_is_refused(void **state)
{
    (void)state;
    oh_scratch_run(directory_is_missing);
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
        oh_require_equal(oh_file_try(name, UINT64_C(8) << 20, &reason), -ENAMETOOLONG);
        oh_require_equal(reason, OH_OFF_no_file);
    }
}

static void test_create_under_a_name_that_is_too_long_is_refused(void **state)
{
    (void)state;
    oh_scratch_run(name_is_too_long);
}

// A container may hide /proc.
static void there_is_no_proc(void *dir)
{
    struct oh_tables_sum sum;
    oh_fault_change_root(dir);
    oh_require(mkdir("/data", 0700) == 0);
    oh_file_create("/data", UINT64_C(8) << 20);
    const struct oh_format_header *header = oh_recording_header();
    oh_require(header->args.length == 0 && header->start_ticks == 0);
    oh_require(strstr(oh_recording_path(), "/data/unknown.") == oh_recording_path());
    oh_require(oh_tables_sum_file(oh_recording_path(), &sum) == 0);
}

static void test_create_without_proc_leaves_out_what_it_cannot_know(void **state)
{
    (void)state;
    oh_scratch_run(there_is_no_proc);
}

static void no_directory_at_all(void *dir)
{
    const struct oh_process_facts process = {0};
    struct oh_config config;
    enum oh_format_off_reason reason;
    oh_fault_change_root(dir);
    oh_tables_config(&config, NULL, UINT64_C(8) << 20);
    oh_require_equal(oh_recording_create(&config, &process, &reason), -EACCES);
    oh_require_equal(reason, OH_OFF_no_dir);
}

static void test_create_without_any_directory_is_refused(void **state)
{
    (void)state;
    oh_scratch_run(no_directory_at_all);
}

// The names that create would choose in the next seconds; a file system in memory takes them all
// within one.
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

// Seven of eight names are taken.
static void names_collide(void *dir)
{
    char path[NAMED_BYTES];
    oh_fault_small_disk(dir, DISK_BYTES);
    uint64_t first = now_ms();
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        if (ms % 8 != 0)
            oh_file_put_theirs(path);
    }
    oh_file_create(dir, UINT64_C(8) << 20);
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        if (ms % 8 != 0)
            oh_file_must_be_theirs(path);
        else if (strcmp(path, oh_recording_path()) == 0)
            return;
    }
    oh_require(!"the recording has a free name");
}

static void test_create_under_taken_names_finds_a_free_one(void **state)
{
    (void)state;
    oh_scratch_run(names_collide);
}

static void all_names_are_taken(void *dir)
{
    char path[NAMED_BYTES];
    enum oh_format_off_reason reason;
    oh_fault_small_disk(dir, DISK_BYTES);
    uint64_t first = now_ms();
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        oh_file_put_theirs(path);
    }
    oh_require_equal(oh_file_try(dir, UINT64_C(8) << 20, &reason), -EEXIST);
    oh_require_equal(reason, OH_OFF_no_file);
    oh_require(oh_recording_header() == NULL);
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, "");
        oh_file_must_be_theirs(path);
        name_at(path, dir, ms, ".new");
        oh_require(access(path, F_OK) < 0);
    }
}

static void test_create_without_a_free_name_leaves_the_others_alone(void **state)
{
    (void)state;
    oh_scratch_run(all_names_are_taken);
}

// Whoever may write into the directory lays links where the file would be made.
static void links_are_laid(void *dir)
{
    char path[NAMED_BYTES], target[NAMED_BYTES];
    enum oh_format_off_reason reason;
    oh_fault_small_disk(dir, DISK_BYTES);
    (void)snprintf(target, sizeof target, "%s/target", (const char *)dir);
    uint64_t first = now_ms();
    for (uint64_t ms = first; ms < first + MANY_MS; ms++) {
        name_at(path, dir, ms, ".new");
        oh_require(symlink(target, path) == 0);
    }
    oh_require_equal(oh_file_try(dir, UINT64_C(8) << 20, &reason), -EEXIST);
    oh_require_equal(reason, OH_OFF_no_file);
    oh_require(access(target, F_OK) < 0);
}

static void test_create_never_follows_a_symbolic_link(void **state)
{
    (void)state;
    oh_scratch_run(links_are_laid);
}

static void exclusive_renames_are_refused(void *dir)
{
    char found[OH_SCRATCH_BYTES];
    oh_fault_fail_call(SYS_renameat2, EINVAL);
    oh_file_create(dir, UINT64_C(8) << 20);
    oh_require_equal(oh_scratch_list(dir, found), 1);
    oh_require(strcmp(found, oh_recording_path()) == 0);
}

static void test_create_where_a_rename_cannot_be_exclusive_renames_plainly(void **state)
{
    (void)state;
    oh_scratch_run(exclusive_renames_are_refused);
}

static void must_not_be_mapped(const char *name)
{
    char line[OH_PLACE_PATH_BYTES];
    FILE *maps = fopen("/proc/self/maps", "r");
    oh_require(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        oh_require(strstr(line, name) == NULL);
    (void)fclose(maps);
}

// The file is longer than what a reader ahead would take at once, and hardly any of it is in
// memory. (On a file system in memory all of it is, always.)
static void only_touched_pages_are_in_memory(void *dir)
{
    enum { PAGE = 4096, PAGES = 128, FEW = 16 };
    static unsigned char resident[PAGES];
    size_t size, count = 0;
    struct statfs fs;
    oh_require(statfs(dir, &fs) == 0);
    if (fs.f_type == TMPFS_MAGIC)
        return;
    oh_file_create(dir, UINT64_C(8) << 20);
    const void *base = oh_recording_base(&size);
    oh_require(size >= (size_t)PAGES * PAGE);
    oh_require(mincore((void *)(uintptr_t)base, (size_t)PAGES * PAGE, resident) == 0);
    for (size_t i = 0; i < PAGES; i++)
        count += resident[i] & 1;
    oh_require(count <= FEW);
}

static void test_create_brings_in_few_pages(void **state)
{
    (void)state;
    oh_scratch_run(only_touched_pages_are_in_memory);
}

static void nothing_can_be_published(void *dir)
{
    oh_fault_fail_call(SYS_renameat2, EINVAL);
    oh_fault_fail_call(SYS_renameat, EIO);
    oh_file_refuse(dir, -EIO, OH_OFF_no_file);
    must_not_be_mapped(".offheap");
}

static void test_create_that_cannot_be_published_leaves_nothing(void **state)
{
    (void)state;
    oh_scratch_run(nothing_can_be_published);
}

static void few_descriptors(void *dir)
{
    struct rlimit limit = {64, 64};
    oh_require(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    oh_file_create(dir, UINT64_C(8) << 20);
    oh_require(oh_recording_reserve(oh_file_last_level(OH_SECTION_LIVE)) == 0);
}

static void test_create_under_a_low_limit_of_descriptors_works(void **state)
{
    (void)state;
    oh_scratch_run(few_descriptors);
}

// --- What hangs on the sections

static void sections_give_out_space(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
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
    oh_scratch_run(sections_give_out_space);
}

static void texts_fill_up(void *dir)
{
    char text[1000];
    uint64_t stored = 0;
    struct oh_format_text last = {0, 0};
    oh_file_create(dir, UINT64_C(8) << 20);
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
    oh_scratch_run(texts_fill_up);
}

static void notes_fill_up(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
    for (int i = 0; i < OH_FORMAT_NOTES + 5; i++)
        oh_recording_add_note(i < OH_FORMAT_NOTES ? "a note" : "one too many");
    const struct oh_format_header *header = oh_recording_header();
    for (int i = 0; i < OH_FORMAT_NOTES; i++)
        oh_require(strcmp(oh_recording_at(header->notes[i].offset), "a note") == 0);
}

static void test_notes_beyond_their_number_are_left_out(void **state)
{
    (void)state;
    oh_scratch_run(notes_fill_up);
}

static void state_is_set(void *dir)
{
    oh_recording_set_state(OH_STATE_OFF, OH_OFF_internal); // harmless without a recording
    oh_file_create(dir, UINT64_C(8) << 20);
    oh_recording_set_state(OH_STATE_OFF, OH_OFF_internal);
    const struct oh_format_header *header = oh_recording_header();
    oh_require_equal(header->state, OH_STATE_OFF);
    oh_require_equal(header->off_reason, OH_OFF_internal);
    oh_require(header->end_realtime_ns >= header->start_realtime_ns);
}

static void test_set_state_tells_why_and_when(void **state)
{
    (void)state;
    oh_scratch_run(state_is_set);
}

static void clock_goes_on(void *dir)
{
    oh_file_create(dir, UINT64_C(8) << 20);
    uint64_t before = oh_recording_now_ns();
    struct timespec pause = {0, 50000000};
    (void)nanosleep(&pause, NULL);
    uint64_t passed = oh_recording_now_ns() - before;
    oh_require(passed >= 40000000 && passed < UINT64_C(10000000000));
}

static void test_clock_counts_from_the_begin(void **state)
{
    (void)state;
    oh_scratch_run(clock_goes_on);
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
        cmocka_unit_test(test_create_brings_in_few_pages),
        cmocka_unit_test(test_create_under_a_low_limit_of_descriptors_works),
        cmocka_unit_test(test_take_gives_each_byte_once_and_none_beyond),
        cmocka_unit_test(test_texts_beyond_the_room_are_counted_and_empty),
        cmocka_unit_test(test_notes_beyond_their_number_are_left_out),
        cmocka_unit_test(test_set_state_tells_why_and_when),
        cmocka_unit_test(test_clock_counts_from_the_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
