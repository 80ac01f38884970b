// SPDX-License-Identifier: Apache-2.0
//
// The parts of `offheap run` that need no library: the program's status, signals, the environment,
// the directory.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"
#include "cli/run_child.h"
#include "cli/run_environment.h"
#include "cli/run_library.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/scratch.h"

static char scratch[OH_SCRATCH_BYTES];

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(scratch, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(scratch);
    return 0;
}

static struct oh_run_child run_shell(const char *script)
{
    struct oh_run_child child;
    char *const argv[] = {strdup("sh"), strdup("-c"), strdup(script), NULL};
    assert_int_equal(oh_run_child("/bin/sh", argv, environ, &child), 0);
    for (int i = 0; argv[i] != NULL; i++) {
        free(argv[i]);
    }
    return child;
}

static void test_child_status_is_the_programs(void **state)
{
    (void)state;
    assert_int_equal(run_shell("exit 0").status, 0);
    assert_int_equal(run_shell("exit 42").status, 42);
    const struct oh_run_child killed = run_shell("kill -KILL $$");
    assert_int_equal(killed.status, 128 + SIGKILL);
    assert_int_equal(killed.signal, SIGKILL);
    assert_int_equal(run_shell("kill -TERM $$").status, 128 + SIGTERM);
}

static void test_child_that_cannot_be_executed(void **state)
{
    (void)state;
    struct oh_run_child child;
    char word[] = "x";
    char *const argv[] = {word, NULL};
    assert_int_equal(oh_run_child("/nonexistent", argv, environ, &child), 0);
    assert_int_equal(child.exec_errno, ENOENT);
    assert_int_equal(oh_run_child("/tmp", argv, environ, &child), 0);
    assert_int_equal(child.exec_errno, EACCES);
}

// A process that runs the program as the command does, while the test sends it signals.
static void run_in_child(void *arg)
{
    oh_require(chdir(scratch) == 0);
    const struct oh_run_child child = run_shell(arg);
    _exit(child.status);
}

static void wait_for_file(const char *name)
{
    char path[OH_SCRATCH_BYTES + 32];
    (void)snprintf(path, sizeof path, "%s/%s", scratch, name);
    for (int i = 0; i < 400 && access(path, F_OK) != 0; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 25 * 1000 * 1000}, NULL);
    }
    assert_int_equal(access(path, F_OK), 0);
}

// The script begins in the scratch directory and makes the file "ready".
static pid_t start(const char *script)
{
    char *const kept = strdup(script);
    const pid_t pid = oh_child_start(run_in_child, kept);
    free(kept);
    wait_for_file("ready");
    return pid;
}

static void test_child_gets_the_signals_that_we_get(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        teardown(state);
        setup(state);
        const pid_t pid = start("trap 'exit 3' TERM INT HUP USR1 USR2 QUIT; : > ready; "
                                "while :; do sleep 0.05; done");
        assert_int_equal(kill(pid, signals[i]), 0);
        assert_int_equal(oh_child_wait(pid), 3);
    }
}

static void test_child_without_a_handler_dies_of_it(void **state)
{
    (void)state;
    const pid_t pid = start(": > ready; exec sleep 60");
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(oh_child_wait(pid), 128 + SIGTERM);
}

static char process_state(pid_t pid)
{
    struct oh_proc proc;
    if (oh_proc_get(pid, &proc) < 0) {
        return '?';
    }
    oh_proc_fini(&proc);
    return proc.state;
}

static void test_child_that_stops_stops_us(void **state)
{
    (void)state;
    const pid_t pid = start(": > ready; kill -STOP $$; exit 5");
    for (int i = 0; i < 400 && process_state(pid) != 'T'; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 25 * 1000 * 1000}, NULL);
    }
    assert_int_equal(process_state(pid), 'T');
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(oh_child_wait(pid), 5);
}

static void test_child_has_the_mask_that_we_had(void **state)
{
    (void)state;
    // Bit 0 of the last word is SIGHUP: nothing may be blocked in the program.
    assert_int_equal(run_shell("grep -q '^SigBlk:.0*$' /proc/self/status").status, 0);
}

