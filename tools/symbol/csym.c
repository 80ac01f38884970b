// SPDX-License-Identifier: Apache-2.0
//
// See csym.h.

#include "symbol/csym.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <backtrace.h>

#include "base/path.h"
#include "profile/arena.h"
#include "profile/elf.h"
#include "symbol/backtrace_host.h"
#include "symbol/demangle.h"
#include "symbol/dwarf_copy.h"
#include "symbol/elf_file.h"
#include "symbol/names.h"

enum {
    INLINE_DEPTH_MAX = 64,
    SYMBOL_INDEX_MAX_BYTES = 512 << 20,
};

struct oh_csym {
    struct oh_backtrace_host host; // For libbacktrace, at work for this one.
    struct backtrace_state *dwarf; // NULL: no DWARF.
    char *dwarf_path;              // libbacktrace keeps the pointer to it.
    struct oh_elf_span go;         // Never asked for.
    int copy_fd;                   // Of the copy that the path leads to until it is opened, or -1.
    struct oh_elf_file file;       // Where the symbol table is.
    struct oh_arena arena;
    struct oh_elf_symbols symbols;
    bool has_symbols;
    struct oh_names names;
};

// One step of libbacktrace's answer; the texts are copies.
struct raw_frame {
    char *function;
    char *file;
    int line;
};

struct raw_frames {
    struct raw_frame frames[INLINE_DEPTH_MAX];
    size_t count;
    bool failed;
};

// Errors need no words: without an answer the symbol tables are next.
static void on_error(void *arg, const char *message, int error)
{
    (void)arg;
    (void)message;
    (void)error;
}

// libbacktrace opens the path at the first question.
static int open_dwarf(struct oh_csym *csym, const struct oh_elf *elf, const char *path)
{
    bool is_copied = oh_dwarf_copy(elf, csym->go.end != 0, &csym->copy_fd) == 0;
    csym->dwarf_path = is_copied ? oh_str_printf("/proc/self/fd/%d", csym->copy_fd) : strdup(path);
    if (csym->dwarf_path == NULL)
        return -ENOMEM;
    oh_backtrace_host_enter(&csym->host);
    csym->dwarf = backtrace_create_state(csym->dwarf_path, 0, on_error, NULL);
    oh_backtrace_host_leave();
    return 0;
}

static void open_symbols(struct oh_csym *csym)
{
    (void)oh_arena_init(&csym->arena, SYMBOL_INDEX_MAX_BYTES);
    csym->has_symbols =
        csym->file.base != NULL &&
        oh_elf_symbols_open(&csym->symbols, &csym->file.elf, csym->go, &csym->arena) == 0;
}

static bool has_symbol_table(const struct oh_elf_file *file)
{
    Elf64_Shdr section;
    return file->base != NULL && oh_elf_find_section(&file->elf, ".symtab", &section);
}

// Chooses the file with DWARF and the file with the best symbol table.
static int open_files(struct oh_csym *csym, const char *binary, const char *debug)
{
    struct oh_elf_file second = {0};
    int rc = binary == NULL ? -ENOENT : oh_elf_file_open(&csym->file, binary);
    bool has_dwarf = csym->file.base != NULL && oh_elf_has_dwarf(&csym->file.elf);
    if (has_dwarf)
        return open_dwarf(csym, &csym->file.elf, binary);
    if (debug == NULL || oh_elf_file_open(&second, debug) != 0)
        return rc;
    rc = oh_elf_has_dwarf(&second.elf) ? open_dwarf(csym, &second.elf, debug) : 0;
    if (!has_symbol_table(&csym->file) && (csym->file.base == NULL || has_symbol_table(&second))) {
        oh_elf_file_close(&csym->file);
        csym->file = second;
    } else {
        oh_elf_file_close(&second);
    }
    return rc;
}

int oh_csym_create(const char *binary, const char *debug, struct oh_elf_span go,
                   struct oh_csym **csym, struct oh_err *err)
{
    struct oh_csym *n = calloc(1, sizeof *n);
    if (n == NULL)
        return oh_err_no_memory(err);
    oh_backtrace_host_init(&n->host);
    n->go = go;
    n->copy_fd = -1;
    int rc = open_files(n, binary, debug);
    if (rc != 0) {
        oh_csym_destroy(n);
        return oh_err_set(err, rc, "cannot read symbols of %s: %s",
                          binary != NULL  ? binary
                          : debug != NULL ? debug
                                          : "(no file)",
                          strerror(-rc));
    }
    open_symbols(n);
    *csym = n;
    return 0;
}

