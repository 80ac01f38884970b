// SPDX-License-Identifier: Apache-2.0
//
// Runs a program in the foreground.
//
// Signals. All that can be passed on are blocked here and taken with sigwaitinfo; the program
// starts with the mask that we were given. A signal that somebody sent to us is sent on. One that
// the kernel raised for the terminal (Ctrl-C, Ctrl-Z, a hangup, a new window size) has reached the
// program already, which is in our process group: it is not sent twice. When the program stops, we
// stop too, so that the shell sees the job stop; its SIGCONT reaches the whole group.

#include "cli/run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

// Left alone: what cannot be caught, what a fault of our own raises, and what would stop us only.
static void fill_passed_signals(sigset_t *set)
{
    static const int kept[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                               SIGTRAP, SIGSYS,  SIGABRT, SIGTTIN, SIGTTOU};
    (void)sigfillset(set);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        (void)sigdelset(set, kept[i]);
    }
}

static void exec_in_child(const char *path, char *const argv[], char *const environment[],
                          const sigset_t *mask, int report)
{
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    (void)execve(path, argv, environment);
    const int code = errno;
    const ssize_t put = write(report, &code, sizeof code);
    _exit(put == (ssize_t)sizeof code ? 127 : 126);
}

static int read_exec_errno(int report)
{
    int code = 0;
    ssize_t got = 0;
    do {
        got = read(report, &code, sizeof code);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof code ? code : 0;
}

// True when the program is gone.
static bool reap(struct oh_run_child *child)
{
    int status = 0;
    for (;;) {
        const pid_t pid = waitpid(child->pid, &status, WNOHANG | WUNTRACED);
        if (pid <= 0) {
            return pid < 0 && errno != EINTR;
        }
        if (WIFSTOPPED(status)) {
            (void)raise(SIGSTOP);
            continue;
        }
        child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        child->status = child->signal != 0 ? 128 + child->signal : WEXITSTATUS(status);
        return true;
    }
}

static void pass_on(const struct oh_run_child *child, const siginfo_t *info)
{
    const bool from_terminal = info->si_code == SI_KERNEL;
    const bool from_program = info->si_code <= 0 && info->si_pid == child->pid;
    if (from_terminal || from_program) {
        return;
    }
    if (info->si_code == SI_QUEUE) {
        (void)sigqueue(child->pid, info->si_signo, info->si_value);
    } else {
        (void)kill(child->pid, info->si_signo);
    }
}

static void wait_for(struct oh_run_child *child, const sigset_t *passed)
{
    while (!reap(child)) {
        siginfo_t info;
        const int number = sigwaitinfo(passed, &info);
        if (number > 0 && number != SIGCHLD) {
            pass_on(child, &info);
        }
    }
}

int oh_run_child(const char *path, char *const argv[], char *const environment[],
                 struct oh_run_child *child)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        return -errno;
    }
    sigset_t passed;
    sigset_t before;
    fill_passed_signals(&passed);
    (void)sigprocmask(SIG_BLOCK, &passed, &before);
    // An inherited "ignore" would make the kernel reap the program without telling us its status.
    struct sigaction inherited;
    (void)sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &inherited);
    *child = (struct oh_run_child){.pid = fork()};
    if (child->pid < 0) {
        const int code = -errno;
        (void)close(report[0]);
        (void)close(report[1]);
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        return code;
    }
    if (child->pid == 0) {
        (void)sigaction(SIGCHLD, &inherited, NULL);
        exec_in_child(path, argv, environment, &before, report[1]);
    }
    (void)close(report[1]);
    child->exec_errno = read_exec_errno(report[0]);
    (void)close(report[0]);
    wait_for(child, &passed);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return 0;
}
