// SPDX-License-Identifier: Apache-2.0
//
// A call in another process's thread, on x86-64.

#include "process/remote_call.h"

#include <dirent.h>
#include <elf.h>
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
#include "process/remote_frame.h"

enum {
    OH_REMOTE_LONG_MODE = 0x33, // The code segment of 64-bit code.
    OH_REMOTE_STOP_MS = 1000,   // Until a thread has stopped.
    OH_REMOTE_TRY_MS = 3000,    // Until one that waits is found,
    OH_REMOTE_AGAIN_MS = 20,    // looked for so often.
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
    struct oh_remote_state saved;
    struct oh_remote_frame frame;
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

// Waits until the thread stops: 0 and *status; -ETIMEDOUT, -ESRCH. The kernel tells of a stop by a
// SIGCHLD, which is blocked (oh_remote_call) and taken here.
static int wait_stop(pid_t tid, int limit_ms, int *status)
{
    const struct timespec slice = {.tv_nsec = 10 * 1000000};
    struct timespec begin = {0};
    struct timespec now = {0};
    sigset_t child;
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        const pid_t got = waitpid(tid, status, __WALL | WNOHANG);
        if (got == tid) {
            return WIFSTOPPED(*status) ? 0 : -ESRCH;
        }
        if (got < 0 && errno != EINTR) {
            return -ESRCH;
        }
        (void)sigtimedwait(&child, NULL, &slice);
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <=
             limit_ms);
    return -ETIMEDOUT;
}

// Stops the thread at our interrupt; signals that come before it are passed on.
static int stop_thread(struct oh_remote_thread *thread)
{
    if (ptrace(PTRACE_SEIZE, thread->tid, NULL, (void *)PTRACE_O_TRACESYSGOOD) != 0) {
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

// Everything that a call changes.
static int save_state(pid_t tid, struct oh_remote_state *state)
{
    struct iovec xstate = {.iov_base = state->xstate, .iov_len = sizeof state->xstate};
    if (ptrace(PTRACE_GETREGS, tid, NULL, &state->regs) != 0 ||
        ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &xstate) != 0 ||
        ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof state->blocked, &state->blocked) != 0) {
        return -errno;
    }
    state->xstate_bytes = xstate.iov_len;
    return 0;
}

static int put_frame(const struct oh_remote_thread *thread)
{
    const struct oh_remote_frame *const frame = &thread->frame;
    for (size_t at = 0; at < frame->size; at += sizeof(long)) {
        long word = 0;
        memcpy(&word, frame->bytes + at, sizeof word);
        if (ptrace(PTRACE_POKEDATA, thread->tid, (void *)(uintptr_t)(frame->address + at),
                   (void *)word) != 0) {
            return -errno;
        }
    }
    return 0;
}

// From the moment that its registers are those of the call, the thread needs us no more.
static int begin_call(struct oh_remote_thread *thread, const struct oh_remote_call *call)
{
    struct user_regs_struct regs = thread->saved.regs;
    oh_remote_frame_build(&thread->saved, call->restorer, call->text, &thread->frame);
    const int result = put_frame(thread);
    regs.rsp = thread->frame.address;
    regs.rip = call->function;
    regs.rax = 0;
    regs.orig_rax = (unsigned long long)-1; // Nothing is to be restarted meanwhile.
    regs.rdi = call->text != NULL ? thread->frame.text : call->arguments[0];
    regs.rsi = call->arguments[1];
    regs.rdx = call->arguments[2];
    regs.rcx = call->arguments[3];
    regs.r8 = call->arguments[4];
    regs.eflags &= ~(unsigned long long)0x400; // The direction flag, as the ABI has it.
    if (result < 0) {
        return result;
    }
    return ptrace(PTRACE_SETREGS, thread->tid, NULL, &regs) == 0 ? 0 : -errno;
}

