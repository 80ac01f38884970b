// SPDX-License-Identifier: Apache-2.0
#include "support/fault.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "support/child.h"

static void skip_unless(int done, const char *what)
{
    if (done)
        return;
    perror(what);
    _exit(OH_CHILD_SKIPPED);
}

static void install(struct sock_filter *filter, unsigned short count)
{
    struct sock_fprog program = {count, filter};
    skip_unless(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    skip_unless(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

void oh_fault_fail_call(long number, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install(filter, sizeof filter / sizeof filter[0]);
}

void oh_fault_allow_no_call(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install(filter, sizeof filter / sizeof filter[0]);
}

// Root has the rights; others get them in a user namespace of their own, where that is allowed.
static void enter_namespace(int flags)
{
    if (geteuid() != 0)
        flags |= CLONE_NEWUSER;
    skip_unless(unshare(flags) == 0, "unshare");
}

void oh_fault_small_disk(const char *dir, uint64_t bytes)
{
    char options[64];
    enter_namespace(CLONE_NEWNS);
    (void)snprintf(options, sizeof options, "size=%llu", (unsigned long long)bytes);
    skip_unless(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount");
    skip_unless(mount("tmpfs", dir, "tmpfs", 0, options) == 0, "mount tmpfs");
}

void oh_fault_change_root(const char *dir)
{
    enter_namespace(CLONE_NEWNS);
    skip_unless(chroot(dir) == 0, "chroot");
}
