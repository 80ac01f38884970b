// SPDX-License-Identifier: Apache-2.0
//
// Names, files, lines and inlined calls of C, C++ and Rust code of one ELF file, at ELF addresses
// (without load base): from DWARF by libbacktrace, else from .symtab or .dynsym. Works on any file
// on disk, whether or not a process has it loaded. Go code is not for this module (pclntab is right
// there, DWARF is not).
//
// libbacktrace keeps the sections that it has mapped: a csym that is destroyed leaves those
// mappings behind, its memory is freed. It is driven through replaced functions (dl_iterate_phdr,
// its sort and its memory; see backtrace_host.h), so one thread at a time.

#ifndef OH_SYMBOL_CSYM_H
#define OH_SYMBOL_CSYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "profile/elf.h"

struct oh_csym;

struct oh_csym_frame {
    const char *name;        // Demangled and simplified, without clone suffixes.
    const char *system_name; // The linker symbol.
    const char *file;        // NULL: unknown.
    uint32_t line;           // 0: unknown.
    bool is_inlined;         // A further frame, its caller, follows.
};

// Strings live until the callback returns. Not 0: stop here.
typedef int oh_csym_frame_fn(void *arg, const struct oh_csym_frame *frame);

// binary or debug may be NULL (not found), not both. Both are paths that can be opened. When the
// binary has its own DWARF, debug is not looked at. Addresses in the span are Go's and will not be
// asked for.
int oh_csym_create(const char *binary, const char *debug, struct oh_elf_span go,
                   struct oh_csym **csym, struct oh_err *err);
void oh_csym_destroy(struct oh_csym *csym);

// Calls emit innermost inlined frame first; address is a call's return address minus 1, minus the
// load base. Returns the number of frames; 0: nothing is known, show `[lib.so]`.
int oh_csym_frames(struct oh_csym *csym, uint64_t address, oh_csym_frame_fn *emit, void *arg);

#endif
