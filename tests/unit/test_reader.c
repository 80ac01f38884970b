// SPDX-License-Identifier: Apache-2.0
//
// Opening recordings and processes: what is right opens, what is wrong is told.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"
#include "profile/timeline.h"
#include "reader/locate.h"
#include "reader/reader.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/synthetic.h"

static char scratch[OH_SCRATCH_BYTES];
static struct oh_synthetic recording;
static struct oh_err err;

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(scratch, NULL);
    oh_synthetic_sample(&recording, OH_MODE_EXACT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(scratch);
    return 0;
}

static const char *write_file(const char *name, const void *bytes, size_t size)
{
    static char path[OH_SCRATCH_BYTES + 64];
    (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

// It does not open, and the message has these words.
static void refused(const char *what, const char *words)
{
    struct oh_reader reader;
    err.text[0] = '\0';
    assert_true(oh_reader_open(&reader, what, &err) < 0);
    if (strstr(err.text, words) == NULL) {
        fail_msg("no \"%s\" in: %s", words, err.text);
    }
}

static int count_stack(void *arg, const struct oh_view_stack *stack)
{
    (void)stack;
    ++*(int *)arg;
    return 0;
}

static int count_stacks(struct oh_reader *reader)
{
    int count = 0;
    assert_int_equal(oh_view_each_stack(&reader->view, count_stack, &count), 0);
    return count;
}

static void test_open_recording_gives_its_stacks(void **state)
{
    (void)state;
    struct oh_reader reader;
    const char *const path = write_file("app.4711.1.offheap", recording.bytes, recording.size);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    assert_int_equal(reader.view.header->pid, 4711);
    assert_int_equal(count_stacks(&reader), 3);
    assert_string_equal(reader.path, path);
    oh_reader_close(&reader);
}

static void test_open_sparse_recording_gives_its_stacks(void **state)
{
    (void)state;
    struct oh_reader reader;
    const char *const path = write_file("sparse.offheap", recording.bytes, recording.size);
    assert_int_equal(truncate(path, (off_t)1 << 36), 0);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    assert_int_equal(count_stacks(&reader), 3);
    oh_reader_close(&reader);
}

static void test_open_what_is_no_recording_says_what_it_is(void **state)
{
    (void)state;
    uint8_t zeros[8192] = {0};
    refused("/nonexistent/x.offheap", "there is no file /nonexistent/x.offheap");
    refused(scratch, "is a directory");
    refused("/dev/null", "not a regular file");
    refused(write_file("empty.offheap", "", 0), "is empty");
    refused(write_file("zeros.offheap", zeros, sizeof zeros), "never begun");
    refused(write_file("p.pb.gz", "\x1f\x8b\x08", 3), "go tool pprof");
    refused("/proc/self/exe", "a program or a library");
    refused(write_file("text", "hello, world", 12), "is not a recording");
}

static void test_open_other_version_says_so(void **state)
{
    (void)state;
    oh_synthetic_header(&recording)->major = OH_FORMAT_MAJOR + 1;
    refused(write_file("v.offheap", recording.bytes, recording.size), "format version 3");
    oh_synthetic_header(&recording)->major = OH_FORMAT_MAJOR;
    oh_synthetic_header(&recording)->endian_tag = __builtin_bswap32(OH_FORMAT_ENDIAN_TAG);
    refused(write_file("e.offheap", recording.bytes, recording.size), "other byte order");
}

static void test_open_newer_minor_is_accepted(void **state)
{
    (void)state;
    struct oh_reader reader;
    oh_synthetic_header(&recording)->minor = OH_FORMAT_MINOR + 1;
    const char *const path = write_file("m.offheap", recording.bytes, recording.size);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    oh_reader_close(&reader);
}

static void test_open_cut_at_every_section_edge_says_which(void **state)
{
    (void)state;
    const struct oh_format_header *const header = oh_synthetic_header(&recording);
    for (uint32_t i = 0; i < header->section_count; i++) {
        const struct oh_format_section *const s = &header->sections[i];
        if (s->state != OH_SECTION_READY) {
            continue;
        }
        refused(write_file("cut.offheap", recording.bytes, s->offset), "is cut short");
        refused(write_file("cut.offheap", recording.bytes, s->offset + s->bytes - 1),
                "is cut short");
    }
    refused(write_file("cut.offheap", recording.bytes, OH_FORMAT_HEADER_BYTES - 1),
            "is cut short: section header");
}

// Every flipped bit gives a recording that opens, or words; never a fault of ours.
static void test_open_bit_flipped_opens_or_is_told(void **state)
{
    (void)state;
    struct oh_random random = {.state = 1};
    for (int i = 0; i < 300; i++) {
        struct oh_reader reader;
        const size_t bound = i % 2 == 0 ? 2496 : recording.size;
        const size_t at = (size_t)oh_random_below(&random, bound);
        const uint8_t bit = (uint8_t)(1u << oh_random_below(&random, 8));
        recording.bytes[at] ^= bit;
        const char *const path = write_file("flip.offheap", recording.bytes, recording.size);
        recording.bytes[at] ^= bit;
        err.text[0] = '\0';
        if (oh_reader_open(&reader, path, &err) < 0) {
            assert_true(err.text[0] != '\0');
            continue;
        }
        struct oh_list warnings = {0};
        (void)count_stacks(&reader);
        assert_int_equal(oh_reader_collect_warnings(&reader, &warnings), 0);
        oh_list_fini(&warnings);
        oh_reader_close(&reader);
    }
}

static void test_target_number_is_a_pid_unless_a_file(void **state)
{
    (void)state;
    pid_t pid = 0;
    assert_int_equal(chdir(scratch), 0);
    assert_int_equal(oh_reader_target("4711", &pid), OH_TARGET_PID);
    assert_int_equal(pid, 4711);
    (void)write_file("4711", "", 0);
    assert_int_equal(oh_reader_target("4711", &pid), OH_TARGET_FILE);
    assert_int_equal(oh_reader_target("./12", &pid), OH_TARGET_FILE);
    assert_int_equal(oh_reader_target("0", &pid), OH_TARGET_FILE);
    assert_int_equal(oh_reader_target("99999999999", &pid), OH_TARGET_FILE);
    assert_int_equal(chdir("/"), 0);
}

static pid_t dead_pid(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void test_open_dead_pid_finds_what_it_left(void **state)
{
    (void)state;
    char name[64];
    char number[16];
    const pid_t pid = dead_pid();
    (void)snprintf(name, sizeof name, "a.b.%d.77.offheap", (int)pid);
    (void)snprintf(number, sizeof number, "%d", (int)pid);
    assert_int_equal(setenv("OFFHEAP_DIR", scratch, 1), 0);
    refused(number, "there is no process");
    (void)write_file(name, recording.bytes, recording.size);
    struct oh_reader reader;
    assert_int_equal(oh_reader_open(&reader, number, &err), 0);
    assert_int_equal(count_stacks(&reader), 3);
    assert_int_equal(reader.pid, 0);
    oh_reader_close(&reader);
    assert_int_equal(unsetenv("OFFHEAP_DIR"), 0);
}

static void test_open_unrecorded_pid_says_why(void **state)
{
    (void)state;
    char number[16];
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    refused(number, "started without liboffheap.so");
}

static void *map_recording(const char *path)
{
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    void *const map = mmap(NULL, recording.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(close(fd), 0);
    return map;
}

static void be_its_owner(void)
{
    struct oh_proc self;
    assert_int_equal(oh_proc_get(getpid(), &self), 0);
    oh_synthetic_header(&recording)->pid = (uint32_t)self.pid;
    oh_synthetic_header(&recording)->start_ticks = self.start_ticks;
    oh_proc_fini(&self);
}

static void test_open_live_pid_reads_its_mapping(void **state)
{
    (void)state;
    struct oh_reader reader;
    be_its_owner();
    const char *const path = write_file("me.1.offheap.new", recording.bytes, recording.size);
    char final[OH_SCRATCH_BYTES + 64];
    (void)snprintf(final, sizeof final, "%s/me.1.offheap", scratch);
    void *const map = map_recording(path);
    // Not complete under its first name.
    assert_int_equal(oh_reader_open_pid(&reader, getpid(), &err), -ENOENT);
    assert_int_equal(rename(path, final), 0);
    assert_int_equal(oh_reader_open_pid(&reader, getpid(), &err), 0);
    assert_int_equal(reader.pid, getpid());
    assert_int_equal(count_stacks(&reader), 3);
    oh_reader_close(&reader);
    // Its name is gone; the kernel's own link to the file needs privileges.
    assert_int_equal(unlink(final), 0);
    if (geteuid() == 0) {
        assert_int_equal(oh_reader_open_pid(&reader, getpid(), &err), 0);
        oh_reader_close(&reader);
    }
    assert_int_equal(munmap(map, recording.size), 0);
}

// Another file of the same inode number, on another device.
static void test_open_mapped_device_or_header_tells(void **state)
{
    (void)state;
    struct stat info;
    char name[64];
    (void)snprintf(name, sizeof name, "app.4711.%llu.offheap",
                   (unsigned long long)oh_synthetic_header(&recording)->start_realtime_ns /
                       1000000);
    char *const path = strdup(write_file(name, recording.bytes, recording.size));
    assert_int_equal(stat(path, &info), 0);
    struct oh_mapped_recording found = {
        .path = path, .inode = info.st_ino, .device = info.st_dev + 1};
    int fd = oh_locate_open_mapped(getpid(), &found);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    oh_synthetic_header(&recording)->pid = 4712;
    (void)write_file(name, recording.bytes, recording.size);
    assert_int_equal(oh_locate_open_mapped(getpid(), &found), -ENOENT);
    found.device = info.st_dev;
    fd = oh_locate_open_mapped(getpid(), &found);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    found.inode++;
    assert_int_equal(oh_locate_open_mapped(getpid(), &found), -ENOENT);
    oh_mapped_recording_fini(&found);
}

static void test_open_forked_child_is_not_its_parent(void **state)
{
    (void)state;
    char number[16];
    const char *const path = write_file("me.1.offheap", recording.bytes, recording.size);
    void *const map = map_recording(path);
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    refused(number, "forked child of the recorded process 4711");
    assert_int_equal(munmap(map, recording.size), 0);
    // Also where both have the same pid, each in its own namespace.
    be_its_owner();
    oh_synthetic_header(&recording)->start_ticks -= 1;
    (void)write_file("me.1.offheap", recording.bytes, recording.size);
    void *const again = map_recording(path);
    refused(number, "forked child of the recorded process");
    assert_int_equal(munmap(again, recording.size), 0);
}

static void test_parse_name_takes_it_apart_from_the_end(void **state)
{
    (void)state;
    struct oh_recording_name name;
    assert_true(oh_locate_parse_name("my.app.2.17.1234.offheap", &name));
    assert_int_equal(name.exe_len, strlen("my.app.2"));
    assert_int_equal(name.pid, 17);
    assert_int_equal(name.start, 1234);
    assert_false(oh_locate_parse_name("17.1234.offheap", &name));
    assert_false(oh_locate_parse_name("app.x.1234.offheap", &name));
    assert_false(oh_locate_parse_name("app.17.offheap", &name));
    assert_false(oh_locate_parse_name("app.17.1234", &name));
    assert_false(oh_locate_parse_name(".offheap", &name));
    assert_false(oh_locate_parse_name("app.99999999999.1.offheap", &name));
}

static void test_peek_only_recordings(void **state)
{
    (void)state;
    struct oh_format_header header;
    assert_int_equal(
        oh_reader_peek(write_file("p.offheap", recording.bytes, recording.size), &header), 0);
    assert_int_equal(header.pid, 4711);
    assert_int_equal(oh_reader_peek(write_file("x", "text", 4), &header), -EINVAL);
    assert_int_equal(oh_reader_peek("/nonexistent", &header), -ENOENT);
}

static void test_describe_state_by_life_and_reason(void **state)
{
    (void)state;
    char text[128];
    struct oh_format_header header = {.state = OH_STATE_RECORDING};
    assert_int_equal(oh_reader_describe_state(&header, OH_OWNER_ALIVE, text, sizeof text), 0);
    assert_string_equal(text, "recording");
    assert_int_equal(oh_reader_describe_state(&header, OH_OWNER_GONE, text, sizeof text), 0);
    assert_string_equal(text, "killed");
    assert_int_equal(oh_reader_describe_state(&header, OH_OWNER_REPLACED, text, sizeof text), 0);
    assert_string_equal(text, "replaced by exec");
    header = (struct oh_format_header){
        .state = OH_STATE_OFF, .off_reason = OH_OFF_no_space, .off_errno = ENOSPC};
    assert_int_equal(oh_reader_describe_state(&header, OH_OWNER_ALIVE, text, sizeof text), 0);
    assert_non_null(strstr(text, "off: "));
    assert_non_null(strstr(text, "No space left on device"));
    header.off_reason = 9999;
    assert_int_equal(oh_reader_describe_state(&header, OH_OWNER_ALIVE, text, sizeof text), 0);
    assert_non_null(strstr(text, "newer version"));
}

static void test_time_is_that_of_what_the_numbers_show(void **state)
{
    (void)state;
    struct oh_format_header header = {.state = OH_STATE_RECORDING};
    struct oh_reader reader = {
        .view = {.header = &header},
        .snapshot = {.taken_ns = 3, .mtime_ns = 2},
    };
    header.end_realtime_ns = 1; // As an older library left it in a recording that goes on.
    assert_int_equal(oh_reader_time_ns(&reader), 2);
    reader.pid = getpid();
    assert_int_equal(oh_reader_time_ns(&reader), 3);
    header.state = OH_STATE_ENDED;
    assert_int_equal(oh_reader_time_ns(&reader), 1);
    header.state = OH_STATE_OFF;
    assert_int_equal(oh_reader_time_ns(&reader), 1);
}

static void test_time_of_a_killed_process_is_its_files(void **state)
{
    (void)state;
    enum { WRITTEN_S = 1700000123 };
    struct oh_reader reader;
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = WRITTEN_S}};
    const uint64_t before_s = (uint64_t)time(NULL);
    oh_synthetic_header(&recording)->state = OH_STATE_RECORDING;
    const char *const path = write_file("t.offheap", recording.bytes, recording.size);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    assert_int_equal(oh_reader_time_ns(&reader) / 1000000000, WRITTEN_S);
    assert_true(reader.snapshot.taken_ns / 1000000000 >= before_s);
    oh_reader_close(&reader);
}

// A process that stores into what it has mapped does not touch its file's time until that is
// written, and a copy has a time of its own.
static void test_time_of_a_killed_process_is_its_newest_step(void **state)
{
    (void)state;
    static struct oh_timeline timeline;
    const uint64_t written_s = 1700000123;
    const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)written_s}};
    const struct oh_format_step newest = {.time_ns = 200500000000u, .resident_bytes = 77};
    const struct oh_format_step older = {.time_ns = 199000000000u};
    struct oh_format_header *const header = oh_synthetic_header(&recording);
    struct oh_reader reader;
    header->state = OH_STATE_RECORDING;
    header->start_realtime_ns = (written_s - 100) * 1000000000u;
    oh_synthetic_step(&recording, &newest);
    oh_synthetic_step(&recording, &older);
    const char *const path = write_file("s.offheap", recording.bytes, recording.size);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    assert_int_equal(oh_reader_time_ns(&reader), (written_s + 100) * 1000000000u + 500000000u);
    oh_reader_close(&reader);
    const struct timespec copied[] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = (time_t)written_s + 9000}};
    assert_int_equal(utimensat(AT_FDCWD, path, copied, 0), 0);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    assert_int_equal(oh_reader_time_ns(&reader), (written_s + 100) * 1000000000u + 500000000u);
    // and the reader's copy has the steps
    oh_timeline_read(&reader.view, &timeline);
    assert_int_equal(timeline.count, 2);
    assert_int_equal(timeline.steps[1].resident_bytes, 77);
    oh_reader_close(&reader);
}

