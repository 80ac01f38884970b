// SPDX-License-Identifier: Apache-2.0
#include "hooks/leave.h"

#include "base/sys.h"
#include "hooks/go_stubs.h"

static void (*end_function)(int code);
static long armed_in; // The process that armed it; 0: none did.

void oh_leave_arm(void (*at_end)(int code))
{
    end_function = at_end;
    armed_in = oh_sys_getpid();
}

_Noreturn void oh_leave_run(int code)
{
    // A forked child has Go's redirected exit, but not our task.
    if (oh_sys_getpid() == armed_in)
        end_function(code);
    oh_sys_exit_group(code);
}

_Noreturn void oh_leave(int code)
{
    // Asked here already: a vforked child shares the stub's stack and claim with its parent.
    if (oh_sys_getpid() == armed_in)
        oh_leave_stub(code);
    oh_sys_exit_group(code);
}
