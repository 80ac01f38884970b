// SPDX-License-Identifier: Apache-2.0
#include "capture/go_runtime.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/readable.h"

enum {
    WORD_BYTES = 8,
    // Words of runtime.moduledata.
    MD_HEADER = 0,
    MD_NAMES = 1,
    MD_UNITS = 4,
    MD_FUNCTIONS = 13,
    MD_FUNCTIONS_LENGTH = 14,
    MD_TEXT = 22,
    MD_ETEXT = 23,
    MD_GOFUNC_1_18 = 38,
    MD_GOFUNC_1_20 = 40,
    MD_WORDS = 41,
    // Words of the function table's header.
    HEADER_NAMES = 4,
    HEADER_UNITS = 5,
    HEADER_WORDS = 9,
    // The names follow the header; how far they can lie from it.
    NAMES_DISTANCE_MIN = 64,
    NAMES_DISTANCE_MAX = 256
};

static const uint64_t magic_1_18 = 0x08010000fffffff0; // And, above: pc quantum 1, 8-byte words.
static const uint64_t magic_1_20 = 0x08010000fffffff1;

struct entry {
    uint64_t owner; // The moduledata of the runtime that the entry is for.
    uint64_t ready;
    struct oh_go_runtime runtime;
};

static struct entry entries[OH_GO_RUNTIME_MAX] OH_OWN_LINES;

// A loaded module, as its program headers tell it.
struct image {
    uint64_t bias;
    const Elf64_Phdr *phdrs;
    unsigned phdr_count;
};

// The loaded segment with the flags that contains [address, address + size): its end, else 0.
// Only what comes from the file counts: zeroed memory holds no table.
static uint64_t segment_end(const struct image *image, uint64_t address, uint64_t size)
{
    for (unsigned i = 0; i < image->phdr_count; i++) {
        const Elf64_Phdr *ph = &image->phdrs[i];
        uint64_t begin = image->bias + ph->p_vaddr;
        if (ph->p_type == PT_LOAD && address >= begin && address - begin < ph->p_filesz &&
            size <= ph->p_filesz - (address - begin))
            return begin + ph->p_filesz;
    }
    return 0;
}

static uint64_t word(uint64_t table, unsigned index)
{
    return oh_word_at(table + (uint64_t)index * WORD_BYTES);
}

// Whether the words at address are a moduledata: they name a table header that names them back.
static bool is_moduledata(const struct image *image, uint64_t address)
{
    uint64_t header = word(address, MD_HEADER);
    uint64_t distance = word(address, MD_NAMES) - header;
    if (distance < NAMES_DISTANCE_MIN || distance > NAMES_DISTANCE_MAX ||
        header % WORD_BYTES != 0 ||
        !segment_end(image, header, (uint64_t)HEADER_WORDS * WORD_BYTES))
        return false;
    uint64_t magic = word(header, 0);
    return (magic == magic_1_18 || magic == magic_1_20) && word(header, HEADER_NAMES) == distance &&
           word(header, HEADER_UNITS) == word(address, MD_UNITS) - header;
}

// Looks through the writable segments; the tables themselves may be large and stay untouched.
static uint64_t find_moduledata(const struct image *image)
{
    for (unsigned i = 0; i < image->phdr_count; i++) {
        const Elf64_Phdr *ph = &image->phdrs[i];
        uint64_t begin = image->bias + ph->p_vaddr;
        uint64_t end = begin + ph->p_filesz;
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_W) || !(ph->p_flags & PF_R) ||
            ph->p_filesz > ph->p_memsz || end < begin || !oh_readable_range(begin, ph->p_filesz))
            continue;
        for (uint64_t at = (begin + WORD_BYTES - 1) & ~(uint64_t)(WORD_BYTES - 1);
             at < end && end - at >= (uint64_t)MD_WORDS * WORD_BYTES; at += WORD_BYTES)
            if (is_moduledata(image, at))
                return at;
    }
    return 0;
}

