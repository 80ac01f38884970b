// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of this process: facts that must be had before libc's own start-up code has
// run (an executable's .preinit_array comes before libc sets `environ`).

#ifndef OH_BASE_PROCESS_H
#define OH_BASE_PROCESS_H

#include <stdint.h>

// Fields of /proc/self/stat, numbered from 1 as in proc(5).
enum oh_process_field {
    OH_PROCESS_START_TICKS = 22,
    OH_PROCESS_ENV_START = 50,
    OH_PROCESS_ENV_END = 51
};

// The field's value, 0 when it cannot be had.
uint64_t oh_process_stat(enum oh_process_field field);

// Our variables (OFFHEAP_* and TMPDIR) in the process's initial environment block: an array of
// "NAME=value" that ends with NULL, the strings being the block's own. Falls back to `fallback`
// (libc's environ, which may be NULL) where /proc cannot be read. Once, single-threaded.
char **oh_process_environment(char **fallback);

#endif
