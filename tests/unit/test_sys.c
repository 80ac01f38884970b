// SPDX-License-Identifier: Apache-2.0
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"

enum { PATH_BYTES = 2 * OH_SCRATCH_BYTES };

static void named(char path[PATH_BYTES], const char *dir, const char *name)
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", dir, name);
}

static void test_errors_are_negative_numbers_and_errno_is_kept(void **state)
{
    (void)state;
    struct stat st;
    char byte;
    errno = 123;
    assert_int_equal(oh_sys_open("/does/not/exist", O_RDONLY, 0), -ENOENT);
    assert_int_equal(oh_sys_close(-1), -EBADF);
    assert_int_equal(oh_sys_pread(-1, &byte, 1, 0), -EBADF);
    assert_int_equal(oh_sys_pwrite(-1, &byte, 1, 0), -EBADF);
    assert_int_equal(oh_sys_fstat(-1, &st), -EBADF);
    assert_int_equal(oh_sys_stat("/does/not/exist", &st), -ENOENT);
    assert_int_equal(oh_sys_statfs_type("/does/not/exist"), -ENOENT);
    assert_int_equal(oh_sys_access_write("/does/not/exist"), -ENOENT);
    assert_int_equal(oh_sys_reserve(-1, 0, 4096), -EBADF);
    assert_int_equal(oh_sys_rename("/does/not/exist", "/tmp/x"), -ENOENT);
    assert_int_equal(oh_sys_unlink("/does/not/exist"), -ENOENT);
    assert_int_equal(oh_sys_readlink("/tmp", &byte, 1), -EINVAL);
    assert_int_equal(oh_sys_write_full(-1, &byte, 1), -EBADF);
    long at = oh_sys_mmap(NULL, 4096, PROT_READ, MAP_SHARED, -1, 0);
    assert_true(oh_sys_failed(at) && at == -EBADF);
    assert_int_equal(errno, 123);
}

