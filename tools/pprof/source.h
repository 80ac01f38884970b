// SPDX-License-Identifier: Apache-2.0
//
// The command's answer to preload/profile/symbols.h: which file on this machine is the recorded
// module (by build id, also in --binary directories, in another mount namespace, or deleted while a
// process still runs it), and C names from its DWARF. Go names need nothing from here.

#ifndef OH_PPROF_SOURCE_H
#define OH_PPROF_SOURCE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "profile/symbols.h"

struct oh_source;

// dirs: the --binary directories. pid: the live process that runs the modules, or 0.
int oh_source_create(const char *const *dirs, size_t dir_count, pid_t pid,
                     struct oh_source **source, struct oh_err *err);

// What oh_symbols_init takes; valid until the source is destroyed.
const struct oh_symbol_source *oh_source_ops(const struct oh_source *source);

// After the symbols' own fini: they use the files.
void oh_source_destroy(struct oh_source *source);

#endif