static void close_copy(struct oh_csym *csym)
{
    if (csym->copy_fd >= 0)
        (void)close(csym->copy_fd);
    csym->copy_fd = -1;
}

void oh_csym_destroy(struct oh_csym *csym)
{
    if (csym == NULL)
        return;
    close_copy(csym);
    oh_names_fini(&csym->names);
    oh_arena_fini(&csym->arena);
    oh_elf_file_close(&csym->file);
    oh_backtrace_host_fini(&csym->host);
    free(csym->dwarf_path);
    free(csym);
}

static int on_frame(void *arg, uintptr_t pc, const char *file, int line, const char *function)
{
    struct raw_frames *raw = arg;
    (void)pc;
    if (raw->count == INLINE_DEPTH_MAX || (file == NULL && function == NULL))
        return 0;
    struct raw_frame frame = {
        .function = function == NULL ? NULL : strdup(function),
        .file = file == NULL ? NULL : strdup(file),
        .line = line,
    };
    if ((function != NULL && frame.function == NULL) || (file != NULL && frame.file == NULL))
        raw->failed = true;
    raw->frames[raw->count++] = frame;
    return 0;
}

static void ask_dwarf(struct oh_csym *csym, uint64_t address, struct raw_frames *raw)
{
    if (csym->dwarf == NULL)
        return;
    oh_backtrace_host_enter(&csym->host);
    (void)backtrace_pcinfo(csym->dwarf, (uintptr_t)address, on_frame, on_error, raw);
    oh_backtrace_host_leave();
    close_copy(csym); // It is mapped by now.
}

// The linker symbol at the address; NULL when there is none.
static char *ask_symbols(const struct oh_csym *csym, uint64_t address)
{
    struct oh_elf_symbol symbol;
    if (!csym->has_symbols || !oh_elf_symbols_find(&csym->symbols, address, &symbol))
        return NULL;
    return strndup(symbol.name, symbol.name_len);
}

// The outermost frame is the function that has a symbol of its own: DWARF knows its source name,
// only the symbol table knows its clone and which constructor it is.
static int emit_frame(struct oh_csym *csym, const struct raw_frame *raw, const char *symbol,
                      bool is_inlined, oh_csym_frame_fn *emit, void *arg)
{
    const char *linkage = raw->function;
    const char *system = is_inlined || symbol == NULL ? linkage : symbol;
    if (linkage == NULL || (!is_inlined && symbol != NULL && oh_demangle_is_mangled(symbol) &&
                            !oh_demangle_is_mangled(linkage)))
        linkage = system;
    const char *name = linkage == NULL ? NULL : oh_names_get(&csym->names, linkage);
    if (name == NULL)
        return -ENOENT;
    struct oh_csym_frame frame = {
        .name = name,
        .system_name = system,
        .file = raw->file,
        .line = raw->line > 0 ? (uint32_t)raw->line : 0,
        .is_inlined = is_inlined,
    };
    return emit(arg, &frame) != 0 ? 1 : 0;
}

int oh_csym_frames(struct oh_csym *csym, uint64_t address, oh_csym_frame_fn *emit, void *arg)
{
    static const struct raw_frame nothing = {0};
    struct raw_frames raw = {.count = 0};
    ask_dwarf(csym, address, &raw);
    char *symbol = ask_symbols(csym, address);
    if (raw.count == 0 && symbol != NULL)
        raw.frames[raw.count++] = nothing;
    int emitted = 0;
    for (size_t i = 0; i < raw.count && !raw.failed; i++) {
        int rc = emit_frame(csym, &raw.frames[i], symbol, i + 1 < raw.count, emit, arg);
        emitted += rc >= 0 ? 1 : 0;
        if (rc > 0)
            break;
    }
    for (size_t i = 0; i < raw.count; i++) {
        free(raw.frames[i].function);
        free(raw.frames[i].file);
    }
    free(symbol);
    return emitted;
}
