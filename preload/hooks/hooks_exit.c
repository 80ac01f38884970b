// SPDX-License-Identifier: Apache-2.0
//
// _exit and _Exit: a program that leaves by them (a shell, a daemon's child) runs no exit handler.
// Both end in the same exit_group as libc's.

#include "base/attr.h"
#include "hooks/leave.h"

OH_EXPORT _Noreturn void _exit(int code);
OH_EXPORT _Noreturn void _Exit(int code);

void _exit(int code)
{
    oh_leave(code);
}

void _Exit(int code)
{
    oh_leave(code);
}
