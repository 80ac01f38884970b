// SPDX-License-Identifier: Apache-2.0
//
// Asks a live process for what only it can tell, through its recording: jemalloc's statistics
// (struct oh_format_jemalloc). The only writer of a recording outside of its process: one word.

#ifndef OH_READER_ASK_H
#define OH_READER_ASK_H

#include <sys/types.h>

// Waits until the process has answered, at most a little more than a second; not at all where there is
// no jemalloc. Whether it has answered, the recording tells. path: the recording's file; NULL: the one
// that the process has mapped.
void oh_ask_jemalloc(pid_t pid, const char *path);

#endif
