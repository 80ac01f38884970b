// SPDX-License-Identifier: Apache-2.0
//
// See symbols.h. A module's file is looked for when its first address is asked for, its tables are
// opened once; what cannot be had is remembered, so that it costs nothing again.

#include "profile/symbols.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "profile/clone.h"
#include "profile/image.h"
#include "profile/pclntab.h"

enum { FALLBACK_NAME_BYTES = 512 };

enum table_state { TABLE_UNASKED = 0, TABLE_OPEN, TABLE_ABSENT };

struct oh_symbol_image {
    struct oh_image file;
    enum table_state file_state, go_state, c_state;
    struct oh_pclntab go;
    uint64_t go_bias; // What the Go table's addresses lack to be run-time addresses.
    struct oh_elf_symbols c;
};

const char *oh_symbol_verdict_text(enum oh_symbol_verdict verdict)
{
    static const char *const texts[OH_VERDICT_COUNT] = {
        "it was not looked for",
        "no symbol covers them",
        "the file at its path is another one now",
        "its file is not there",
        "its file cannot be read",
    };
    return (unsigned)verdict < OH_VERDICT_COUNT ? texts[verdict] : "";
}

struct module_copy {
    struct oh_symbols *symbols;
    const struct oh_view *view;
    uint32_t room;
    int error;
};

static int count_module(void *arg, const struct oh_format_module *module, uint32_t number)
{
    struct module_copy *copy = arg;
    (void)module;
    (void)number;
    copy->room++;
    return 0;
}

// The path without the mark of the kernel that the file was unlinked.
static size_t plain_length(const char *path, size_t length)
{
    static const char mark[] = " (deleted)";
    size_t mark_length = sizeof mark - 1;
    bool marked =
        length > mark_length && memcmp(path + length - mark_length, mark, mark_length) == 0;
    return marked ? length - mark_length : length;
}

static const char *copy_text(struct oh_arena *arena, const char *text, size_t length)
{
    char *copy = oh_arena_alloc(arena, length + 1, 1);
    if (copy != NULL)
        memcpy(copy, text, length);
    return copy;
}

static int copy_module(void *arg, const struct oh_format_module *raw, uint32_t number)
{
    struct module_copy *copy = arg;
    struct oh_symbols *symbols = copy->symbols;
    if (symbols->module_count == copy->room)
        return 0;
    size_t length;
    const char *path = oh_view_text(copy->view, raw->path, &length);
    struct oh_symbol_module *module = &symbols->modules[symbols->module_count];
    module->raw = *raw;
    module->number = number;
    module->path_len = plain_length(path, length);
    module->path = copy_text(symbols->arena, path, module->path_len);
    module->image =
        oh_arena_alloc(symbols->arena, sizeof *module->image, _Alignof(struct oh_symbol_image));
    if (module->path == NULL || module->image == NULL)
        return copy->error = -ENOMEM;
    const char *slash = strrchr(module->path, '/');
    module->name = slash != NULL ? slash + 1 : module->path;
    module->name_len = strlen(module->name);
    symbols->module_count++;
    return 0;
}

int oh_symbols_init(struct oh_symbols *symbols, struct oh_arena *arena, struct oh_view *view,
                    const struct oh_symbol_source *source, bool is_own_process)
{
    struct module_copy copy = {.symbols = symbols, .view = view};
    memset(symbols, 0, sizeof *symbols);
    symbols->arena = arena;
    symbols->is_own_process = is_own_process;
    if (source != NULL)
        symbols->source = *source;
    uint64_t damaged = view->damaged;
    (void)oh_view_each_module(view, count_module, &copy);
    view->damaged = damaged; // The second pass counts the same ones.
    symbols->modules = oh_arena_array(arena, copy.room, sizeof *symbols->modules,
                                      _Alignof(struct oh_symbol_module));
    if (symbols->modules == NULL)
        return -ENOMEM;
    (void)oh_view_each_module(view, copy_module, &copy);
    return copy.error;
}

void oh_symbols_fini(struct oh_symbols *symbols)
{
    for (uint32_t i = 0; i < symbols->module_count; i++)
        oh_image_close(&symbols->modules[i].image->file);
    symbols->module_count = 0;
}

struct oh_symbol_module *oh_symbols_find_module(struct oh_symbols *symbols, uint64_t epoch,
                                                uint64_t address)
{
    for (uint32_t i = 0; i < symbols->module_count; i++) {
        struct oh_symbol_module *module = &symbols->modules[i];
        if (address >= module->raw.start && address < module->raw.end &&
            oh_symbols_was_loaded(module, epoch))
            return module;
    }
    return NULL;
}

static enum oh_symbol_verdict verdict_of(int rc)
{
    switch (rc) {
    case 0: return OH_VERDICT_OK;
    case -ENOENT:
    case -ENOTDIR: return OH_VERDICT_MISSING;
    case -ESTALE: return OH_VERDICT_REPLACED;
    default: return OH_VERDICT_UNREADABLE;
    }
}