static int read_moduledata(const struct image *image, uint64_t at, struct oh_go_runtime *out)
{
    uint64_t header = word(at, MD_HEADER);
    bool is_old = word(header, 0) == magic_1_18;
    out->moduledata = at;
    out->tables = is_old ? OH_GO_TABLES_1_18 : OH_GO_TABLES_1_20;
    out->text = word(at, MD_TEXT);
    out->etext = word(at, MD_ETEXT);
    out->pclntab = header;
    out->pclntab_end = segment_end(image, header, WORD_BYTES);
    if (out->text >= out->etext || !segment_end(image, out->text, out->etext - out->text))
        return -EINVAL;
    // The last part of the table is a slice in moduledata; its end is the table's.
    uint64_t functions = word(at, MD_FUNCTIONS);
    uint64_t length = word(at, MD_FUNCTIONS_LENGTH);
    if (functions > header && functions <= out->pclntab_end &&
        length <= out->pclntab_end - functions)
        out->pclntab_end = functions + length;
    // Both ends: one call of the loader mapped what is between them, and the runtime reads it at
    // every growth of a stack. A test of each page would be thousands of system calls, and bring
    // all in.
    if (!oh_readable_range(header, WORD_BYTES) || !oh_readable_range(out->pclntab_end - 1, 1))
        return -EINVAL;
    out->gofunc = word(at, is_old ? MD_GOFUNC_1_18 : MD_GOFUNC_1_20);
    out->gofunc_end = segment_end(image, out->gofunc, WORD_BYTES);
    if (out->gofunc_end == 0)
        out->gofunc = 0;
    return 0;
}

static const char *const function_names[] = {
#define OH_GO_FUNCTION_NAME(constant, name) name,
    OH_GO_FUNCTIONS(OH_GO_FUNCTION_NAME)
#undef OH_GO_FUNCTION_NAME
};

static int find_functions(struct oh_go_runtime *runtime)
{
    struct oh_pclntab_src src = {
        .tab = (const void *)(uintptr_t)runtime->pclntab,
        .tab_len = (size_t)(runtime->pclntab_end - runtime->pclntab),
        .text = runtime->text,
        .etext = runtime->etext,
    };
    struct oh_pclntab table;
    int rc = oh_pclntab_open(&table, &src);
    if (rc < 0)
        return rc;
    struct oh_go_range(*ranges)[2] = runtime->function;
    oh_pclntab_find_names(&table, function_names, OH_GO_FUNCTION_COUNT, ranges);
    for (unsigned i = 0; i < OH_GO_FUNCTION_COUNT; i++)
        for (unsigned n = 0; n < 2; n++)
            if (ranges[i][n].begin < runtime->text || ranges[i][n].end > runtime->etext)
                ranges[i][n] = (struct oh_go_range){0, 0};
    return 0;
}

static void find_special(struct oh_go_runtime *runtime)
{
    static const enum oh_go_function special[] = {
        OH_GO_GOEXIT,    OH_GO_MSTART,      OH_GO_RT0_GO,      OH_GO_MCALL,
        OH_GO_MORESTACK, OH_GO_SYSTEMSTACK, OH_GO_CGOCALLBACK, OH_GO_SIGTRAMP};
    runtime->special_begin = UINT64_MAX;
    for (unsigned i = 0; i < sizeof(special) / sizeof(special[0]); i++)
        for (unsigned n = 0; n < 2; n++) {
            struct oh_go_range range = runtime->function[special[i]][n];
            if (range.begin == 0)
                continue;
            if (range.begin < runtime->special_begin)
                runtime->special_begin = range.begin;
            if (range.end > runtime->special_end)
                runtime->special_end = range.end;
        }
    if (runtime->special_end == 0)
        runtime->special_begin = 0;
}

