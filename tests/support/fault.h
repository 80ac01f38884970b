// SPDX-License-Identifier: Apache-2.0
//
// Failures of the system, made for real: for the calling process, for good. In children only.

#ifndef OH_SUPPORT_FAULT_H
#define OH_SUPPORT_FAULT_H

#include <stdint.h>

// From now on the system call does nothing and fails with `error`. Ends the child as skipped when
// the kernel has no filters of system calls.
void oh_fault_fail_call(long number, int error);

// From now on every system call but the child's exit kills it. Ends the child as skipped likewise.
void oh_fault_allow_no_call(void);

// Lays an empty tmpfs of `bytes` over the directory, in a mount namespace of the child's own. Ends
// the child as skipped when it may not.
void oh_fault_small_disk(const char *dir, uint64_t bytes);

// Makes `dir` the root of the child's file system. Ends the child as skipped when it may not.
void oh_fault_change_root(const char *dir);

#endif
