// SPDX-License-Identifier: Apache-2.0
#include "support/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "support/cmocka.h"

// LeakSanitizer asks this, if it is there, before it looks for leaks at exit. In a child it stays
// away: it would need /proc and ptrace, which a confined child does not have.
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
static int is_child;

int __lsan_is_turned_off(void)
{
    return is_child;
}

_Noreturn void oh_child_fail(const char *file, int line, const char *what)
{
    dprintf(STDERR_FILENO, "%s:%d: required: %s\n", file, line, what);
    _exit(OH_CHILD_FAILED);
}

void oh_child_require_equal(unsigned long long found, unsigned long long wanted, const char *file,
                            int line, const char *what)
{
    if (found == wanted)
        return;
    dprintf(STDERR_FILENO, "%s:%d: required: %s; found %llu, wanted %llu\n", file, line, what,
            found, wanted);
    _exit(OH_CHILD_FAILED);
}

pid_t oh_child_start(oh_child_fn *fn, void *arg)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    is_child = 1;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(OH_CHILD_SECONDS);
    fn(arg);
    // exit(), not _exit(): coverage counts are written by an exit handler. What cmocka buffered
    // before the fork is the parent's to write.
    (void)freopen("/dev/null", "w", stdout);
    exit(0);
}

int oh_child_wait(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int oh_child_run(oh_child_fn *fn, void *arg)
{
    return oh_child_wait(oh_child_start(fn, arg));
}

void oh_child_judge(int status)
{
    if (status == OH_CHILD_SKIPPED)
        skip();
    assert_int_equal(status, 0);
}

void oh_child_must_pass(oh_child_fn *fn, void *arg)
{
    oh_child_judge(oh_child_run(fn, arg));
}
