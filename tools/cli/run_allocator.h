// SPDX-License-Identifier: Apache-2.0
//
// Allocators and `offheap run`: which one a program brings in itself, and the one that the user wants
// under it.

#ifndef OH_CLI_RUN_ALLOCATOR_H
#define OH_CLI_RUN_ALLOCATOR_H

#include <limits.h>

#include "base/err.h"

// The path of the library that `name` means: a known name (jemalloc), or a path with a slash. 0, or an
// error with what to do about it.
int oh_run_find_allocator(const char *name, char path[PATH_MAX], struct oh_err *err);

// Says on the standard error when the program has jemalloc in itself, or may have; allocator is what
// was asked to be put under it, NULL when nothing was.
void oh_run_tell_allocator(const char *program, const char *allocator);

#endif