static const char *find_file(struct oh_symbols *symbols, struct oh_symbol_module *module)
{
    const struct oh_symbol_source *source = &symbols->source;
    if (source->find_file != NULL)
        return source->find_file(source->self, module, &module->verdict);
    if (symbols->is_own_process && (module->raw.flags & OH_MODULE_MAIN) != 0)
        return "/proc/self/exe"; // Right also when the file was replaced or unlinked.
    return module->path[0] == '/' ? module->path : NULL;
}

// Finds the module's file once; its verdict tells how that went.
static bool has_file(struct oh_symbols *symbols, struct oh_symbol_module *module)
{
    struct oh_symbol_image *image = module->image;
    if (image->file_state == TABLE_UNASKED) {
        image->file_state = TABLE_ABSENT;
        module->verdict = OH_VERDICT_MISSING;
        bool is_file = (module->raw.flags & OH_MODULE_VDSO) == 0;
        const char *path = is_file ? find_file(symbols, module) : NULL;
        if (path != NULL) {
            bool trusted = symbols->source.find_file != NULL;
            module->verdict =
                verdict_of(oh_image_open(&image->file, path, trusted ? NULL : &module->raw));
        }
        if (module->verdict == OH_VERDICT_OK)
            image->file_state = TABLE_OPEN;
    }
    return image->file_state == TABLE_OPEN;
}

static bool open_loaded_go(struct oh_symbol_module *module)
{
    const struct oh_format_module *raw = &module->raw;
    struct oh_pclntab_src src = {.text = raw->go_text, .etext = raw->go_text_end};
    src.tab = (const void *)(uintptr_t)raw->go_pclntab;
    src.tab_len = oh_image_loaded_bytes(raw->go_pclntab);
    size_t func_len = raw->go_gofunc != 0 ? oh_image_loaded_bytes(raw->go_gofunc) : 0;
    if (func_len != 0) {
        src.gofunc = raw->go_gofunc;
        src.mem = (const void *)(uintptr_t)raw->go_gofunc;
        src.mem_len = func_len;
        src.mem_address = raw->go_gofunc;
    }
    module->image->go_bias = 0;
    return src.tab_len != 0 && oh_pclntab_open(&module->image->go, &src) == 0;
}

static bool open_file_go(struct oh_symbol_module *module)
{
    const struct oh_format_module *raw = &module->raw;
    const struct oh_elf *elf = &module->image->file.elf;
    struct oh_elf_bytes tab = oh_elf_at_address(elf, raw->go_pclntab - raw->base);
    struct oh_pclntab_src src = {
        .tab = tab.data,
        .tab_len = tab.len,
        .text = raw->go_text - raw->base,
        .etext = raw->go_text_end - raw->base,
    };
    if (raw->go_gofunc != 0) {
        struct oh_elf_bytes mem = oh_elf_at_address(elf, raw->go_gofunc - raw->base);
        src.gofunc = mem.data != NULL ? raw->go_gofunc - raw->base : 0;
        src.mem = mem.data;
        src.mem_len = mem.len;
        src.mem_address = src.gofunc;
    }
    module->image->go_bias = raw->base;
    return tab.data != NULL && oh_pclntab_open(&module->image->go, &src) == 0;
}

static bool has_go(struct oh_symbols *symbols, struct oh_symbol_module *module)
{
    struct oh_symbol_image *image = module->image;
    if (image->go_state == TABLE_UNASKED) {
        bool found = symbols->is_own_process && open_loaded_go(module);
        if (!found)
            found = has_file(symbols, module) && open_file_go(module);
        image->go_state = found ? TABLE_OPEN : TABLE_ABSENT;
        module->is_go_named = found;
    }
    return image->go_state == TABLE_OPEN;
}

struct oh_elf_span oh_symbols_go_span(const struct oh_symbol_module *module)
{
    const struct oh_format_module *raw = &module->raw;
    if (!module->is_go_named)
        return (struct oh_elf_span){0};
    return (struct oh_elf_span){raw->go_text - raw->base, raw->go_text_end - raw->base};
}

// Hands frames on with what only this module knows of them.
struct relay {
    oh_symbol_emit_fn *emit;
    void *arg;
    uint32_t flags;
};

static int relay_go(void *arg, const struct oh_go_frame *from)
{
    const struct relay *relay = arg;
    const struct oh_symbol_frame frame = {
        .name = from->name,
        .name_len = from->name_len,
        .system_name = from->name,
        .system_name_len = from->name_len,
        .file = from->file,
        .file_len = from->file_len,
        .line = from->line,
        .start_line = from->start_line,
        .flags = relay->flags | OH_FRAME_GO | (from->is_inlined ? OH_FRAME_INLINED : 0),
    };
    return relay->emit(relay->arg, &frame);
}

