// SPDX-License-Identifier: Apache-2.0
//
// See pclntab.h. Offsets into the table are 64-bit and checked against the bytes at every read, so
// that sums of 32-bit fields cannot wrap.

#include "profile/pclntab.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"

enum {
    HEADER_BYTES = 72,
    // Offsets in the header.
    HEADER_QUANTUM = 6,
    HEADER_POINTER_SIZE = 7,
    HEADER_FUNC_COUNT = 8,
    HEADER_NAMES = 32,
    HEADER_UNITS = 40,
    HEADER_FILES = 48,
    HEADER_PCTAB = 56,
    HEADER_FUNCTAB = 64,
    // Offsets in a function's fixed part; what follows UNIT differs between the two layouts.
    FUNC_ENTRY = 0,
    FUNC_NAME = 4,
    FUNC_PCFILE = 20,
    FUNC_PCLINE = 24,
    FUNC_PCDATA_COUNT = 28,
    FUNC_UNIT = 32,
    FUNC_START_LINE = 36,
    FUNC_SIZE_118 = 40,
    FUNC_SIZE_120 = 44,
    FUNC_ID_FROM_END = 4,
    FUNC_DATA_COUNT_FROM_END = 1,
    // Indices of per-function tables.
    PCDATA_INLINE_INDEX = 2,
    FUNCDATA_INLINE_TREE = 3,
    INLINE_SIZE_118 = 20,
    INLINE_SIZE_120 = 16,
    INLINE_DEPTH_MAX = 128,
    FUNCTAB_ENTRY_BYTES = 8,
    // A package's functions stand together, but for this many others in a row at most.
    STRAYS_MAX = 1024,
};

static const uint32_t magic_118 = 0xfffffff0U;
static const uint32_t magic_120 = 0xfffffff1U;
static const uint32_t no_offset = UINT32_MAX;

// One function's fixed part, decoded.
struct func {
    uint64_t at; // Offset of its record in the table.
    uint64_t entry;
    uint64_t end;
    uint32_t name;
    uint32_t pcfile;
    uint32_t pcline;
    uint32_t pcdata_count;
    uint32_t unit;
    uint32_t start_line;
    uint8_t id;
    uint8_t funcdata_count;
};

// One inlined call.
struct inlined {
    uint32_t name;
    uint32_t parent_pc; // Offset from the function's entry.
    uint32_t start_line;
    uint8_t id;
};

static bool read_u32(const uint8_t *bytes, size_t len, uint64_t at, uint32_t *value)
{
    if (len < sizeof *value || at > len - sizeof *value)
        return false;
    memcpy(value, bytes + at, sizeof *value);
    return true;
}

static bool tab_u32(const struct oh_pclntab *t, uint64_t at, uint32_t *value)
{
    return read_u32(t->tab, t->tab_len, at, value);
}

// A text of the part [part, part_end) of the table; NULL when it does not end inside.
static const char *tab_text(const struct oh_pclntab *t, uint64_t part, uint64_t part_end,
                            uint32_t offset, size_t *len)
{
    if (offset >= part_end - part)
        return NULL;
    const uint8_t *text = t->tab + part + offset;
    const uint8_t *nul = memchr(text, 0, (size_t)(part_end - part - offset));
    if (nul == NULL)
        return NULL;
    *len = (size_t)(nul - text);
    return (const char *)text;
}

