// SPDX-License-Identifier: Apache-2.0
//
// The symbol index of elf.h: one slot per function symbol in an arena, sorted by address and then
// by rank, so that the first slot of an address is the one to show.

#include "profile/elf.h"

#include <errno.h>
#include <string.h>

struct oh_elf_symbol_slot {
    uint64_t begin;
    uint64_t end;
    uint32_t name;
    uint32_t rank; // Smaller is better.
};

enum {
    // How far back a symbol that covers an address may stand behind smaller ones inside it.
    LOOK_BACK_MAX = 32,
    RANK_NO_SIZE = 64,
    RANK_NO_TYPE = 128,
};

static struct oh_elf_bytes symbol_bytes(const struct oh_elf *elf, uint32_t type,
                                        struct oh_elf_bytes *names)
{
    Elf64_Shdr table;
    Elf64_Shdr strings;
    for (size_t i = 1; oh_elf_section(elf, i, &table); i++) {
        if (table.sh_type != type || table.sh_entsize != sizeof(Elf64_Sym) ||
            !oh_elf_section(elf, table.sh_link, &strings))
            continue;
        *names = oh_elf_section_bytes(elf, &strings);
        return oh_elf_section_bytes(elf, &table);
    }
    return (struct oh_elf_bytes){0};
}

// Without the version that .symtab writes behind the name.
static size_t name_len(struct oh_elf_bytes names, uint32_t at)
{
    if (at >= names.len)
        return 0;
    const uint8_t *name = names.data + at;
    const uint8_t *end = memchr(name, 0, names.len - at);
    if (end == NULL)
        return 0;
    const uint8_t *version = memchr(name, '@', (size_t)(end - name));
    return (size_t)((version != NULL ? version : end) - name);
}

static uint32_t rank_of(const Elf64_Sym *symbol, const char *name, size_t len)
{
    static const uint8_t by_binding[] = {[STB_LOCAL] = 2, [STB_GLOBAL] = 0, [STB_WEAK] = 1};
    size_t underscores = 0;
    while (underscores < len && underscores < 7 && name[underscores] == '_')
        underscores++;
    uint8_t binding = ELF64_ST_BIND(symbol->st_info);
    uint32_t rank = (uint32_t)underscores * 4;
    rank += binding < sizeof by_binding ? by_binding[binding] : 0;
    if (symbol->st_size == 0)
        rank += RANK_NO_SIZE;
    if (ELF64_ST_TYPE(symbol->st_info) == STT_NOTYPE)
        rank += RANK_NO_TYPE;
    return rank;
}

// Whether the symbol may name code that is wanted, as far as its entry in the table says.
static bool is_candidate(const Elf64_Sym *symbol, struct oh_elf_span without)
{
    uint8_t type = ELF64_ST_TYPE(symbol->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
           symbol->st_shndx != SHN_UNDEF &&
           (symbol->st_value < without.begin || symbol->st_value >= without.end);
}

// Whether a candidate names code; slot is then filled, but for the end of one without a size,
// which is its section's until the neighbours are known.
static bool accept(const struct oh_elf *elf, struct oh_elf_bytes names, const Elf64_Sym *symbol,
                   struct oh_elf_symbol_slot *slot)
{
    uint8_t type = ELF64_ST_TYPE(symbol->st_info);
    Elf64_Shdr section;
    bool has_section =
        symbol->st_shndx < SHN_LORESERVE && oh_elf_section(elf, symbol->st_shndx, &section);
    bool is_code = has_section && (section.sh_flags & SHF_EXECINSTR) != 0;
    if ((type == STT_NOTYPE || symbol->st_size == 0) && !is_code)
        return false;
    size_t len = name_len(names, symbol->st_name);
    const char *name = (const char *)names.data + symbol->st_name;
    if (len == 0 || (type == STT_NOTYPE && (name[0] == '.' || name[0] == '$')))
        return false;
    slot->begin = symbol->st_value;
    slot->name = symbol->st_name;
    slot->rank = rank_of(symbol, name, len);
    if (symbol->st_size != 0)
        return !__builtin_add_overflow(symbol->st_value, symbol->st_size, &slot->end);
    return !__builtin_add_overflow(section.sh_addr, section.sh_size, &slot->end) &&
           slot->end > slot->begin;
}

static bool comes_before(const struct oh_elf_symbol_slot *a, const struct oh_elf_symbol_slot *b)
{
    if (a->begin != b->begin)
        return a->begin < b->begin;
    return a->rank != b->rank ? a->rank < b->rank : a->name < b->name;
}

static void sift_down(struct oh_elf_symbol_slot *slots, size_t root, size_t count)
{
    struct oh_elf_symbol_slot moving = slots[root];
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && comes_before(&slots[child], &slots[child + 1]))
            child++;
        if (!comes_before(&moving, &slots[child]))
            break;
        slots[root] = slots[child];
        root = child;
    }
    slots[root] = moving;
}

