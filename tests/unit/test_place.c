// SPDX-License-Identifier: Apache-2.0
#include "recording/place.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"

static bool is_tmpfs(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static void test_dir_that_was_given_is_taken_as_it_is(void **state)
{
    (void)state;
    struct oh_config config = {.dir = "/does/not/exist", .tmp_dir = "/tmp"};
    assert_string_equal(oh_place_dir(&config), "/does/not/exist");
}

static void test_dir_prefers_tmpdir_on_a_disk(void **state)
{
    (void)state;
    char dir[OH_SCRATCH_BYTES];
    if (is_tmpfs("/tmp"))
        skip();
    oh_scratch_make(dir, "/tmp");
    struct oh_config config = {.tmp_dir = dir};

    assert_ptr_equal(oh_place_dir(&config), dir);

    oh_scratch_remove(dir);
}

static void test_dir_prefers_a_disk_to_a_tmpdir_in_memory(void **state)
{
    (void)state;
    struct oh_config config = {.tmp_dir = "/dev/shm"};
    if (!is_tmpfs("/dev/shm") || is_tmpfs("/var/tmp") || access("/dev/shm", W_OK) < 0)
        skip();
    assert_string_equal(oh_place_dir(&config), "/var/tmp");
}

static void test_dir_passes_over_a_tmpdir_that_is_not_there(void **state)
{
    (void)state;
    struct oh_config config = {.tmp_dir = "/does/not/exist"};
    const char *dir = oh_place_dir(&config);
    assert_non_null(dir);
    assert_string_not_equal(dir, "/does/not/exist");
}

// In a root of its own a child has the directories that it makes, and no others.
static void choose_in_an_empty_root(void *arg)
{
    oh_fault_change_root(arg);
    struct oh_config config = {.tmp_dir = "/mine"};
    oh_require(oh_place_dir(&config) == NULL);

    oh_require(mkdir("/tmp", 0700) == 0);
    oh_require(strcmp(oh_place_dir(&config), "/tmp") == 0);

    oh_require(mkdir("/var", 0700) == 0 && mkdir("/var/tmp", 0700) == 0);
    oh_require(strcmp(oh_place_dir(&config), "/var/tmp") == 0);

    oh_require(mkdir("/mine", 0700) == 0);
    oh_require(strcmp(oh_place_dir(&config), "/mine") == 0);
}

static void test_dir_is_the_first_that_is_there_or_none(void **state)
{
    (void)state;
    if (is_tmpfs("/tmp"))
        skip();
    oh_scratch_run(choose_in_an_empty_root);
}

static void choose_among_file_systems_in_memory(void *arg)
{
    oh_fault_small_disk(arg, 1 << 20);
    oh_require(chdir(arg) == 0);
    oh_require(chroot(arg) == 0);
    oh_require(mkdir("/mine", 0700) == 0 && mkdir("/tmp", 0700) == 0);
    struct oh_config config = {.tmp_dir = "/mine"};
    oh_require(strcmp(oh_place_dir(&config), "/mine") == 0);
    config.tmp_dir = NULL;
    oh_require(strcmp(oh_place_dir(&config), "/tmp") == 0);
}

static void test_dir_in_memory_is_better_than_none(void **state)
{
    (void)state;
    oh_scratch_run(choose_among_file_systems_in_memory);
}

static void test_path_names_program_pid_and_start(void **state)
{
    (void)state;
    char path[OH_PLACE_PATH_BYTES];
    assert_int_equal(oh_place_path(path, "/data", "/usr/bin/my-app_1.2", 4711, 1700000000123), 0);
    assert_string_equal(path, "/data/my-app_1.2.4711.1700000000123.offheap");
}

static void test_path_of_a_strange_name_is_plain(void **state)
{
    (void)state;
    char path[OH_PLACE_PATH_BYTES];
    assert_int_equal(oh_place_path(path, "/d", "/x/a b\n%s;\xc3\xa4", 1, 2), 0);
    assert_string_equal(path, "/d/a_b__s___.1.2.offheap");
    assert_int_equal(oh_place_path(path, "/d", "", 1, 2), 0);
    assert_string_equal(path, "/d/unknown.1.2.offheap");
    assert_int_equal(oh_place_path(path, "/d", "/bin/", 1, 2), 0);
    assert_string_equal(path, "/d/unknown.1.2.offheap");
    assert_int_equal(oh_place_path(path, "/d", "app", 1, 2), 0);
    assert_string_equal(path, "/d/app.1.2.offheap");
}

static void test_path_of_a_long_program_name_keeps_64_bytes_of_it(void **state)
{
    (void)state;
    char path[OH_PLACE_PATH_BYTES];
    char exe[300] = "/bin/";
    memset(exe + 5, 'n', 200);
    assert_int_equal(oh_place_path(path, "/d", exe, 1, 2), 0);
    assert_int_equal(strlen(path), strlen("/d/.1.2.offheap") + 64);
}

static void test_path_of_a_directory_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char path[OH_PLACE_PATH_BYTES];
    char dir[OH_PLACE_PATH_BYTES];
    memset(dir, 'd', sizeof dir);
    dir[sizeof dir - 1] = '\0';
    assert_int_equal(oh_place_path(path, dir, "app", 1, 2), -ENAMETOOLONG);
    dir[sizeof dir - 1 - strlen("/app.1.2.offheap")] = '\0';
    assert_int_equal(oh_place_path(path, dir, "app", 1, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dir_that_was_given_is_taken_as_it_is),
        cmocka_unit_test(test_dir_prefers_tmpdir_on_a_disk),
        cmocka_unit_test(test_dir_prefers_a_disk_to_a_tmpdir_in_memory),
        cmocka_unit_test(test_dir_passes_over_a_tmpdir_that_is_not_there),
        cmocka_unit_test(test_dir_is_the_first_that_is_there_or_none),
        cmocka_unit_test(test_dir_in_memory_is_better_than_none),
        cmocka_unit_test(test_path_names_program_pid_and_start),
        cmocka_unit_test(test_path_of_a_strange_name_is_plain),
        cmocka_unit_test(test_path_of_a_long_program_name_keeps_64_bytes_of_it),
        cmocka_unit_test(test_path_of_a_directory_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