// Runs until the thread is about to make the system call rt_sigreturn from our frame; handlers of
// signals make others. -ETIMEDOUT: it takes long, and is left alone.
static int finish_call(const struct oh_remote_thread *thread, int limit_ms)
{
    int signal_number = 0;
    int status = 0;
    for (;;) {
        struct user_regs_struct regs;
        if (ptrace(PTRACE_SYSCALL, thread->tid, NULL, (void *)(uintptr_t)signal_number) != 0) {
            return -errno;
        }
        const int result = wait_stop(thread->tid, limit_ms, &status);
        if (result < 0) {
            return result;
        }
        const bool is_event = status >> 16 != 0;
        const bool is_system_call = WSTOPSIG(status) == (SIGTRAP | 0x80);
        signal_number = is_event || is_system_call ? 0 : WSTOPSIG(status);
        if (is_system_call && ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs) == 0 &&
            (long)regs.orig_rax == SYS_rt_sigreturn &&
            regs.rsp == thread->frame.address + sizeof(uint64_t)) {
            return 0;
        }
    }
}

// The thread stands before rt_sigreturn. That is left out, and the thread stopped again where the
// kernel looks for system calls to restart: there its own registers make it go on with its own.
static void restore(const struct oh_remote_thread *thread)
{
    struct user_regs_struct own = thread->saved.regs;
    struct user_regs_struct skipped = oh_remote_frame_after(&own);
    const struct iovec xstate = {.iov_base = (void *)(uintptr_t)thread->saved.xstate,
                                 .iov_len = thread->saved.xstate_bytes};
    int status = 0;
    if (ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL) != 0 ||
        ptrace(PTRACE_SETREGSET, thread->tid, (void *)NT_X86_XSTATE, &xstate) != 0 ||
        ptrace(PTRACE_SETREGS, thread->tid, NULL, &skipped) != 0) {
        return; // It makes the system call, which does the same.
    }
    if (ptrace(PTRACE_CONT, thread->tid, NULL, NULL) == 0 &&
        wait_stop(thread->tid, OH_REMOTE_STOP_MS, &status) == 0 &&
        status >> 16 == PTRACE_EVENT_STOP) {
        (void)ptrace(PTRACE_SETREGS, thread->tid, NULL, &own);
    }
}

static void leave(pid_t tid)
{
    int status = 0;
    if (ptrace(PTRACE_DETACH, tid, NULL, NULL) != 0 &&
        ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 &&
        wait_stop(tid, OH_REMOTE_STOP_MS, &status) == 0) {
        const bool is_signal = status >> 16 == 0 && WSTOPSIG(status) != (SIGTRAP | 0x80);
        (void)ptrace(PTRACE_DETACH, tid, NULL,
                     (void *)(uintptr_t)(is_signal ? WSTOPSIG(status) : 0));
    }
}

static int call_in_thread(pid_t tid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                          void *arg)
{
    struct oh_remote_thread thread = {.tid = tid};
    int result = stop_thread(&thread);
    if (result == -EPERM || result == -ESRCH) {
        return result == -EPERM ? result : -EBUSY; // That thread has ended; others may be there.
    }
    if (result == 0) {
        result = save_state(tid, &thread.saved);
    }
    if (result == 0 && thread.saved.regs.cs != OH_REMOTE_LONG_MODE) {
        result = -ENOEXEC; // 32-bit code.
    }
    if (result == 0 && (!is_wait((long)thread.saved.regs.orig_rax) ||
                        check(arg, thread.saved.regs.rsp, thread.saved.regs.rip) != 0)) {
        result = -EBUSY;
    }
    if (result == 0) {
        result = begin_call(&thread, call);
        result = result == 0 ? finish_call(&thread, call->limit_ms) : result;
        if (result == 0) {
            restore(&thread);
        }
    }
    leave(tid);
    return result;
}

// Each thread once.
static int try_threads(pid_t pid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                       void *arg)
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
            result = call_in_thread((pid_t)tid, call, check, arg);
        }
    }
    (void)closedir(tasks);
    return result;
}

int oh_remote_call(pid_t pid, const struct oh_remote_call *call, oh_remote_check_fn *check,
                   void *arg)
{
    // Ended in the middle of it, we would leave the thread to finish alone: better not.
    sigset_t all;
    sigset_t before;
    struct sigaction of_child;
    (void)sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &of_child);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    int result = -EBUSY;
    for (int waited = 0; waited < OH_REMOTE_TRY_MS && result == -EBUSY;
         waited += OH_REMOTE_AGAIN_MS) {
        if (waited > 0) {
            sleep_ms(OH_REMOTE_AGAIN_MS);
        }
        result = try_threads(pid, call, check, arg);
    }
    (void)sigaction(SIGCHLD, &of_child, NULL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}
