// SPDX-License-Identifier: Apache-2.0
//
// Whose name a profile gets, and that no process's profile is written over.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/outfile.h"
#include "support/scratch.h"

enum { NAME_BYTES = OH_SCRATCH_BYTES + 64 };

static const struct oh_outfile_identity self = {4711, 1000};
static const struct oh_outfile_identity child = {4712, 1001};
static const struct oh_outfile_identity reused_pid = {4711, 2000};

static char scratch[OH_SCRATCH_BYTES];
static char name[NAME_BYTES], pid_name[NAME_BYTES];

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(scratch, NULL);
    snprintf(name, sizeof name, "%s/p.pb.gz", scratch);
    snprintf(pid_name, sizeof pid_name, "%s/p.4711.pb.gz", scratch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(scratch);
    return 0;
}

static void test_claim_first_process_owns_the_name(void **state)
{
    char entry[] = "OFFHEAP_PROFILE=/tmp/p.pb.gz";
    (void)state;
    assert_true(oh_outfile_claim(entry, &self));
    assert_memory_equal(entry, "OFFHEAP_P", 9);
    assert_memory_not_equal(entry, "OFFHEAP_PROFILE", 15);
    assert_string_equal(entry + 15, "=/tmp/p.pb.gz");
    assert_true(oh_outfile_claim(entry, &self)); // After an exec.
}

static void test_claim_others_do_not(void **state)
{
    char entry[] = "OFFHEAP_PROFILE=/tmp/p.pb.gz";
    char before[sizeof entry];
    (void)state;
    assert_true(oh_outfile_claim(entry, &self));
    memcpy(before, entry, sizeof entry);
    assert_false(oh_outfile_claim(entry, &child));
    assert_false(oh_outfile_claim(entry, &reused_pid));
    assert_string_equal(entry, before);
}

static void test_id_is_never_the_free_name(void **state)
{
    char id[OH_OUTFILE_ID_CHARS + 1];
    (void)state;
    for (uint64_t pid = 1; pid < 20000; pid++) {
        const struct oh_outfile_identity identity = {pid, pid * 7};
        oh_outfile_id(&identity, id);
        assert_int_equal(strlen(id), OH_OUTFILE_ID_CHARS);
        assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz012345"), OH_OUTFILE_ID_CHARS);
    }
}

static void check_name(const char *pattern, bool with_pid, const char *expected)
{
    char got[OH_OUTFILE_PATH_BYTES];
    assert_int_equal(oh_outfile_name(pattern, "/srv/dir", 4711, with_pid, got), 0);
    assert_string_equal(got, expected);
}

static void test_name_is_the_pattern_of_the_owner(void **state)
{
    (void)state;
    check_name("/tmp/p.pb.gz", false, "/tmp/p.pb.gz");
    check_name("p.pb.gz", false, "/srv/dir/p.pb.gz");
    check_name("/tmp/p.%p.pb.gz", false, "/tmp/p.4711.pb.gz");
    check_name("/tmp/%p/%p", false, "/tmp/4711/4711");
    check_name("/tmp/100%", false, "/tmp/100%");
}

static void test_name_of_others_has_the_pid_before_the_suffix(void **state)
{
    (void)state;
    check_name("/tmp/p.pb.gz", true, "/tmp/p.4711.pb.gz");
    check_name("p.pb.gz", true, "/srv/dir/p.4711.pb.gz");
    check_name("/tmp/p.prof", true, "/tmp/p.4711.prof");
    check_name("/tmp/p", true, "/tmp/p.4711");
    check_name("/tmp/v1.2/p", true, "/tmp/v1.2/p.4711");
    check_name("/tmp/.pb.gz", true, "/tmp/.pb.4711.gz");
    check_name("/tmp/.hidden", true, "/tmp/.hidden.4711");
    check_name("/tmp/p.%p.pb.gz", true, "/tmp/p.4711.pb.gz");
}

static void test_name_that_cannot_be_one_is_refused(void **state)
{
    char got[OH_OUTFILE_PATH_BYTES];
    char longest[OH_OUTFILE_PATH_BYTES + 8];
    (void)state;
    assert_int_equal(oh_outfile_name("", "/d", 1, false, got), -EINVAL);
    assert_int_equal(oh_outfile_name("/tmp/", "/d", 1, false, got), -EINVAL);
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(oh_outfile_name(longest, "/d", 1, false, got), -ENAMETOOLONG);
}

