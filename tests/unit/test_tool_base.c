// SPDX-License-Identifier: Apache-2.0
//
// Error texts, human numbers, paths, lists, and facts of processes.

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/human.h"
#include "base/list.h"
#include "base/path.h"
#include "base/proc.h"
#include "offheap/bytes.h"
#include "support/cmocka.h"

static void test_err_set_fills_text_and_returns_code(void **state)
{
    (void)state;
    struct oh_err err;
    assert_int_equal(oh_err_set(&err, -EINVAL, "%s %d", "word", 7), -EINVAL);
    assert_string_equal(err.text, "word 7");
    assert_int_equal(oh_err_set(NULL, -EIO, "%s", "nobody reads this"), -EIO);
}

static void test_err_set_long_text_is_cut(void **state)
{
    (void)state;
    struct oh_err err;
    (void)oh_err_set(&err, 0, "%2000d", 1);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

struct bytes_case {
    const char *text;
    int result;
    uint64_t bytes;
};

static void test_parse_bytes_units_and_faults(void **state)
{
    (void)state;
    static const struct bytes_case cases[] = {
        {"0", 0, 0},
        {"4096", 0, 4096},
        {"64K", 0, 65536},
        {"64k", 0, 65536},
        {"64KiB", 0, 65536},
        {"64KB", 0, 65536},
        {"1M", 0, 1 << 20},
        {"2G", 0, UINT64_C(2) << 30},
        {"3B", 0, 3},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1.5M", -EINVAL, 0},
        {"12x", -EINVAL, 0},
        {"1KK", -EINVAL, 0},
        {"1KiBB", -EINVAL, 0},
        {"1iB", -EINVAL, 0},
        {"1Ki", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551615K", -ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 0;
        assert_int_equal(oh_bytes_parse(cases[i].text, &bytes), cases[i].result);
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void check_bytes(double bytes, const char *wanted)
{
    char text[OH_HUMAN_BYTES];
    oh_human_format_bytes(bytes, text);
    assert_string_equal(text, wanted);
}

static void test_format_bytes_three_digits(void **state)
{
    (void)state;
    check_bytes(0, "0 B");
    check_bytes(512, "512 B");
    check_bytes(1023, "1023 B");
    check_bytes(1024, "1.00 KiB");
    check_bytes(1536, "1.50 KiB");
    check_bytes(10.0 * 1024, "10.0 KiB");
    check_bytes(100.0 * 1024, "100 KiB");
    check_bytes(1024.0 * 1024 - 1, "1.00 MiB");
    check_bytes(-3.0 * 1024 * 1024 * 1024, "-3.00 GiB");
}

static void test_format_count_groups_digits(void **state)
{
    (void)state;
    static const struct {
        double count;
        const char *wanted;
    } cases[] = {{0, "0"},           {950, "950"},
                 {1000, "1,000"},    {12345, "12,345"},
                 {1e6, "1,000,000"}, {-7, "-7"},
                 {-1234, "-1,234"},  {2.6, "3"},
                 {-0.2, "0"},        {1e15, "1,000,000,000,000,000"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[OH_HUMAN_BYTES];
        oh_human_format_count(cases[i].count, text);
        assert_string_equal(text, cases[i].wanted);
    }
}

static void test_format_age_two_units(void **state)
{
    (void)state;
    char text[OH_HUMAN_BYTES];
    oh_human_format_age(5, text);
    assert_string_equal(text, "5s");
    oh_human_format_age(192, text);
    assert_string_equal(text, "3m12s");
    oh_human_format_age(4 * 3600 + 7 * 60, text);
    assert_string_equal(text, "4h07m");
    oh_human_format_age(12 * 86400 + 3 * 3600, text);
    assert_string_equal(text, "12d03h");
}

static void check_with_pid(const char *path, const char *wanted)
{
    char *const text = oh_path_with_pid(path, 42);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_path_with_pid_goes_before_the_ending(void **state)
{
    (void)state;
    check_with_pid("p.pb.gz", "p.42.pb.gz");
    check_with_pid("/a.pb.gz/p", "/a.pb.gz/p.42");
    check_with_pid("dir/p.pb", "dir/p.42.pb");
    check_with_pid("p", "p.42");
}

static void test_path_dir_and_base(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"/a/b", "/a", "b"}, {"b", ".", "b"}, {"/b", "/", "b"}, {"a/", "a", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *const dir = oh_path_dir(cases[i][0]);
        assert_string_equal(dir, cases[i][1]);
        assert_string_equal(oh_path_base(cases[i][0]), cases[i][2]);
        free(dir);
    }
}

static void test_recording_dirs_each_once(void **state)
{
    (void)state;
    const char *dirs[OH_PATH_RECORDING_DIRS];
    assert_int_equal(setenv("OFFHEAP_DIR", "/tmp", 1), 0);
    assert_int_equal(unsetenv("TMPDIR"), 0);
    assert_int_equal(oh_path_recording_dirs(dirs), 2);
    assert_string_equal(dirs[0], "/tmp");
    assert_string_equal(dirs[1], "/var/tmp");
    assert_int_equal(unsetenv("OFFHEAP_DIR"), 0);
}

static void test_file_read_bounds(void **state)
{
    (void)state;
    char *data = NULL;
    size_t len = 0;
    assert_int_equal(oh_file_read("/proc/self/stat", 1 << 20, &data, &len), 0);
    assert_true(len > 10 && data[len] == '\0');
    free(data);
    assert_int_equal(oh_file_read("/proc/self/stat", 4, &data, &len), -EFBIG);
    assert_int_equal(oh_file_read("/nonexistent", 4, &data, &len), -ENOENT);
    assert_int_equal(oh_file_read("/tmp", 4, &data, &len), -EISDIR);
}

static void test_list_keeps_texts(void **state)
{
    (void)state;
    struct oh_list list = {0};
    for (int i = 0; i < 20; i++) {
        assert_int_equal(oh_list_add(&list, "text %d", i), 0);
    }
    assert_int_equal(list.count, 20);
    assert_string_equal(list.texts[19], "text 19");
    assert_int_equal(oh_list_add(NULL, "dropped"), 0);
    oh_list_fini(&list);
    assert_int_equal(list.count, 0);
}

static void test_proc_get_own_process(void **state)
{
    (void)state;
    struct oh_proc proc;
    char exe[4096];
    const ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(len > 0);
    exe[len] = '\0';
    assert_int_equal(oh_proc_get(getpid(), &proc), 0);
    assert_int_equal(proc.pid, getpid());
    assert_int_equal(proc.uid, getuid());
    assert_false(proc.has_ended);
    assert_true(proc.start_ticks > 0);
    assert_string_equal(proc.exe, exe);
    oh_proc_fini(&proc);
}

// 1024 is a process that was forked and has not executed, 4 one that is ending, 4194308 both and more.
static void test_proc_stat_tells_a_process_that_has_ended(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool has_ended;
    } cases[] = {
        {"7 (a b) c) S 1 7 7 0 -1 1024 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10", false},
        {"7 (a b) c) R 1 7 7 0 -1 4194308 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0", true},
        {"7 (a b) c) D 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0", true},
        {"7 (a b) c) Z 1 7 7 0 -1 1024 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0", true},
        {"7 (a b) c) X 1 7 7 0 -1 1024 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0", true},
    };
    struct oh_proc proc = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(oh_proc_parse_stat(cases[i].text, &proc), 0);
        assert_string_equal(proc.comm, "a b) c");
        assert_int_equal(proc.start_ticks, 4711);
        assert_int_equal(proc.has_ended, cases[i].has_ended);
    }
    assert_int_equal(oh_proc_parse_stat("7 a S 1 7", &proc), -EINVAL);
}

static void test_proc_map_is_a_whole_line(void **state)
{
    (void)state;
    char line[] = "7f00-7f10 rw-p 00001000 fe:01 4711    /a b (deleted)";
    char cut[] = "7f00-7f10 rw- 00001000 fe:01 4711 /a";
    char none[] = "VmFlags: rd wr";
    struct oh_proc_map map;
    assert_true(oh_proc_parse_map(line, &map));
    assert_int_equal(map.start, 0x7f00);
    assert_int_equal(map.end, 0x7f10);
    assert_int_equal(map.offset, 0x1000);
    assert_int_equal(map.inode, 4711);
    assert_string_equal(map.permissions, "rw-p");
    assert_string_equal(map.path, "/a b");
    assert_true(map.is_deleted);
    assert_false(oh_proc_parse_map(cut, &map));
    assert_false(oh_proc_parse_map(none, &map));
}

static void test_proc_get_missing_process(void **state)
{
    (void)state;
    struct oh_proc proc;
    assert_int_equal(oh_proc_get(0x7ffffff0, &proc), -ESRCH);
}

static void test_proc_environ_finds_whole_names(void **state)
{
    (void)state;
    char *value = NULL;
    assert_int_equal(oh_proc_environ(getpid(), "OFFHEAP_NO_SUCH_NAME", &value), -ENOENT);
    assert_int_equal(oh_proc_environ(getpid(), "PAT", &value), -ENOENT);
}

static int count_stack(void *arg, const struct oh_proc_map *map)
{
    int *const found = arg;
    *found += strcmp(map->path, "[stack]") == 0 ? 1 : 0;
    assert_true(map->start < map->end);
    return 0;
}

static void test_proc_maps_and_auxv(void **state)
{
    (void)state;
    int found = 0;
    bool is_secure = true;
    assert_int_equal(oh_proc_each_map(getpid(), count_stack, &found), 0);
    assert_int_equal(found, 1);
    assert_int_equal(oh_proc_is_secure(getpid(), &is_secure), 0);
    assert_false(is_secure);
}

// What opens it is told by inotify: an O_PATH descriptor opens nothing.
static void test_open_regular_never_opens_what_is_not_a_file(void **state)
{
    (void)state;
    struct stat info;
    char event[sizeof(struct inotify_event) + NAME_MAX + 1];
    char path[] = "/tmp/offheap_fifo_XXXXXX";
    const int made = mkstemp(path);
    assert_true(made >= 0);
    assert_int_equal(close(made), 0);
    const int fd = oh_file_open_regular(path, &info);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    const int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
    assert_int_equal(oh_file_open_regular(path, &info), -EINVAL);
    assert_int_equal(read(watch, event, sizeof event), -1);
    assert_int_equal(oh_file_open_regular("/tmp", &info), -EISDIR);
    assert_int_equal(oh_file_open_regular("/nonexistent", &info), -ENOENT);
    assert_int_equal(close(watch), 0);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_regular_never_opens_what_is_not_a_file),
        cmocka_unit_test(test_err_set_fills_text_and_returns_code),
        cmocka_unit_test(test_err_set_long_text_is_cut),
        cmocka_unit_test(test_parse_bytes_units_and_faults),
        cmocka_unit_test(test_format_bytes_three_digits),
        cmocka_unit_test(test_format_count_groups_digits),
        cmocka_unit_test(test_format_age_two_units),
        cmocka_unit_test(test_path_with_pid_goes_before_the_ending),
        cmocka_unit_test(test_path_dir_and_base),
        cmocka_unit_test(test_recording_dirs_each_once),
        cmocka_unit_test(test_file_read_bounds),
        cmocka_unit_test(test_list_keeps_texts),
        cmocka_unit_test(test_proc_get_own_process),
        cmocka_unit_test(test_proc_stat_tells_a_process_that_has_ended),
        cmocka_unit_test(test_proc_map_is_a_whole_line),
        cmocka_unit_test(test_proc_get_missing_process),
        cmocka_unit_test(test_proc_environ_finds_whole_names),
        cmocka_unit_test(test_proc_maps_and_auxv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