static int relay_c(void *arg, const struct oh_symbol_frame *from)
{
    const struct relay *relay = arg;
    struct oh_symbol_frame frame = *from;
    frame.flags |= relay->flags;
    return relay->emit(relay->arg, &frame);
}

static bool is_mangled(const char *symbol, size_t length)
{
    return length > 2 && symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R');
}

// The built-in way for C: the file's symbol table, no lines. Mangled names stay as they are, and
// equal to the system name: pprof then makes them readable itself.
static int symbol_frames(struct oh_symbols *symbols, struct oh_symbol_module *module,
                         uint64_t address, struct relay *relay)
{
    struct oh_symbol_image *image = module->image;
    struct oh_elf_symbol symbol;
    if (!has_file(symbols, module))
        return 0;
    if (image->c_state == TABLE_UNASKED) {
        int rc = oh_elf_symbols_open(&image->c, &image->file.elf, oh_symbols_go_span(module),
                                     symbols->arena);
        image->c_state = rc == 0 ? TABLE_OPEN : TABLE_ABSENT;
    }
    if (image->c_state != TABLE_OPEN || !oh_elf_symbols_find(&image->c, address, &symbol))
        return 0;
    size_t length = oh_clone_base_length(symbol.name, symbol.name_len);
    const struct oh_symbol_frame frame = {
        .name = symbol.name,
        .name_len = length,
        .system_name = symbol.name,
        .system_name_len = is_mangled(symbol.name, length) ? length : symbol.name_len,
    };
    (void)relay_c(relay, &frame);
    return 1;
}

static int c_frames(struct oh_symbols *symbols, struct oh_symbol_module *module, uint64_t address,
                    struct relay *relay)
{
    const struct oh_symbol_source *source = &symbols->source;
    if (module->raw.go_text != module->raw.go_text_end)
        (void)has_go(symbols, module); // Who names C may then leave Go's part out.
    if (source->c_frames == NULL)
        return symbol_frames(symbols, module, address, relay);
    if (!has_file(symbols, module) &&
        !(source->asks_without_file && module->verdict == OH_VERDICT_MISSING))
        return 0;
    return source->c_frames(source->self, module, address, relay_c, relay);
}

static int unknown_frame(struct oh_symbols *symbols, const struct relay *relay)
{
    static const char name[] = "[unknown]";
    const struct oh_symbol_frame frame = {
        .name = name,
        .name_len = sizeof name - 1,
        .system_name = name,
        .system_name_len = sizeof name - 1,
        .flags = OH_FRAME_FALLBACK,
    };
    symbols->unknown_pcs++;
    (void)relay->emit(relay->arg, &frame);
    return 1;
}

static void add_hex(struct oh_text *text, uint64_t value)
{
    unsigned shift = 60;
    while (shift != 0 && value >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        oh_text_add_bytes(text, &"0123456789abcdef"[value >> shift & 15], 1);
        if (shift == 0)
            break;
    }
}

// `[lib.so]`, told apart by the system name `lib.so+0x1010`.
static int module_frame(struct oh_symbol_module *module, uint64_t address,
                        const struct relay *relay)
{
    char name_buf[FALLBACK_NAME_BYTES];
    char system_buf[FALLBACK_NAME_BYTES];
    struct oh_text name;
    struct oh_text system_name;
    const char *shown = module->name_len != 0 ? module->name : "no name";
    oh_text_init(&name, name_buf, sizeof name_buf);
    oh_text_add(&name, "[");
    oh_text_add(&name, shown);
    oh_text_add(&name, "]");
    oh_text_init(&system_name, system_buf, sizeof system_buf);
    oh_text_add(&system_name, shown);
    oh_text_add(&system_name, "+0x");
    add_hex(&system_name, address);
    const struct oh_symbol_frame frame = {
        .name = name_buf,
        .name_len = name.length,
        .system_name = system_buf,
        .system_name_len = system_name.length,
        .flags = relay->flags | OH_FRAME_FALLBACK,
    };
    module->fallback_pcs++;
    (void)relay->emit(relay->arg, &frame);
    return 1;
}

int oh_symbols_frames(struct oh_symbols *symbols, struct oh_symbol_module *module, uint64_t address,
                      oh_symbol_emit_fn *emit, void *arg)
{
    struct relay relay = {emit, arg, 0};
    if (module == NULL)
        return unknown_frame(symbols, &relay);
    const struct oh_format_module *raw = &module->raw;
    if ((raw->flags & OH_MODULE_LOADER) != 0)
        relay.flags = OH_FRAME_LOADER;
    if (address >= raw->go_text && address < raw->go_text_end && has_go(symbols, module)) {
        int frames = oh_pclntab_frames(&module->image->go, address - module->image->go_bias,
                                       relay_go, &relay);
        if (frames >= 0)
            return frames;
    }
    int frames = c_frames(symbols, module, address - raw->base, &relay);
    return frames > 0 ? frames : module_frame(module, address - raw->base, &relay);
}
