// SPDX-License-Identifier: Apache-2.0
#include "profile/allocator.h"

#include <errno.h>
#include <string.h>

// Names that only jemalloc has: of a function, and others that it has with the same prefix; and of a
// variable, which is there also where link-time optimization has left nothing of the functions.
static const char function_mark[] = "mallocx";
static const char variable_mark[] = "malloc_message";

enum { PREFIXES_MAX = 16, SIBLINGS = 3, FORMS_MAX = 4, LOCALS_MAX = 65536, NEAR_BYTES = 16384 };

static const struct oh_allocator_facts facts[OH_ALLOCATOR_FUNCTIONS] = {
#define OH_ALLOCATOR_FUNCTION(name, arguments, shape) \
    [OH_ALLOCATOR_##name] = {#name, true, arguments, OH_SHAPE_##shape},
#define OH_ALLOCATOR_OPERATOR(name, arguments, shape) \
    [OH_ALLOCATOR_##name] = {#name, false, arguments, OH_SHAPE_##shape},
#include "profile/allocator.def"
#undef OH_ALLOCATOR_FUNCTION
#undef OH_ALLOCATOR_OPERATOR
};

static const enum oh_allocator_function siblings[SIBLINGS] = {
    OH_ALLOCATOR_malloc, OH_ALLOCATOR_free, OH_ALLOCATOR_dallocx};

struct table {
    struct oh_elf_bytes symbols;
    struct oh_elf_bytes names;
    size_t global; // Where in symbols the first one stands that is not local.
};

const struct oh_allocator_facts *oh_allocator_facts(enum oh_allocator_function function)
{
    return &facts[function];
}

static bool open_table(const struct oh_elf *elf, struct table *table)
{
    Elf64_Shdr symbols, names;
    if (!oh_elf_find_section(elf, ".symtab", &symbols) ||
        !oh_elf_section(elf, symbols.sh_link, &names))
        return false;
    table->symbols = oh_elf_section_bytes(elf, &symbols);
    table->names = oh_elf_section_bytes(elf, &names);
    table->global = (size_t)symbols.sh_info * sizeof(Elf64_Sym);
    if (table->global > table->symbols.len)
        table->global = table->symbols.len;
    return table->symbols.data != NULL && table->names.data != NULL && table->names.len != 0 &&
           table->names.data[table->names.len - 1] == 0;
}

// "main._Cfunc_je_mallocx" is Go's way to the function, not the function.
static bool is_prefix(const char *text, size_t len)
{
    static const char wrapper[] = "_Cfunc_";
    if (len >= OH_ALLOCATOR_PREFIX_BYTES || memchr(text, '.', len) != NULL)
        return false;
    return len < sizeof wrapper - 1 || memmem(text, len, wrapper, sizeof wrapper - 1) == NULL;
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

// What link-time optimization makes of a function: "je_mallocx.constprop.0" takes other arguments, and
// the program calls that. What was only moved aside because it is seldom run has its name, too.
static bool is_part_of(const char *name, const char *function)
{
    const char *rest = name + strlen(function);
    return begins(name, function) && rest[0] == '.' && !begins(rest, ".cold");
}

static bool is_near(const struct oh_elf_span *a, const struct oh_elf_span *b)
{
    return a->begin <= b->end + NEAR_BYTES && b->begin <= a->end + NEAR_BYTES;
}

// Takes the code in, as one piece with all that is near it.
static void take_code(const Elf64_Sym *symbol, struct oh_allocator_symbols *out)
{
    struct oh_elf_span code = {symbol->st_value, symbol->st_value + symbol->st_size};
    for (size_t i = 0; i < out->code_count;) {
        const struct oh_elf_span *other = &out->code[i];
        if (!is_near(&code, other)) {
            i++;
            continue;
        }
        code.begin = other->begin < code.begin ? other->begin : code.begin;
        code.end = other->end > code.end ? other->end : code.end;
        out->code[i] = out->code[--out->code_count];
        i = 0; // It may be near to others by now.
    }
    if (out->code_count < OH_ALLOCATOR_CODE_MAX)
        out->code[out->code_count++] = code;
}

// jemalloc's internal functions begin with "je_", whatever the prefix of the public ones.
static bool is_own_name(const char *name, const struct oh_allocator_symbols *found)
{
    return begins(name, "je_") || (found->prefix[0] != '\0' && begins(name, found->prefix));
}

// Puts the function's symbol into *out, when it is one of the wanted.
static void take(const Elf64_Sym *symbol, const char *name, struct oh_allocator_symbols *out)
{
    size_t prefix = strlen(out->prefix);
    bool has_prefix = begins(name, out->prefix);
    bool is_operator = name[0] == '_' && name[1] == 'Z';
    bool is_own = is_own_name(name, out);
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS && (has_prefix || is_operator); i++) {
        const char *rest = facts[i].has_prefix ? name + prefix : name;
        if (!(facts[i].has_prefix ? has_prefix : is_operator) || rest[0] != facts[i].name[0])
            continue;
        out->is_taken_apart |= facts[i].has_prefix && is_part_of(rest, facts[i].name);
        if (strcmp(rest, facts[i].name) != 0)
            continue;
        is_own |= facts[i].has_prefix;
        out->function[i] =
            (struct oh_elf_span){symbol->st_value, symbol->st_value + symbol->st_size};
    }
    const char *form = strchr(name, '.');
    if (form != NULL)
        out->other_forms += is_own && !begins(form, ".cold");
    else if (is_own)
        take_code(symbol, out);
}

static bool is_a(const struct table *table, const Elf64_Sym *symbol, unsigned type)
{
    return ELF64_ST_TYPE(symbol->st_info) == type && symbol->st_shndx != SHN_UNDEF &&
           symbol->st_value != 0 && symbol->st_value <= UINT64_MAX - symbol->st_size &&
           symbol->st_name < table->names.len;
}

static void take_all(const struct table *table, struct oh_allocator_symbols *out)
{
    Elf64_Sym symbol;
    for (size_t at = 0; table->symbols.len - at >= sizeof symbol; at += sizeof symbol) {
        memcpy(&symbol, table->symbols.data + at, sizeof symbol);
        if (is_a(table, &symbol, STT_FUNC))
            take(&symbol, (const char *)table->names.data + symbol.st_name, out);
    }
}

static bool is_complete(const struct oh_allocator_symbols *found)
{
    for (size_t i = 0; i < SIBLINGS; i++) {
        if (found->function[siblings[i]].begin == 0)
            return false;
    }
    return found->function[OH_ALLOCATOR_mallocx].begin != 0;
}

// Where the linker drops what nobody uses (--gc-sections, as Rust does), there are only some. Without
// link-time optimization a compiler makes at most one or two other forms of jemalloc's functions; with
// it, some twenty, and functions are missing because they were taken into their callers.
static bool is_what_is_used(const struct oh_allocator_symbols *found)
{
    bool makes = false, frees = false;
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        bool is_there = found->function[i].begin != 0 && facts[i].has_prefix;
        makes |= is_there && facts[i].shape <= OH_SHAPE_ALLOC_INTO;
        frees |= is_there && facts[i].shape == OH_SHAPE_FREE;
    }
    return makes && frees && found->other_forms <= FORMS_MAX;
}

// 0, -ENOENT, or -ENOTSUP: functions that have jemalloc's own names are there, but not all of those
// that matter. is_sure: none of another kind has the mark that was found.
static int try_prefix(const struct table *table, const char *text, size_t len, bool is_sure,
                      struct oh_allocator_symbols *out)
{
    memset(out, 0, sizeof *out);
    if (!is_prefix(text, len))
        return -ENOENT;
    memcpy(out->prefix, text, len);
    take_all(table, out);
    bool complete = is_complete(out) || (is_sure && is_what_is_used(out));
    if (complete && !out->is_taken_apart)
        return 0;
    return complete || (is_sure && out->code_count != 0) ? -ENOTSUP : -ENOENT;
}

// The length of what stands before the mark at the end of the name; -1: it has no such end.
static long before_mark(const char *name, const char *mark)
{
    size_t len = strlen(name), mark_len = strlen(mark);
    return len >= mark_len && memcmp(name + len - mark_len, mark, mark_len) == 0
               ? (long)(len - mark_len)
               : -1;
}

// Among the symbols at [at, end) of the table. What try_prefix answers, of several the best.
static int find_among(const struct table *table, size_t at, size_t end,
                      struct oh_allocator_symbols *out)
{
    Elf64_Sym symbol;
    int tries = 0, found = -ENOENT;
    for (; end - at >= sizeof symbol && tries < PREFIXES_MAX && found != 0; at += sizeof symbol) {
        memcpy(&symbol, table->symbols.data + at, sizeof symbol);
        bool is_function = is_a(table, &symbol, STT_FUNC);
        if (!is_function && !is_a(table, &symbol, STT_OBJECT))
            continue;
        const char *name = (const char *)table->names.data + symbol.st_name;
        long prefix = before_mark(name, is_function ? function_mark : variable_mark);
        if (prefix < 0)
            continue;
        int tried = try_prefix(table, name, (size_t)prefix, !is_function, out);
        found = tried == -ENOENT ? found : tried;
        tries++;
    }
    return found;
}

// A large Go program has some hundred thousand local symbols, its own functions, whose names would
// have to be read from the disk at every start. A jemalloc that the linker was told to hide still has
// a global variable that tells of it.
int oh_allocator_find(const struct oh_elf *elf, struct oh_allocator_symbols *out)
{
    struct table table;
    memset(out, 0, sizeof *out);
    if (!open_table(elf, &table))
        return -ENODATA;
    int found = find_among(&table, table.global, table.symbols.len, out);
    if (found == -ENOENT && table.global <= LOCALS_MAX * sizeof(Elf64_Sym))
        found = find_among(&table, 0, table.global, out);
    if (found != 0)
        memset(out, 0, sizeof *out);
    return found;
}

bool oh_allocator_is_hidden(const struct oh_elf *elf)
{
    struct table table;
    struct oh_allocator_symbols found;
    return open_table(elf, &table) && table.global > LOCALS_MAX * sizeof(Elf64_Sym) &&
           find_among(&table, 0, table.global, &found) != -ENOENT;
}

bool oh_allocator_has_messages(const struct oh_elf *elf)
{
    static const char message[] = "<jemalloc>";
    Elf64_Phdr segment;
    for (size_t i = 0; oh_elf_segment(elf, i, &segment); i++) {
        struct oh_elf_bytes bytes = oh_elf_at(elf, segment.p_offset, segment.p_filesz);
        if (segment.p_type == PT_LOAD && bytes.data != NULL &&
            memmem(bytes.data, bytes.len, message, sizeof message - 1) != NULL)
            return true;
    }
    return false;
}