// Heap sort: the C library's sort may allocate.
static void sort(struct oh_elf_symbol_slot *slots, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift_down(slots, root, count);
    for (size_t left = count; left > 1; left--) {
        struct oh_elf_symbol_slot last = slots[left - 1];
        slots[left - 1] = slots[0];
        slots[0] = last;
        sift_down(slots, 0, left - 1);
    }
}

// A symbol without a size reaches to the next address that has a symbol.
static void close_open_ends(struct oh_elf_symbol_slot *slots, size_t count)
{
    uint64_t next_begin = UINT64_MAX;
    for (size_t i = count; i-- > 0;) {
        struct oh_elf_symbol_slot *slot = &slots[i];
        if (i + 1 < count && slots[i + 1].begin != slot->begin)
            next_begin = slots[i + 1].begin;
        bool is_open = (slot->rank & RANK_NO_SIZE) != 0;
        if (is_open && slot->end > next_begin)
            slot->end = next_begin;
    }
}

int oh_elf_symbols_open(struct oh_elf_symbols *symbols, const struct oh_elf *elf,
                        struct oh_elf_span without, struct oh_arena *arena)
{
    struct oh_elf_bytes names = {0};
    struct oh_elf_bytes table = symbol_bytes(elf, SHT_SYMTAB, &names);
    if (table.data == NULL || names.data == NULL)
        table = symbol_bytes(elf, SHT_DYNSYM, &names);
    if (table.data == NULL || names.data == NULL)
        return -ENOENT;
    Elf64_Sym symbol;
    struct oh_elf_symbol_slot slot;
    size_t count = 0;
    for (size_t at = 0; table.len - at >= sizeof symbol; at += sizeof symbol) {
        memcpy(&symbol, table.data + at, sizeof symbol);
        count += is_candidate(&symbol, without) && accept(elf, names, &symbol, &slot) ? 1 : 0;
    }
    if (count == 0)
        return -ENOENT;
    struct oh_elf_symbol_slot *slots =
        oh_arena_array(arena, count, sizeof *slots, _Alignof(struct oh_elf_symbol_slot));
    if (slots == NULL)
        return -ENOMEM;
    size_t filled = 0;
    for (size_t at = 0; table.len - at >= sizeof symbol && filled < count; at += sizeof symbol) {
        memcpy(&symbol, table.data + at, sizeof symbol);
        if (is_candidate(&symbol, without) && accept(elf, names, &symbol, &slot))
            slots[filled++] = slot;
    }
    sort(slots, filled);
    close_open_ends(slots, filled);
    *symbols = (struct oh_elf_symbols){.elf = elf, .slots = slots, .count = filled, .names = names};
    return 0;
}

// How many slots begin at or before the address.
static size_t count_until(const struct oh_elf_symbols *symbols, uint64_t address)
{
    size_t low = 0;
    size_t high = symbols->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->slots[middle].begin <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool oh_elf_symbols_find(const struct oh_elf_symbols *symbols, uint64_t address,
                         struct oh_elf_symbol *found)
{
    const struct oh_elf_symbol_slot *best = NULL;
    size_t until = count_until(symbols, address);
    for (size_t back = 1; back <= until && back <= LOOK_BACK_MAX; back++) {
        const struct oh_elf_symbol_slot *slot = &symbols->slots[until - back];
        if (best != NULL && slot->begin != best->begin)
            break;
        if (slot->end > address)
            best = slot; // Of one address the last one seen is the best ranked.
    }
    if (best == NULL)
        return false;
    *found = (struct oh_elf_symbol){
        .name = (const char *)symbols->names.data + best->name,
        .name_len = name_len(symbols->names, best->name),
        .begin = best->begin,
        .end = best->end,
    };
    return true;
}