static void test_files_are_written_read_and_renamed(void **state)
{
    (void)state;
    char dir[OH_SCRATCH_BYTES], one[PATH_BYTES], two[PATH_BYTES], bytes[32] = "";
    struct stat st;
    oh_scratch_make(dir, NULL);
    named(one, dir, "one");
    named(two, dir, "two");
    int fd = (int)oh_sys_open(one, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);

    assert_int_equal(oh_sys_write_full(fd, "0123456789", 10), 0);
    assert_int_equal(oh_sys_pwrite(fd, "ab", 2, 4), 2);
    assert_int_equal(oh_sys_pread(fd, bytes, 4, 3), 4);
    assert_memory_equal(bytes, "3ab6", 4);
    assert_int_equal(oh_sys_pread(fd, bytes, sizeof bytes, 2), 8);
    assert_memory_equal(bytes, "23ab6789", 8);
    assert_int_equal(oh_sys_fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 10);

    long high = oh_sys_dup_above(fd, 50);
    assert_true(high >= 50 && (fcntl((int)high, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(oh_sys_close((int)high), 0);

    assert_int_equal(oh_sys_rename(one, two), 0);
    assert_int_equal(oh_sys_stat(one, &st), -ENOENT);
    assert_int_equal(oh_sys_stat(two, &st), 0);
    assert_int_equal(oh_sys_unlink(two), 0);
    assert_int_equal(oh_sys_close(fd), 0);
    oh_scratch_remove(dir);
}

static void test_an_exclusive_rename_never_replaces(void **state)
{
    (void)state;
    char dir[OH_SCRATCH_BYTES], one[PATH_BYTES], two[PATH_BYTES];
    struct stat st;
    oh_scratch_make(dir, NULL);
    named(one, dir, "one");
    named(two, dir, "two");
    assert_int_equal(oh_sys_close((int)oh_sys_open(one, O_RDWR | O_CREAT, 0600)), 0);
    assert_int_equal(oh_sys_close((int)oh_sys_open(two, O_RDWR | O_CREAT, 0600)), 0);
    assert_int_equal(oh_sys_rename_new(one, two), -EEXIST);
    assert_int_equal(oh_sys_stat(one, &st), 0);
    assert_int_equal(oh_sys_unlink(two), 0);
    assert_int_equal(oh_sys_rename_new(one, two), 0);
    assert_int_equal(oh_sys_stat(one, &st), -ENOENT);
    oh_scratch_remove(dir);
}

static void test_reserve_extends_the_file_with_space_on_the_disk(void **state)
{
    (void)state;
    char dir[OH_SCRATCH_BYTES], path[PATH_BYTES];
    struct stat st;
    oh_scratch_make(dir, NULL);
    named(path, dir, "file");
    int fd = (int)oh_sys_open(path, O_RDWR | O_CREAT, 0600);
    long rc = oh_sys_reserve(fd, 4096, (5 << 20) + 8192);
    if (rc == -EOPNOTSUPP) {
        oh_scratch_remove(dir);
        skip();
    }
    assert_int_equal(rc, 0);
    assert_int_equal(oh_sys_fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 4096 + (5 << 20) + 8192);
    assert_true(st.st_blocks * 512 >= (5 << 20) + 8192);
    assert_int_equal(oh_sys_close(fd), 0);
    oh_scratch_remove(dir);
}

// A pipe takes what fits into it, and a signal cuts a call short.
static void on_signal(int number)
{
    (void)number;
}

static void *drain(void *arg)
{
    char bytes[1000];
    size_t *sum = arg;
    int fd = (int)sum[0];
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) != 0;) {
        for (ssize_t i = 0; i < n; i++)
            sum[1] += (uint8_t)bytes[i];
    }
    return NULL;
}

static void write_under_signals(void *arg)
{
    enum { BYTES = 4 << 20 };
    static uint8_t bytes[BYTES];
    struct itimerval timer = {{0, 500}, {0, 500}};
    struct sigaction action = {.sa_handler = on_signal};
    int ends[2];
    size_t sum[2] = {0, 0}, wanted = 0;
    pthread_t reader;
    (void)arg;
    oh_require(pipe(ends) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (uint8_t)(i * 7);
        wanted += bytes[i];
    }
    sum[0] = (size_t)ends[0];
    sigset_t alarms;
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    (void)pthread_sigmask(SIG_BLOCK, &alarms, NULL); // The writer alone is interrupted.
    oh_require(pthread_create(&reader, NULL, drain, sum) == 0);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    oh_require(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    oh_require_equal(oh_sys_write_full(ends[1], bytes, BYTES), 0);
    (void)close(ends[1]);
    oh_require(pthread_join(reader, NULL) == 0);
    oh_require_equal(sum[1], wanted);
}

static void test_write_full_writes_all_under_signals(void **state)
{
    (void)state;
    oh_child_must_pass(write_under_signals, NULL);
}

static void nothing_moves(void *arg)
{
    (void)arg;
    oh_fault_fail_call(SYS_write, 0); // A write that writes nothing, for ever.
    // By _exit(): what coverage would write at the end writes nothing, for ever.
    _exit(oh_sys_write_full(STDOUT_FILENO, "x", 1) == -EIO ? 0 : OH_CHILD_FAILED);
}

static void test_write_full_gives_up_when_nothing_moves(void **state)
{
    (void)state;
    oh_child_must_pass(nothing_moves, NULL);
}

static void limits(void *arg)
{
    struct rlimit limit = {12345, RLIM_INFINITY};
    (void)arg;
    oh_require_equal(oh_sys_file_size_limit(), UINT64_MAX);
    oh_require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    oh_require_equal(oh_sys_file_size_limit(), 12345);
}

static void test_file_size_limit_is_the_soft_one(void **state)
{
    (void)state;
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY)
        skip();
    oh_child_must_pass(limits, NULL);
}

static void test_questions_about_the_process_agree_with_libc(void **state)
{
    (void)state;
    uint64_t random[2] = {0, 0};
    assert_int_equal(oh_sys_getpid(), getpid());
    assert_int_equal(oh_sys_getppid(), getppid());
    assert_int_equal(oh_sys_gettid(), gettid());
    assert_int_equal(oh_sys_getrandom(random, sizeof random), sizeof random);
    assert_true(random[0] != random[1]);
    assert_true(oh_sys_statfs_type("/proc") == PROC_SUPER_MAGIC);
    assert_int_equal(oh_sys_access_write("/tmp"), 0);
    uint64_t before = oh_sys_clock_ns(CLOCK_MONOTONIC);
    assert_int_equal(oh_sys_nanosleep_ns(20000000), 0);
    assert_in_range(oh_sys_clock_ns(CLOCK_MONOTONIC) - before, 20000000, UINT64_C(20000000000));
}

static void signals_are_blocked(void *arg)
{
    sigset_t now;
    (void)arg;
    oh_require(oh_sys_swap_signals(UINT64_MAX, NULL) == 0);
    oh_require(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
    oh_require(sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGPROF) == 1);
    (void)raise(SIGTERM); // stays pending
}

static void test_swap_signals_blocks_them(void **state)
{
    (void)state;
    oh_child_must_pass(signals_are_blocked, NULL);
}

static void exits(void *arg)
{
    (void)arg;
    oh_sys_exit_group(33);
}

static void test_exit_group_ends_with_the_code(void **state)
{
    (void)state;
    assert_int_equal(oh_child_run(exits, NULL), 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_negative_numbers_and_errno_is_kept),
        cmocka_unit_test(test_files_are_written_read_and_renamed),
        cmocka_unit_test(test_an_exclusive_rename_never_replaces),
        cmocka_unit_test(test_reserve_extends_the_file_with_space_on_the_disk),
        cmocka_unit_test(test_write_full_writes_all_under_signals),
        cmocka_unit_test(test_write_full_gives_up_when_nothing_moves),
        cmocka_unit_test(test_file_size_limit_is_the_soft_one),
        cmocka_unit_test(test_questions_about_the_process_agree_with_libc),
        cmocka_unit_test(test_swap_signals_blocks_them),
        cmocka_unit_test(test_exit_group_ends_with_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