static void environment_is_set(void *arg)
{
    (void)arg;
    struct oh_err err;
    const struct oh_run_options o = {.exact = true, .depth = 64, .max_bytes = 4 << 20};
    oh_require(setenv("LD_PRELOAD", "/x/other.so", 1) == 0);
    oh_require(setenv("OFFHEAP_PROFILE", "/x/p", 1) == 0);
    oh_require(setenv("OFFHEAP_Pabcdef", "/x/claimed", 1) == 0);
    oh_require(setenv("OFFHEAP_P", "/x/short", 1) == 0);
    oh_require(oh_run_set_environment(&o, "/lib/liboffheap.so", 77, &err) == 0);
    oh_require(strcmp(getenv("LD_PRELOAD"), "/lib/liboffheap.so:/x/other.so") == 0);
    oh_require(strcmp(getenv("OFFHEAP_RUN_TOKEN"), "77") == 0);
    oh_require(strcmp(getenv("OFFHEAP_EXACT"), "1") == 0);
    oh_require(strcmp(getenv("OFFHEAP_MAX_DEPTH"), "64") == 0);
    oh_require(strcmp(getenv("OFFHEAP_MAX_BYTES"), "4194304") == 0);
    oh_require(getenv("OFFHEAP_PROFILE") == NULL);
    oh_require(getenv("OFFHEAP_Pabcdef") == NULL);
    oh_require(getenv("OFFHEAP_P") != NULL);
    const struct oh_run_options sampled = {.sample_bytes = 4096};
    oh_require(unsetenv("LD_PRELOAD") == 0);
    oh_require(oh_run_set_environment(&sampled, "/lib/liboffheap.so", 78, &err) == 0);
    oh_require(strcmp(getenv("LD_PRELOAD"), "/lib/liboffheap.so") == 0);
    oh_require(getenv("OFFHEAP_EXACT") == NULL);
    oh_require(strcmp(getenv("OFFHEAP_SAMPLE_BYTES"), "4096") == 0);
    // A budget and exact mode take each other's place.
    oh_require(oh_run_set_environment(&o, "/lib/liboffheap.so", 79, &err) == 0);
    const struct oh_run_options budget = {.max_overhead = "0.5%"};
    oh_require(oh_run_set_environment(&budget, "/lib/liboffheap.so", 80, &err) == 0);
    oh_require(strcmp(getenv("OFFHEAP_MAX_OVERHEAD"), "0.5%") == 0);
    oh_require(getenv("OFFHEAP_EXACT") == NULL);
    oh_require(oh_run_set_environment(&o, "/lib/liboffheap.so", 81, &err) == 0);
    oh_require(getenv("OFFHEAP_MAX_OVERHEAD") == NULL);
}

static void test_environment_of_the_program(void **state)
{
    (void)state;
    oh_child_must_pass(environment_is_set, NULL);
}

static void test_token_is_never_zero_nor_the_same(void **state)
{
    (void)state;
    const uint64_t first = oh_run_make_token();
    assert_true(first != 0);
    assert_true(first != oh_run_make_token());
}

static void test_dir_must_take_a_recording(void **state)
{
    (void)state;
    struct oh_err err;
    assert_int_equal(oh_run_check_dir(scratch, &err), 0);
    assert_int_equal(oh_scratch_list(scratch, NULL), 0); // Nothing is left behind.
    assert_int_equal(oh_run_check_dir("/nonexistent", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent"));
    assert_int_equal(oh_run_check_dir("/proc", &err) < 0, true);
}

static void full_dir_is_told(void *arg)
{
    struct oh_err err;
    oh_fault_small_disk(arg, 64 << 10);
    oh_require(oh_run_check_dir(arg, &err) == -ENOSPC);
    oh_require(strstr(err.text, "make room there") != NULL);
}

static void test_dir_that_is_full_is_told(void **state)
{
    (void)state;
    oh_child_must_pass(full_dir_is_told, scratch);
}

static void library_is_found(void *arg)
{
    char path[PATH_MAX];
    char library[OH_SCRATCH_BYTES + 32];
    struct oh_err err;
    (void)snprintf(library, sizeof library, "%s/liboffheap.so", (const char *)arg);
    oh_require(setenv("OFFHEAP_LIBRARY", library, 1) == 0);
    oh_require(oh_run_find_library(path, &err) < 0);
    oh_require(strstr(err.text, library) != NULL);
    FILE *const file = fopen(library, "w");
    oh_require(file != NULL && fclose(file) == 0);
    oh_require(oh_run_find_library(path, &err) == 0);
    oh_require(strcmp(path, library) == 0);
    char blank[OH_SCRATCH_BYTES + 32];
    (void)snprintf(blank, sizeof blank, "%s/a b", (const char *)arg);
    oh_require(rename(library, blank) == 0);
    oh_require(setenv("OFFHEAP_LIBRARY", blank, 1) == 0);
    oh_require(oh_run_find_library(path, &err) == -EINVAL);
}

static void test_library_by_its_variable(void **state)
{
    (void)state;
    oh_child_must_pass(library_is_found, scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_status_is_the_programs),
        cmocka_unit_test(test_child_that_cannot_be_executed),
        cmocka_unit_test_setup_teardown(test_child_gets_the_signals_that_we_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child_without_a_handler_dies_of_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_child_that_stops_stops_us, setup, teardown),
        cmocka_unit_test(test_child_has_the_mask_that_we_had),
        cmocka_unit_test(test_environment_of_the_program),
        cmocka_unit_test(test_token_is_never_zero_nor_the_same),
        cmocka_unit_test_setup_teardown(test_dir_must_take_a_recording, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dir_that_is_full_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_library_by_its_variable, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
