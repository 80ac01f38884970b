// SPDX-License-Identifier: Apache-2.0
//
// Where a function of a library is in a live process, by the symbols of its file.

#ifndef OH_PROCESS_REMOTE_SYMBOL_H
#define OH_PROCESS_REMOTE_SYMBOL_H

#include <stdint.h>
#include <sys/types.h>

#include "process/smaps.h"

// library: how its file's name begins ("libc.so"). 0 and the run-time address; -ENOENT: the process
// has no such library, or that has no such function; another negative errno of its file.
int oh_remote_symbol_find(const char *root, pid_t pid, const struct oh_smaps *smaps,
                          const char *library, const char *function, uint64_t *address);

// The same in the file of this path: the program.
int oh_remote_symbol_find_inside(const char *root, pid_t pid, const struct oh_smaps *smaps,
                                 const char *path, const char *function, uint64_t *address);

// The same for the code by which a handler of a signal returns (it makes the system call rt_sigreturn),
// in the C library: by its bytes, for it has no name.
int oh_remote_symbol_find_sigreturn(const char *root, pid_t pid, const struct oh_smaps *smaps,
                                    uint64_t *address);

#endif
