// SPDX-License-Identifier: Apache-2.0
//
// A call in another process's thread, on x86-64.

#include "process/remote_call.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "base/path.h"

enum {
    OH_REMOTE_RED_ZONE = 128,
    OH_REMOTE_STOP_MS = 1000,  // Until a thread has stopped.
    OH_REMOTE_TRY_MS = 3000,   // Until one that waits is found,
    OH_REMOTE_AGAIN_MS = 20,   // looked for so often.
    OH_REMOTE_LOCK_MS = 10000, // That a call may wait for a lock.
};

// Waits that no allocator makes. Not futex: a lock of malloc looks like any other.
static const long waits[] = {
    SYS_read,          SYS_poll,           SYS_ppoll,       SYS_select,
    SYS_pselect6,      SYS_epoll_wait,     SYS_epoll_pwait, SYS_nanosleep,
    SYS_pause,         SYS_accept,         SYS_accept4,     SYS_recvfrom,
    SYS_recvmsg,       SYS_wait4,          SYS_waitid,      SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend, SYS_clock_nanosleep};

struct oh_remote_thread {
    pid_t tid;
    struct user_regs_struct saved;
};

static bool is_wait(long number)
{
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        if (waits[i] == number) {
            return true;
        }
    }
    return false;
}

// Whether the thread waits now, told without stopping it.
static bool waits_now(pid_t pid, pid_t tid)
{
    char path[64];
    char *text = NULL;
    size_t length = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    if (oh_file_read(path, 4096, &text, &length) < 0) {
        return false;
    }
    char *end = NULL;
    const long number = strtol(text, &end, 10); // "running" is no number, "-1" no system call.
    const bool is_waiting = end != text && is_wait(number);
    free(text);
    return is_waiting;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

// Waits until the thread stops: 0 and *status; -ETIMEDOUT, -ESRCH.
static int wait_stop(pid_t tid, int limit_ms, int *status)
{
    for (int waited = 0; waited <= limit_ms; waited++) {
        const pid_t got = waitpid(tid, status, __WALL | WNOHANG);
        if (got == tid) {
            return WIFSTOPPED(*status) ? 0 : -ESRCH;
        }
        if (got < 0 && errno != EINTR) {
            return -ESRCH;
        }
        sleep_ms(1);
    }
    return -ETIMEDOUT;
}

// Stops the thread at our interrupt; signals that come before it are passed on.
static int stop_thread(struct oh_remote_thread *thread)
{
    if (ptrace(PTRACE_SEIZE, thread->tid, NULL, NULL) != 0) {
        return errno == EPERM || errno == EACCES ? -EPERM : -errno;
    }
    if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) != 0) {
        return -errno;
    }
    for (;;) {
        int status = 0;
        const int result = wait_stop(thread->tid, OH_REMOTE_STOP_MS, &status);
        if (result < 0 || status >> 16 == PTRACE_EVENT_STOP) {
            return result;
        }
        (void)ptrace(PTRACE_CONT, thread->tid, NULL, (void *)(uintptr_t)WSTOPSIG(status));
    }
}

// The registers of the call: on the thread's stack, below what the ABI lets it use, with a return
// address of 0, where nothing can be executed.
static int begin_call(const struct oh_remote_thread *thread, const struct oh_remote_call *call)
{
    struct user_regs_struct regs = thread->saved;
    char frame[OH_REMOTE_TEXT_BYTES + 8] = {0}; // The return address, and above it the text.
    const uint64_t top =
        (thread->saved.rsp - OH_REMOTE_RED_ZONE - OH_REMOTE_TEXT_BYTES) & ~(uint64_t)15;
    regs.rsp = top - 8;
    regs.rip = call->function;
    regs.rax = 0;
    regs.orig_rax = (unsigned long long)-1; // Nothing is to be restarted meanwhile.
    regs.rdi = call->text != NULL ? top : call->arguments[0];
    regs.rsi = call->arguments[1];
    regs.rdx = call->arguments[2];
    regs.rcx = call->arguments[3];
    regs.r8 = call->arguments[4];
    regs.eflags &= ~(unsigned long long)0x400; // The direction flag, as the ABI has it.
    if (call->text != NULL) {
        (void)snprintf(frame + 8, OH_REMOTE_TEXT_BYTES, "%s", call->text);
    }
    for (size_t at = 0; at < sizeof frame; at += sizeof(long)) {
        long word = 0;
        memcpy(&word, frame + at, sizeof word);
        if (ptrace(PTRACE_POKEDATA, thread->tid, (void *)(uintptr_t)(regs.rsp + at),
                   (void *)word) != 0) {
            return -errno;
        }
    }
    return ptrace(PTRACE_SETREGS, thread->tid, NULL, &regs) == 0 ? 0 : -errno;
}