// Most numbers of a PC table are one byte. NULL: the bytes end inside the number.
static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint32_t *value)
{
    if (oh_likely(at < end && *at < 0x80)) {
        *value = *at;
        return at + 1;
    }
    uint32_t result = 0;
    for (unsigned shift = 0; shift < 32 && at < end; shift += 7) {
        uint8_t byte = *at++;
        result |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

// The value that a PC table of this function holds at pc; -1 without table or when it is broken.
// The steps are bounded by the function's size: each but the first moves the PC.
static int32_t pc_value(const struct oh_pclntab *t, const struct func *f, uint32_t table,
                        uint64_t pc)
{
    if (table == 0 || table >= t->functab - t->pctab)
        return -1;
    const uint8_t *at = t->tab + t->pctab + table;
    const uint8_t *end = t->tab + t->functab;
    uint64_t reached = f->entry;
    uint32_t value = UINT32_MAX;
    for (bool is_first = true; reached < f->end; is_first = false) {
        uint32_t value_delta = 0;
        uint32_t pc_delta = 0;
        at = read_varint(at, end, &value_delta);
        if (at == NULL || (value_delta == 0 && !is_first))
            return -1;
        at = read_varint(at, end, &pc_delta);
        if (at == NULL || (pc_delta == 0 && !is_first))
            return -1;
        value += (value_delta >> 1) ^ (0U - (value_delta & 1));
        reached += (uint64_t)pc_delta * t->quantum;
        if (pc < reached)
            return (int32_t)value;
    }
    return -1;
}

static bool functab_entry(const struct oh_pclntab *t, size_t i, uint64_t *entry)
{
    uint32_t offset = 0;
    if (!tab_u32(t, t->functab + (uint64_t)i * FUNCTAB_ENTRY_BYTES, &offset))
        return false;
    *entry = t->text + offset;
    return true;
}

static bool read_func(const struct oh_pclntab *t, size_t i, struct func *f)
{
    uint32_t offset = 0;
    if (!tab_u32(t, t->functab + (uint64_t)i * FUNCTAB_ENTRY_BYTES + 4, &offset))
        return false;
    f->at = t->functab + offset;
    if (f->at > t->tab_len || t->tab_len - f->at < t->func_size ||
        !functab_entry(t, i, &f->entry) || !functab_entry(t, i + 1, &f->end) || f->end <= f->entry)
        return false;
    (void)tab_u32(t, f->at + FUNC_NAME, &f->name);
    (void)tab_u32(t, f->at + FUNC_PCFILE, &f->pcfile);
    (void)tab_u32(t, f->at + FUNC_PCLINE, &f->pcline);
    (void)tab_u32(t, f->at + FUNC_PCDATA_COUNT, &f->pcdata_count);
    (void)tab_u32(t, f->at + FUNC_UNIT, &f->unit);
    f->start_line = 0;
    if (t->has_start_line)
        (void)tab_u32(t, f->at + FUNC_START_LINE, &f->start_line);
    f->id = t->tab[f->at + t->func_size - FUNC_ID_FROM_END];
    f->funcdata_count = t->tab[f->at + t->func_size - FUNC_DATA_COUNT_FROM_END];
    return true;
}

static bool find(const struct oh_pclntab *t, uint64_t pc, struct func *f)
{
    if (pc < t->text || pc >= t->etext)
        return false;
    const uint8_t *functab = t->tab + t->functab; // It is whole: oh_pclntab_open looked.
    size_t low = 0;
    size_t count = t->func_count; // The function is one of these, from low on.
    while (count > 1) {
        size_t half = count / 2;
        uint32_t offset = 0;
        memcpy(&offset, functab + (low + half) * FUNCTAB_ENTRY_BYTES, sizeof offset);
        low = t->text + offset <= pc ? low + half : low;
        count -= half;
    }
    return read_func(t, low, f) && f->entry <= pc && pc < f->end;
}

static const char *func_name(const struct oh_pclntab *t, uint32_t offset, size_t *len)
{
    const char *name = tab_text(t, t->names, t->units, offset, len);
    if (name == NULL) {
        name = "";
        *len = 0;
    }
    return name;
}

static void file_and_line(const struct oh_pclntab *t, const struct func *f, uint64_t pc,
                          struct oh_go_frame *frame)
{
    frame->file = "?";
    frame->file_len = 1;
    frame->line = 0;
    int32_t file = pc_value(t, f, f->pcfile, pc);
    int32_t line = pc_value(t, f, f->pcline, pc);
    uint32_t offset = 0;
    if (file < 0 || line < 0)
        return;
    uint64_t at = t->units + ((uint64_t)f->unit + (uint32_t)file) * sizeof offset;
    if (at >= t->files || !tab_u32(t, at, &offset) || offset == no_offset)
        return;
    size_t len = 0;
    const char *text = tab_text(t, t->files, t->pctab, offset, &len);
    if (text == NULL)
        return;
    frame->file = text;
    frame->file_len = len;
    frame->line = (uint32_t)line;
}

// Where the function's inline tree begins in gofunc; false when it has none.
static bool inline_tree(const struct oh_pclntab *t, const struct func *f, uint32_t *tree)
{
    uint64_t at =
        f->at + t->func_size + ((uint64_t)f->pcdata_count + FUNCDATA_INLINE_TREE) * sizeof *tree;
    return t->gofunc != NULL && f->funcdata_count > FUNCDATA_INLINE_TREE &&
           f->pcdata_count > PCDATA_INLINE_INDEX && tab_u32(t, at, tree) && *tree != no_offset;
}

// The inlined call that pc belongs to; false: pc is the function's own code.
static bool read_inlined(const struct oh_pclntab *t, const struct func *f, uint64_t pc,
                         struct inlined *call)
{
    uint32_t tree = 0;
    uint32_t table = 0;
    if (!inline_tree(t, f, &tree) ||
        !tab_u32(t, f->at + t->func_size + PCDATA_INLINE_INDEX * sizeof table, &table))
        return false;
    int32_t index = pc_value(t, f, table, pc);
    if (index < 0)
        return false;
    bool is_118 = !t->has_start_line;
    uint64_t at =
        (uint64_t)tree + (uint64_t)(uint32_t)index * (is_118 ? INLINE_SIZE_118 : INLINE_SIZE_120);
    uint32_t id = 0;
    call->start_line = 0;
    if (!read_u32(t->gofunc, t->gofunc_len, at, &id) ||
        !read_u32(t->gofunc, t->gofunc_len, at + (is_118 ? 12 : 4), &call->name) ||
        !read_u32(t->gofunc, t->gofunc_len, at + (is_118 ? 16 : 8), &call->parent_pc) ||
        (!is_118 && !read_u32(t->gofunc, t->gofunc_len, at + 12, &call->start_line)))
        return false;
    call->id = (uint8_t)(is_118 ? id >> 16 : id);
    return call->parent_pc < f->end - f->entry;
}

// The funcID of wrappers is the last of a list that grows with Go's versions, and the table does
// not say its version. So it is learned from the first function that has an ID and no source file
// of its own: the functions of the runtime that the other IDs stand for all have one.
static uint8_t find_wrapper_id(const struct oh_pclntab *t)
{
    static const char no_source[] = "<autogenerated>";
    for (size_t i = 0; i < t->func_count; i++) {
        struct func f;
        struct oh_go_frame frame;
        if (!read_func(t, i, &f) || f.id == 0)
            continue;
        file_and_line(t, &f, f.entry, &frame);
        if (strcmp(frame.file, no_source) == 0)
            return f.id;
    }
    return 0;
}

static bool is_wrapper(const struct oh_pclntab *t, uint8_t id)
{
    return t->wrapper_id != 0 && id == t->wrapper_id;
}

static uint64_t header_word(const struct oh_pclntab *t, size_t at)
{
    uint64_t word = 0;
    memcpy(&word, t->tab + at, sizeof word);
    return word;
}

int oh_pclntab_open(struct oh_pclntab *t, const struct oh_pclntab_src *src)
{
    struct oh_pclntab n = {
        .tab = src->tab, .tab_len = src->tab_len, .text = src->text, .etext = src->etext};
    uint32_t magic = 0;
    if (n.tab == NULL || n.tab_len < HEADER_BYTES || !tab_u32(&n, 0, &magic) ||
        (magic != magic_118 && magic != magic_120) || n.tab[4] != 0 || n.tab[5] != 0 ||
        n.tab[HEADER_POINTER_SIZE] != 8)
        return -ENOEXEC;
    n.has_start_line = magic == magic_120;
    n.func_size = n.has_start_line ? FUNC_SIZE_120 : FUNC_SIZE_118;
    n.quantum = n.tab[HEADER_QUANTUM];
    n.names = header_word(&n, HEADER_NAMES);
    n.units = header_word(&n, HEADER_UNITS);
    n.files = header_word(&n, HEADER_FILES);
    n.pctab = header_word(&n, HEADER_PCTAB);
    n.functab = header_word(&n, HEADER_FUNCTAB);
    uint64_t count = header_word(&n, HEADER_FUNC_COUNT);
    if (n.names < HEADER_BYTES || n.units < n.names || n.files < n.units || n.pctab < n.files ||
        n.functab < n.pctab || n.functab > n.tab_len ||
        (n.quantum != 1 && n.quantum != 2 && n.quantum != 4) || n.etext <= n.text ||
        n.etext - n.text > UINT32_MAX)
        return -EINVAL;
    uint64_t room = n.tab_len - n.functab;
    if (count == 0 || room < 4 || count > (room - 4) / FUNCTAB_ENTRY_BYTES)
        return -EINVAL;
    n.func_count = (size_t)count;
    if (src->gofunc != 0 && src->mem != NULL && src->gofunc >= src->mem_address &&
        src->gofunc - src->mem_address < src->mem_len) {
        size_t skipped = (size_t)(src->gofunc - src->mem_address);
        n.gofunc = (const uint8_t *)src->mem + skipped;
        n.gofunc_len = src->mem_len - skipped;
    }
    n.wrapper_id = find_wrapper_id(&n);
    *t = n;
    return 0;
}

static void export_func(const struct oh_pclntab *t, const struct func *f, struct oh_go_func *out)
{
    out->entry = f->entry;
    out->end = f->end;
    out->name = func_name(t, f->name, &out->name_len);
    out->start_line = f->start_line;
    out->is_wrapper = is_wrapper(t, f->id);
}

int oh_pclntab_find_func(const struct oh_pclntab *t, uint64_t pc, struct oh_go_func *func)
{
    struct func f;
    if (!find(t, pc, &f))
        return -ENOENT;
    export_func(t, &f, func);
    return 0;
}

int oh_pclntab_frames(const struct oh_pclntab *t, uint64_t pc, oh_go_frame_fn *emit, void *arg)
{
    struct func f;
    if (!find(t, pc, &f))
        return -ENOENT;
    int emitted = 0;
    bool is_inlined = true;
    for (int depth = 0; is_inlined; depth++) {
        struct inlined call;
        is_inlined = depth < INLINE_DEPTH_MAX && read_inlined(t, &f, pc, &call);
        if (!is_wrapper(t, is_inlined ? call.id : f.id)) {
            struct oh_go_frame frame;
            frame.name = func_name(t, is_inlined ? call.name : f.name, &frame.name_len);
            frame.start_line = is_inlined ? call.start_line : f.start_line;
            frame.is_inlined = is_inlined;
            file_and_line(t, &f, pc, &frame);
            emitted++;
            if (emit(arg, &frame) != 0)
                break;
        }
        if (is_inlined)
            pc = f.entry + call.parent_pc;
    }
    return emitted;
}

// A name in the table; how long it is, only those need to know who take it.
struct name {
    const char *text; // NULL: the table is broken there.
    size_t room;      // From here to the end of all names.
};

// The name of function i, by the two words that lead to it: cheaper than decoding its record.
static struct name name_of(const struct oh_pclntab *t, size_t i)
{
    uint32_t offset = 0;
    uint32_t name = 0;
    if (!tab_u32(t, t->functab + (uint64_t)i * FUNCTAB_ENTRY_BYTES + 4, &offset) ||
        !tab_u32(t, t->functab + offset + FUNC_NAME, &name) || name >= t->units - t->names)
        return (struct name){0};
    return (struct name){(const char *)t->tab + t->names + name,
                         (size_t)(t->units - t->names - name)};
}

static bool begins_with(struct name name, const char *text, size_t len)
{
    return name.text != NULL && name.room > len && memcmp(name.text, text, len) == 0;
}

struct search {
    const struct oh_pclntab *t;
    const char *const *names;
    size_t count;
    size_t lens[OH_PCLNTAB_NAMES_MAX];
    uint64_t found; // A bit for each name.
};

// Which of the names this is; their count: none.
static size_t which(const struct search *search, struct name name)
{
    for (size_t n = 0; name.text != NULL && n < search->count; n++) {
        size_t len = search->lens[n];
        if (len < name.room && name.text[len] == 0 && memcmp(name.text, search->names[n], len) == 0)
            return n;
    }
    return search->count;
}

static void take(struct search *search, size_t i, struct oh_go_range out[2])
{
    struct func f;
    if (out[1].begin == 0 && read_func(search->t, i, &f))
        out[out[0].begin != 0] = (struct oh_go_range){.begin = f.entry, .end = f.end};
}

// Where package main begins, as far as its functions stand at the end of the table: Go's linker
// puts a package behind those that it imports.
static size_t find_main_package(const struct oh_pclntab *t)
{
    static const char prefix[] = "main.";
    size_t begin = t->func_count;
    for (size_t i = begin; i > 0 && begin - i < STRAYS_MAX; i--) {
        if (begins_with(name_of(t, i - 1), prefix, sizeof prefix - 1))
            begin = i - 1;
    }
    return begin;
}

static void scan(struct search *search, size_t begin, size_t end, struct oh_go_range (*out)[2])
{
    static const char prefix[] = "runtime.";
    const uint64_t all = UINT64_MAX >> (OH_PCLNTAB_NAMES_MAX - search->count);
    size_t last = end; // Of package runtime.
    for (size_t i = begin; i < end; i++) {
        struct name name = name_of(search->t, i);
        size_t n = which(search, name);
        if (n < search->count) {
            search->found |= UINT64_C(1) << n;
            if (out != NULL)
                take(search, i, out[n]);
        }
        if (begins_with(name, prefix, sizeof prefix - 1))
            last = i;
        else if (search->found == all && last < i && i - last > STRAYS_MAX)
            return;
    }
}

void oh_pclntab_find_names(const struct oh_pclntab *t, const char *const *names, size_t count,
                           struct oh_go_range (*out)[2])
{
    struct search search = {.t = t, .names = names, .count = count};
    memset(out, 0, count * sizeof *out);
    if (count == 0 || count > OH_PCLNTAB_NAMES_MAX)
        return;
    for (size_t n = 0; n < count; n++)
        search.lens[n] = strlen(names[n]);
    const size_t package_main = find_main_package(t);
    scan(&search, package_main, t->func_count, NULL);
    scan(&search, 0, package_main, out);
    scan(&search, package_main, t->func_count, out);
}
