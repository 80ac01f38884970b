// SPDX-License-Identifier: Apache-2.0
//
// prctl: by it a process confines itself, which the library must know before it happens
// (base/sandbox). Without privileges every filter of system calls begins with PR_SET_NO_NEW_PRIVS,
// also one that is then put up by syscall(SYS_seccomp). The hook makes the system call itself.
//
// syscall() has no hook: a filter that it puts up for a privileged process, which needs no
// PR_SET_NO_NEW_PRIVS, is not seen, as the raw system calls of Go are not.

#include <errno.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "recording/recording.h"
#include "track/track.h"

// libc declares them as variable: it takes four in any case, as does this.
OH_EXPORT int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

static OH_COLD OH_NOINLINE OH_REALIGN void enter(bool strictly)
{
    struct oh_format_header *header = oh_recording_header();
    if (header != NULL && !oh_track_is_child()) {
        // A child of vfork shares this memory, and confines only itself.
        if (header->pid != (uint32_t)oh_sys_getpid())
            return;
        if (!oh_sandbox_is_up())
            oh_recording_reserve_ahead();
        oh_or32_relaxed(&header->flags, OH_FLAG_SANDBOX);
        if (strictly) // Nothing but read, write and the end of a thread: no unwinding.
            oh_track_stop(OH_OFF_sandbox, 0);
    }
    oh_sandbox_enter();
}

int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    bool strictly = option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT;
    // Without a filter it is only asked whether the system has such: browsers do, and go on.
    bool probes = option == PR_SET_SECCOMP && a == SECCOMP_MODE_FILTER && b == 0;
    bool confines = (option == PR_SET_SECCOMP && !probes) || option == PR_SET_NO_NEW_PRIVS;
    if (oh_unlikely(confines) && (strictly || !oh_sandbox_is_up()))
        enter(strictly);
    long result = oh_sys_prctl(option, a, b, c, d);
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}
