// SPDX-License-Identifier: Apache-2.0
#include "allocator/executable.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/sys.h"
#include "profile/image.h"

enum { SECTIONS_AT_ONCE = 64, NEIGHBOUR_BYTES = 64 * 1024 };

static bool is_beside(const struct oh_allocator_symbols *symbols, uint64_t address)
{
    bool found = false;
    for (size_t i = 0; i < symbols->code_count && !found; i++)
        found = address + NEIGHBOUR_BYTES >= symbols->code[i].begin &&
                address < symbols->code[i].end + NEIGHBOUR_BYTES;
    return found;
}

// Operators in an executable may be its own, which come to malloc in ways that cannot be seen here.
// jemalloc's lie beside its other functions.
static void drop_foreign_operators(struct oh_allocator_symbols *symbols)
{
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++) {
        struct oh_elf_span *span = &symbols->function[i];
        if (!oh_allocator_facts((enum oh_allocator_function)i)->has_prefix &&
            !is_beside(symbols, span->begin))
            *span = (struct oh_elf_span){0, 0};
    }
}

static void move(struct oh_elf_span *span, uint64_t by)
{
    if (span->begin != 0)
        *span = (struct oh_elf_span){span->begin + by, span->end + by};
}

// Whether one of the sections [0, count) is a table of symbols. They are read some at a time.
static bool has_symbol_section(int fd, uint64_t at, uint64_t count)
{
    Elf64_Shdr sections[SECTIONS_AT_ONCE];
    bool found = false;
    for (uint64_t i = 0; i < count && !found; i += SECTIONS_AT_ONCE) {
        uint64_t offset = at + i * sizeof sections[0];
        size_t wanted = count - i < SECTIONS_AT_ONCE ? (size_t)(count - i) : SECTIONS_AT_ONCE;
        long got = oh_sys_pread(fd, sections, wanted * sizeof sections[0], (off_t)offset);
        if (got <= 0)
            break;
        for (size_t k = 0; k < (size_t)got / sizeof sections[0]; k++)
            found |= sections[k].sh_type == SHT_SYMTAB;
    }
    return found;
}

// Whether the executable's file has a symbol table. Most have none, and need not be mapped.
static bool has_symbols(void)
{
    Elf64_Ehdr header;
    bool found = false;
    long fd = oh_sys_open("/proc/self/exe", O_RDONLY, 0);
    if (fd < 0)
        return false;
    if (oh_sys_pread((int)fd, &header, sizeof header, 0) == (long)sizeof header &&
        header.e_shentsize == sizeof(Elf64_Shdr))
        found = has_symbol_section((int)fd, header.e_shoff, header.e_shnum);
    (void)oh_sys_close((int)fd);
    return found;
}

int oh_executable_find(uint64_t base, struct oh_allocator_symbols *symbols)
{
    struct oh_image image;
    if (!has_symbols() || oh_image_open(&image, "/proc/self/exe", NULL) < 0)
        return -ENODATA;
    int found = oh_allocator_find(&image.elf, symbols);
    oh_image_close(&image);
    if (found != 0)
        return found;
    for (int i = 0; i < OH_ALLOCATOR_FUNCTIONS; i++)
        move(&symbols->function[i], base);
    for (size_t i = 0; i < symbols->code_count; i++)
        move(&symbols->code[i], base);
    drop_foreign_operators(symbols);
    return 0;
}