// Interrupts a call that takes long. 0 with the stop's status; -ETIMEDOUT: it waits for a lock.
static int interrupt_call(const struct oh_remote_thread *thread, int *status)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) != 0) {
        return -errno;
    }
    const int result = wait_stop(thread->tid, OH_REMOTE_STOP_MS, status);
    if (result == 0 && *status >> 16 == PTRACE_EVENT_STOP &&
        ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs) == 0 && (long)regs.orig_rax == SYS_futex) {
        return -ETIMEDOUT;
    }
    return result == -ETIMEDOUT ? -EBUSY : result;
}

// Runs until the function has returned to address 0.
static int finish_call(const struct oh_remote_thread *thread, uint64_t *value)
{
    int signal_number = 0;
    for (;;) {
        struct user_regs_struct regs;
        int status = 0;
        if (ptrace(PTRACE_CONT, thread->tid, NULL, (void *)(uintptr_t)signal_number) != 0) {
            return -errno;
        }
        int result = wait_stop(thread->tid, OH_REMOTE_LOCK_MS, &status);
        if (result == -ETIMEDOUT) {
            result = interrupt_call(thread, &status);
        }
        if (result < 0) {
            return result;
        }
        const bool is_signal = status >> 16 == 0;
        if (is_signal && WSTOPSIG(status) == SIGSEGV &&
            ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs) == 0 && regs.rip == 0) {
            *value = regs.rax;
            return 0;
        }
        signal_number = is_signal ? WSTOPSIG(status) : 0;
    }
}

static int call_in_thread(pid_t tid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                          void *arg, uint64_t *value)
{
    struct oh_remote_thread thread = {.tid = tid};
    int result = stop_thread(&thread);
    if (result == -EPERM || result == -ESRCH) {
        return result == -EPERM ? result : -EBUSY; // That thread has ended; others may be there.
    }
    if (result == 0 && ptrace(PTRACE_GETREGS, tid, NULL, &thread.saved) != 0) {
        result = -errno;
    }
    if (result == 0 && (!is_wait((long)thread.saved.orig_rax) ||
                        check(arg, thread.saved.rsp, thread.saved.rip) != 0)) {
        result = -EBUSY;
    }
    if (result == 0) {
        result = begin_call(&thread, call);
        result = result == 0 ? finish_call(&thread, value) : result;
        (void)ptrace(PTRACE_SETREGS, tid, NULL, &thread.saved);
    }
    (void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
    return result;
}

// Each thread once.
static int try_threads(pid_t pid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                       void *arg, uint64_t *value)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *const tasks = opendir(path);
    if (tasks == NULL) {
        return errno == ENOENT ? -ESRCH : -errno;
    }
    int result = -EBUSY;
    for (const struct dirent *entry = readdir(tasks); entry != NULL && result == -EBUSY;
         entry = readdir(tasks)) {
        uint64_t tid = 0;
        if (oh_str_parse_u64(entry->d_name, &tid) && waits_now(pid, (pid_t)tid)) {
            result = call_in_thread((pid_t)tid, call, check, arg, value);
        }
    }
    (void)closedir(tasks);
    return result;
}

int oh_remote_call(pid_t pid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                   void *arg, uint64_t *value)
{
    // Were we ended in the middle of it, the thread would return to nowhere.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    int result = -EBUSY;
    for (int waited = 0; waited < OH_REMOTE_TRY_MS && result == -EBUSY;
         waited += OH_REMOTE_AGAIN_MS) {
        if (waited > 0) {
            sleep_ms(OH_REMOTE_AGAIN_MS);
        }
        result = try_threads(pid, call, check, arg, value);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}