static int entry_count(void)
{
    char last[OH_SCRATCH_BYTES];
    return oh_scratch_list(scratch, last);
}

static void make_file(const char *path, const char *content, time_t seconds)
{
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void expect_content(const char *path, const char *content)
{
    char got[64] = "";
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("no file %s", path);
    size_t length = fread(got, 1, sizeof got - 1, file);
    got[length] = '\0';
    fclose(file);
    assert_string_equal(got, content);
}

// Writes "new" as a process that started at second 1000.
static int write_new(size_t *used)
{
    const char *const names[] = {name, pid_name};
    struct oh_outfile file;
    int rc = oh_outfile_begin(&file, name, &self);
    if (rc != 0)
        return rc;
    assert_int_equal(oh_outfile_write(&file, "new", 3), 0);
    return oh_outfile_commit(&file, names, 2, UINT64_C(1000000000000), used);
}

static void test_commit_free_name_is_taken(void **state)
{
    struct stat st;
    size_t used = 9;
    (void)state;
    assert_int_equal(write_new(&used), 0);
    assert_int_equal(used, 0);
    expect_content(name, "new");
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(entry_count(), 1);
}

static void test_commit_older_file_is_replaced(void **state)
{
    size_t used = 9;
    (void)state;
    make_file(name, "of an earlier run", 999);
    assert_int_equal(write_new(&used), 0);
    assert_int_equal(used, 0);
    expect_content(name, "new");
    assert_int_equal(entry_count(), 1);
}

static void test_commit_newer_file_is_left_alone(void **state)
{
    size_t used = 9;
    (void)state;
    make_file(name, "of another", 1001);
    assert_int_equal(write_new(&used), 0);
    assert_int_equal(used, 1);
    expect_content(name, "of another");
    expect_content(pid_name, "new");
    assert_int_equal(entry_count(), 2);
}

static void test_commit_both_names_newer_gives_up(void **state)
{
    size_t used = 9;
    (void)state;
    make_file(name, "of another", 1001);
    make_file(pid_name, "of a third", 1002);
    assert_int_equal(write_new(&used), -EEXIST);
    expect_content(name, "of another");
    expect_content(pid_name, "of a third");
    assert_int_equal(entry_count(), 2);
}

static void test_begin_what_is_no_file_is_refused(void **state)
{
    size_t used;
    (void)state;
    assert_int_equal(mkdir(name, 0700), 0);
    assert_int_equal(write_new(&used), -EINVAL);
    assert_int_equal(rmdir(name), 0);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_int_equal(write_new(&used), -EINVAL);
    assert_int_equal(entry_count(), 1);
}

static void test_begin_missing_directory_says_so(void **state)
{
    struct oh_outfile file;
    (void)state;
    assert_int_equal(oh_outfile_begin(&file, "/nowhere/at/all.pb.gz", &self), -ENOENT);
}

static void test_write_past_the_size_limit_fails_without_signal(void **state)
{
    struct rlimit before;
    struct oh_outfile file;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {4, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(oh_outfile_begin(&file, name, &self), 0);
    assert_int_equal(oh_outfile_write(&file, "four", 4), 0);
    assert_int_equal(oh_outfile_write(&file, "5", 1), -EFBIG);
    oh_outfile_abort(&file);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(entry_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claim_first_process_owns_the_name),
        cmocka_unit_test(test_claim_others_do_not),
        cmocka_unit_test(test_id_is_never_the_free_name),
        cmocka_unit_test(test_name_is_the_pattern_of_the_owner),
        cmocka_unit_test(test_name_of_others_has_the_pid_before_the_suffix),
        cmocka_unit_test(test_name_that_cannot_be_one_is_refused),
        cmocka_unit_test_setup_teardown(test_commit_free_name_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_older_file_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_newer_file_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_both_names_newer_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_what_is_no_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_begin_missing_directory_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_past_the_size_limit_fails_without_signal, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
