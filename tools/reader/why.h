// SPDX-License-Identifier: Apache-2.0
//
// Why a live process is not recorded: told from its environment, its mappings, its program and the
// word that liboffheap.so exports. Only looks.

#ifndef OH_READER_WHY_H
#define OH_READER_WHY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/proc.h"

#define OH_WHY_LIBRARY "liboffheap.so"

// Whether the process has anything to do with us: the library is mapped or in its LD_PRELOAD.
// 1, 0, or a negative errno when it cannot be seen.
int oh_why_is_candidate(pid_t pid);

// One phrase for a process that maps no recording: "static: ...", "disabled: ...". Always writes
// something; 0, or a negative errno when part of the truth cannot be seen.
int oh_why_not_recorded(const struct oh_proc *proc, char *why, size_t size);

#endif
