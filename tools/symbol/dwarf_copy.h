// SPDX-License-Identifier: Apache-2.0
//
// A small ELF file, in memory, with what libbacktrace needs of another one's DWARF and no more.
//
// Why: Go compresses its DWARF, and a Go program that calls C has both languages' in the same
// sections. libbacktrace inflates them whole into its own memory (at a third of zlib's speed),
// then indexes every function and every symbol of Go, which nobody asks it for: Go's names come
// from pclntab. Here zlib inflates through one buffer; Go's units are made empty ones of the same
// length, so that all offsets stay, and their bytes are holes of the copy, as are the line
// programs before the first that is needed.
//
// Elsewhere: which file to read (find), asking it (csym).

#ifndef OH_SYMBOL_DWARF_COPY_H
#define OH_SYMBOL_DWARF_COPY_H

#include <stdbool.h>

#include "profile/elf.h"

// Go's units are left out when without_go is set.
// 0 with a descriptor in *fd, the caller's; -ENOTSUP when the file is as well read as it is;
// another negative error number when no copy can be made of it.
int oh_dwarf_copy(const struct oh_elf *elf, bool without_go, int *fd);

#endif
