// SPDX-License-Identifier: Apache-2.0
//
// Tells when a Go program's main.main begins. runtime.main calls it through a word of data, which
// its own code names. We put the address of a stub of two instructions there: it sets a flag and
// goes on to main.main.
//
// oh_go_entry_install: once, from our constructor, before any Go code runs; never in a child.
// oh_go_entry_state: any thread, any time, one load.

#ifndef OH_HOOKS_GO_ENTRY_H
#define OH_HOOKS_GO_ENTRY_H

#include <elf.h>
#include <stdint.h>

#include "capture/go_runtime.h"

enum oh_go_entry_state {
    OH_GO_ENTRY_UNKNOWN, // Not installed: phases must be told by the stack alone.
    OH_GO_ENTRY_BEFORE,
    OH_GO_ENTRY_BEGAN
};

// bias and headers are those of the executable. 0, or: -ENOENT no main.main or no such word,
// -EMLINK more than one such word, or the error of the write; nothing is changed then.
int oh_go_entry_install(const struct oh_go_runtime *runtime, uint64_t bias, const Elf64_Phdr *phdrs,
                        unsigned phdr_count);

enum oh_go_entry_state oh_go_entry_state(void);

#endif