// asmcgocall begins its frame on the system stack with "sub $SIZE,%rsp; and $-16,%rsp;
// mov %rdi,G(%rsp)", and later "mov %rdi,DEPTH(%rsp)". Go 1.22 made the frame smaller.
static const struct {
    uint8_t code[13];
    uint16_t depth;
    uint16_t g;
} asmcgocall_layouts[] = {
    {{0x48, 0x83, 0xec, 0x40, 0x48, 0x83, 0xe4, 0xf0, 0x48, 0x89, 0x7c, 0x24, 0x30}, 40, 48},
    {{0x48, 0x83, 0xec, 0x10, 0x48, 0x83, 0xe4, 0xf0, 0x48, 0x89, 0x7c, 0x24, 0x08}, 0, 8},
};

enum { ASMCGOCALL_LAYOUT_COUNT = sizeof(asmcgocall_layouts) / sizeof(asmcgocall_layouts[0]) };

static void find_asmcgocall_layout(struct oh_go_runtime *runtime)
{
    // "push %rbp; mov %rsp,%rbp".
    static const uint8_t frame_code[] = {0x55, 0x48, 0x89, 0xe5};
    for (unsigned n = 0; n < 2; n++) {
        struct oh_go_range range = runtime->function[OH_GO_ASMCGOCALL][n];
        if (range.begin == 0)
            continue;
        const uint8_t *code = (const uint8_t *)(uintptr_t)range.begin;
        size_t size = (size_t)(range.end - range.begin);
        for (unsigned l = 0; l < ASMCGOCALL_LAYOUT_COUNT; l++) {
            size_t pattern = sizeof(asmcgocall_layouts[l].code);
            if (size < pattern || !memmem(code, size, asmcgocall_layouts[l].code, pattern))
                continue;
            runtime->asmcgocall_depth = asmcgocall_layouts[l].depth;
            runtime->asmcgocall_g = asmcgocall_layouts[l].g;
            runtime->asmcgocall_known = 1;
            runtime->asmcgocall_frame = memcmp(code, frame_code, sizeof(frame_code)) == 0;
            return;
        }
    }
}

static bool has_call_frame_information(const struct image *image)
{
    for (unsigned i = 0; i < image->phdr_count; i++) {
        if (image->phdrs[i].p_type == PT_GNU_EH_FRAME)
            return true;
    }
    return false;
}

int oh_go_runtime_find(uint64_t bias, const Elf64_Phdr *phdrs, unsigned phdr_count,
                       struct oh_go_runtime *out)
{
    struct image image = {bias, phdrs, phdr_count};
    uint64_t moduledata = find_moduledata(&image);
    if (moduledata == 0)
        return -ENOENT;
    struct oh_go_runtime runtime;
    memset(&runtime, 0, sizeof(runtime));
    int rc = read_moduledata(&image, moduledata, &runtime);
    if (rc < 0)
        return rc;
    if (find_functions(&runtime) < 0)
        return -EINVAL;
    find_special(&runtime);
    find_asmcgocall_layout(&runtime);
    runtime.internally_linked = !has_call_frame_information(&image);
    *out = runtime;
    return 0;
}

int oh_go_runtime_add(const struct oh_go_runtime *runtime)
{
    for (unsigned i = 0; i < OH_GO_RUNTIME_MAX; i++) {
        uint64_t owner = 0;
        if (oh_cas_acq_rel(&entries[i].owner, &owner, runtime->moduledata)) {
            entries[i].runtime = *runtime;
            oh_store_release(&entries[i].ready, 1);
            return 0;
        }
        if (owner == runtime->moduledata)
            return -EEXIST;
    }
    return -ENOSPC;
}

const struct oh_go_runtime *oh_go_runtime_at(uint64_t pc)
{
    for (unsigned i = 0; i < OH_GO_RUNTIME_MAX && oh_load_relaxed(&entries[i].owner); i++) {
        const struct oh_go_runtime *runtime = &entries[i].runtime;
        if (oh_load_acquire(&entries[i].ready) &&
            pc - runtime->text < runtime->etext - runtime->text)
            return runtime;
    }
    return NULL;
}

const struct oh_go_runtime *oh_go_runtime_get(unsigned n)
{
    if (n >= OH_GO_RUNTIME_MAX || !oh_load_acquire(&entries[n].ready))
        return NULL;
    return &entries[n].runtime;
}
