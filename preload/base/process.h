// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of this process: facts that must be had before libc's own start-up code has
// run (an executable's .preinit_array comes before libc sets `environ`).

#ifndef OH_BASE_PROCESS_H
#define OH_BASE_PROCESS_H

#include <stdint.h>

// Of the kernel's file about this process; 0 where it cannot be had.
struct oh_process_facts {
    uint64_t start_ticks; // When it began, in ticks since the system did: tells a reused pid.
    // Where the kernel laid the command line and the environment: addresses, [begin, end).
    uint64_t args_begin, args_end;
    uint64_t env_begin, env_end;
};

// One read of /proc/self/stat.
void oh_process_read(struct oh_process_facts *facts);

// Our variables (OFFHEAP_* and TMPDIR) in the process's initial environment block: an array of
// "NAME=value" that ends with NULL, the strings being the block's own. Falls back to `fallback`
// (libc's environ, which may be NULL) where the kernel does not tell. Once, single-threaded.
char **oh_process_environment(const struct oh_process_facts *facts, char **fallback);

#endif
