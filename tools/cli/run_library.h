// SPDX-License-Identifier: Apache-2.0
//
// What `offheap run` needs around a program before it starts: where liboffheap.so is, and a
// directory that can take a recording.

#ifndef OH_CLI_RUN_LIBRARY_H
#define OH_CLI_RUN_LIBRARY_H

#include <limits.h>

#include "base/err.h"

// OFFHEAP_LIBRARY when set; else beside the command, in ../lib/offheap or ../lib of it.
int oh_run_find_library(char path[PATH_MAX], struct oh_err *err);

// LD_PRELOAD has no way to quote its separators: an error when the path has one.
int oh_run_check_library_path(const char *path, struct oh_err *err);

// Whether a recording can be made: in dir when it is not NULL, else in one of the directories that
// the library tries. Makes a small file there and removes it.
int oh_run_check_dir(const char *dir, struct oh_err *err);

#endif
