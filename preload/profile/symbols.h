// SPDX-License-Identifier: Apache-2.0
//
// From an address of a recording to its frames. Owns the recording's modules (copied once, found
// by epoch and address) and the order in which resolvers are asked: Go by pclntab, then C, then
// the fallback `[lib.so]`, so that every address has a frame. The same code runs in a host process
// at its end (own memory and files, ELF symbols) and in the command, which puts its file finder and
// its DWARF reader in through struct oh_symbol_source.
//
// All memory is the arena's, files are mapped read-only. One thread at a time.
//
// Elsewhere: labels (label), the profile's functions and locations (writer).

#ifndef OH_PROFILE_SYMBOLS_H
#define OH_PROFILE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offheap/format.h"
#include "profile/arena.h"
#include "profile/elf.h"
#include "profile/view.h"

enum oh_symbol_frame_flag {
    OH_FRAME_GO = 1 << 0,       // Named by Go's own table.
    OH_FRAME_INLINED = 1 << 1,  // Its caller, in the same function of the machine, follows.
    OH_FRAME_FALLBACK = 1 << 2, // Nothing is known but the module: `[lib.so]` or `[unknown]`.
    OH_FRAME_LOADER = 1 << 3,   // Code of the dynamic loader.
};

// Texts need not end in NUL and live until emit returns; NULL with length 0: absent.
struct oh_symbol_frame {
    const char *name;
    const char *system_name; // The linker's symbol; for Go the name again.
    const char *file;
    size_t name_len;
    size_t system_name_len;
    size_t file_len;
    uint32_t line;
    uint32_t start_line;
    uint32_t flags; // enum oh_symbol_frame_flag.
};

// Not 0: stop here.
typedef int oh_symbol_emit_fn(void *arg, const struct oh_symbol_frame *frame);

// What became of a module's file.
enum oh_symbol_verdict {
    OH_VERDICT_UNASKED = 0, // No address of it was asked for yet.
    OH_VERDICT_OK,
    OH_VERDICT_REPLACED,   // Another file lies at its path: its addresses are not named.
    OH_VERDICT_MISSING,    // There is no file at its path.
    OH_VERDICT_UNREADABLE, // The file cannot be opened, mapped or read as ELF.
    OH_VERDICT_NO_SYMBOLS, // The file is right, but names nothing that was asked for.
    OH_VERDICT_COUNT
};

// The verdict as the end of a sentence: "the file was replaced since".
const char *oh_symbol_verdict_text(enum oh_symbol_verdict verdict);

struct oh_symbol_image; // A mapped file with its tables: private to symbols.c.

struct oh_symbol_module {
    struct oh_format_module raw; // As read once.
    uint32_t number;             // Place in the recording's table.
    const char *path;            // NUL-terminated, without " (deleted)".
    const char *name;            // Its last component.
    size_t path_len;
    size_t name_len;
    enum oh_symbol_verdict verdict;
    bool is_go_named;      // Its Go code is named by Go's own table, which is open.
    uint64_t fallback_pcs; // Addresses that got `[name]`.
    struct oh_symbol_image *image;
    void *source_data; // The source's own: NULL at first, never touched here.
};

// Where files and C names come from. A member that is NULL stands for the built-in one. The module
// is not const so that a source can keep what it found in source_data.
struct oh_symbol_source {
    void *self;
    // The file to open for the module, already checked against the recorded identity; it must live
    // as long as the symbols. NULL with *verdict when there is none.
    const char *(*find_file)(void *self, struct oh_symbol_module *module,
                             enum oh_symbol_verdict *verdict);
    // C, C++, Rust. address is pc minus the module's base. Returns the number of frames, 0 when
    // nothing is known. Go's own code is not asked for where module->is_go_named is set, which is
    // known by then. Called only for modules whose verdict is OH_VERDICT_OK, or MISSING when
    // asks_without_file is set (a debug file alone may be there).
    int (*c_frames)(void *self, struct oh_symbol_module *module, uint64_t address,
                    oh_symbol_emit_fn *emit, void *arg);
    bool asks_without_file;
};

struct oh_symbols {
    struct oh_arena *arena;
    struct oh_symbol_source source;
    struct oh_symbol_module *modules;
    uint32_t module_count;
    bool is_own_process;  // The recording is of the process that runs this code.
    uint64_t unknown_pcs; // Addresses outside of every module of their epoch.
};

// Copies the modules of the recording. source may be NULL. Returns 0 or -ENOMEM.
int oh_symbols_init(struct oh_symbols *symbols, struct oh_arena *arena, struct oh_view *view,
                    const struct oh_symbol_source *source, bool is_own_process);
// Unmaps the files. Does not free the arena.
void oh_symbols_fini(struct oh_symbols *symbols);

// ELF addresses of code that Go's own table names: {0} when there is none.
struct oh_elf_span oh_symbols_go_span(const struct oh_symbol_module *module);

// Whether the module was there in that epoch.
static inline bool oh_symbols_was_loaded(const struct oh_symbol_module *module, uint64_t epoch)
{
    return epoch >= module->raw.first_epoch && epoch <= module->raw.last_epoch;
}

// The module that held the address in that epoch, NULL when none did.
struct oh_symbol_module *oh_symbols_find_module(struct oh_symbols *symbols, uint64_t epoch,
                                                uint64_t address);

// The frames of an address (a return address minus 1), innermost inlined call first. module is
// what oh_symbols_find_module gave, NULL included. Returns their number, at least 1; or 0 when Go
// itself would not show this address (compiler-made wrappers): leave it out.
int oh_symbols_frames(struct oh_symbols *symbols, struct oh_symbol_module *module, uint64_t address,
                      oh_symbol_emit_fn *emit, void *arg);

#endif