static bool has_warning(const struct oh_list *warnings, const char *text)
{
    for (size_t i = 0; i < warnings->count; i++) {
        if (strstr(warnings->texts[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_warnings_name_losses(void **state)
{
    (void)state;
    struct oh_reader reader;
    struct oh_list warnings = {0};
    struct oh_format_header *const header = oh_synthetic_header(&recording);
    memset(header->counters, 0, sizeof header->counters);
    header->counters[OH_COUNTER_dropped_live_full] = 12;
    header->counters[OH_COUNTER_nested_calls] = 5; // Not a loss.
    const char *const path = write_file("w.offheap", recording.bytes, recording.size);
    assert_int_equal(oh_reader_open(&reader, path, &err), 0);
    int stacks = 0;
    assert_int_equal(oh_view_each_stack(&reader.view, count_stack, &stacks), 0);
    assert_int_equal(oh_reader_collect_warnings(&reader, &warnings), 0);
    assert_true(warnings.count >= 1);
    assert_true(has_warning(&warnings, "1 recorded allocations whose stack is longer"));
    assert_non_null(strstr(warnings.texts[0], "12 allocations not recorded"));
    for (size_t i = 0; i < warnings.count; i++) {
        assert_null(strstr(warnings.texts[i], "recorder itself"));
    }
    oh_list_fini(&warnings);
    oh_reader_close(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open_recording_gives_its_stacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_sparse_recording_gives_its_stacks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open_what_is_no_recording_says_what_it_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open_other_version_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_newer_minor_is_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_cut_at_every_section_edge_says_which, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_open_bit_flipped_opens_or_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_number_is_a_pid_unless_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_dead_pid_finds_what_it_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_unrecorded_pid_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_live_pid_reads_its_mapping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_mapped_device_or_header_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open_forked_child_is_not_its_parent, setup, teardown),
        cmocka_unit_test(test_parse_name_takes_it_apart_from_the_end),
        cmocka_unit_test_setup_teardown(test_peek_only_recordings, setup, teardown),
        cmocka_unit_test(test_describe_state_by_life_and_reason),
        cmocka_unit_test(test_time_is_that_of_what_the_numbers_show),
        cmocka_unit_test_setup_teardown(test_time_of_a_killed_process_is_its_files, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_time_of_a_killed_process_is_its_newest_step, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_warnings_name_losses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
