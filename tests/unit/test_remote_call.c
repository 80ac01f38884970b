// SPDX-License-Identifier: Apache-2.0
//
// A call in a thread of another process, as seen from that thread: its registers and its system call
// are as if nothing had been, also when the caller dies in the middle.

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/remote_call.h"
#include "process/remote_symbol.h"
#include "process/smaps.h"
#include "support/child.h"
#include "support/cmocka.h"

static const uint64_t mark = UINT64_C(0x0123456789abcdef);

// What the process that is called and ours both see.
struct shared {
    int entered;
    int done;
    int handled;
    long result;     // Of its system call.
    uint64_t vector; // What its vector register held after it,
    uint64_t kept;   // and a register that calls preserve.
    double slept_s;
    int call_ms; // How long the function takes.
};

static struct shared *shared;
static int ends[2];

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pause_ms(long ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

// Runs in the other process; leaves other vectors behind than it found, as malloc_trim may. It does not
// sleep: the kernel keeps how to restart one sleep of a thread, not two.
static void called(void)
{
    const double end = now_s() + shared->call_ms / 1e3;
    __atomic_store_n(&shared->entered, 1, __ATOMIC_SEQ_CST);
    while (now_s() < end) {}
    __asm__ volatile("pcmpeqd %%xmm15, %%xmm15" ::: "xmm15");
    __atomic_store_n(&shared->done, 1, __ATOMIC_SEQ_CST);
}

static void handle(int number)
{
    (void)number;
    shared->handled++;
}

// The system call, with marks in registers that it does not touch.
static long wait_marked(long number, long a, long b, long c)
{
    register uint64_t kept __asm__("r12") = mark;
    uint64_t vector = 0;
    long result = 0;
    __asm__ volatile("movq %[mark], %%xmm15\n\tsyscall\n\tmovq %%xmm15, %[vector]"
                     : "=a"(result), [vector] "=&r"(vector), "+r"(kept)
                     : "a"(number), "D"(a), "S"(b), "d"(c), [mark] "r"(mark)
                     : "rcx", "r11", "memory", "xmm15");
    shared->vector = vector;
    shared->kept = kept;
    return result;
}

static void read_marked(void)
{
    char byte = 0;
    shared->result = wait_marked(SYS_read, ends[0], (long)&byte, 1);
}

static void sleep_marked(void)
{
    const struct timespec time = {.tv_sec = 2};
    const double begin = now_s();
    shared->result = wait_marked(SYS_nanosleep, (long)&time, 0, 0);
    shared->slept_s = now_s() - begin;
}

static pid_t start(void (*fn)(void), int call_ms)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    shared->call_ms = call_ms;
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGUSR1, handle);
        fn();
        _exit(0);
    }
    assert_true(pid > 0);
    pause_ms(200); // It waits now.
    return pid;
}

static int accept_all(void *arg, uint64_t stack_pointer, uint64_t pc)
{
    (void)arg;
    (void)stack_pointer;
    (void)pc;
    return 0;
}

static int call(pid_t pid, int limit_ms)
{
    struct oh_smaps smaps;
    struct oh_remote_call request = {.function = (uint64_t)(uintptr_t)called, .limit_ms = limit_ms};
    int result = oh_smaps_read("", pid, &smaps);
    if (result < 0) {
        return result;
    }
    result = oh_remote_symbol_find_sigreturn("", pid, &smaps, &request.restorer);
    oh_smaps_fini(&smaps);
    return result == 0 ? oh_remote_call(pid, &request, accept_all, NULL) : result;
}

// Lets it read, and takes its end; it has ended by itself, with the registers that it had.
static void finish(pid_t pid)
{
    int status = 0;
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(shared->vector == mark);
    assert_true(shared->kept == mark);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void skip_unless_traceable(int result, pid_t pid)
{
    if (result == -EPERM || result == -ENOENT || result == -ENOSYS) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        skip();
    }
    assert_int_equal(result, 0);
}

static void test_a_call_leaves_nothing_behind(void **state)
{
    (void)state;
    const pid_t pid = start(read_marked, 50);
    skip_unless_traceable(call(pid, 5000), pid);
    assert_int_equal(shared->done, 1);
    assert_int_equal(shared->result, 0); // Still in its system call.
    finish(pid);
    assert_int_equal(shared->result, 1);
}

static void test_a_sleep_goes_on_for_its_rest(void **state)
{
    (void)state;
    const pid_t pid = start(sleep_marked, 100);
    pause_ms(1000); // Begun anew, it would sleep for more than 3 s.
    skip_unless_traceable(call(pid, 5000), pid);
    finish(pid);
    assert_int_equal(shared->result, 0);
    assert_true(shared->slept_s >= 2 && shared->slept_s < 3.1);
}

static void test_a_signal_is_passed_on(void **state)
{
    (void)state;
    const pid_t pid = start(read_marked, 300);
    const pid_t sender = fork();
    if (sender == 0) {
        pause_ms(150);
        _exit(kill(pid, SIGUSR1) == 0 ? 0 : 1);
    }
    skip_unless_traceable(call(pid, 5000), pid);
    (void)waitpid(sender, NULL, 0);
    assert_int_equal(shared->handled, 1);
    assert_int_equal(shared->done, 1);
    finish(pid);
    assert_int_equal(shared->result, 1);
}

// The caller is killed while the function runs: it is finished, and the thread goes on.
static void kill_caller(void (*fn)(void), long result)
{
    const pid_t pid = start(fn, 1500);
    const pid_t caller = fork();
    if (caller == 0) {
        _exit(call(pid, 5000) == -EPERM ? 1 : 0);
    }
    for (int i = 0; i < 200 && __atomic_load_n(&shared->entered, __ATOMIC_SEQ_CST) == 0; i++) {
        pause_ms(10);
    }
    (void)kill(caller, SIGKILL);
    (void)waitpid(caller, NULL, 0);
    if (shared->entered == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        skip(); // May not be traced here.
    }
    assert_int_equal(shared->done, 0);
    finish(pid);
    assert_int_equal(shared->done, 1);
    assert_int_equal(shared->result, result);
}

static void test_a_killed_caller_leaves_a_thread_that_goes_on(void **state)
{
    (void)state;
    kill_caller(read_marked, 1);
    kill_caller(sleep_marked, -EINTR);
}

static void test_a_long_call_finishes_alone(void **state)
{
    (void)state;
    const pid_t pid = start(read_marked, 1500);
    const int result = call(pid, 100);
    if (result != -ETIMEDOUT) {
        skip_unless_traceable(result, pid);
    }
    assert_int_equal(shared->done, 0);
    finish(pid);
    assert_int_equal(shared->done, 1);
    assert_int_equal(shared->result, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_call_leaves_nothing_behind),
        cmocka_unit_test(test_a_sleep_goes_on_for_its_rest),
        cmocka_unit_test(test_a_signal_is_passed_on),
        cmocka_unit_test(test_a_killed_caller_leaves_a_thread_that_goes_on),
        cmocka_unit_test(test_a_long_call_finishes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
