// SPDX-License-Identifier: Apache-2.0
#include "hooks/go_entry.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/atomic.h"
#include "hooks/go_stubs.h"
#include "patch/code.h"

enum { WORD_BYTES = 8, DISPLACEMENT_BYTES = 4 };

static uint64_t installed;

// Whether the executable has a word of data, not code, at address.
static bool is_data_word(uint64_t address, uint64_t bias, const Elf64_Phdr *phdrs,
                         unsigned phdr_count)
{
    for (unsigned i = 0; i < phdr_count; i++) {
        uint64_t begin = bias + phdrs[i].p_vaddr;
        if (phdrs[i].p_type == PT_LOAD && !(phdrs[i].p_flags & PF_X) && (phdrs[i].p_flags & PF_R) &&
            address >= begin && address - begin < phdrs[i].p_filesz &&
            phdrs[i].p_filesz - (address - begin) >= WORD_BYTES)
            return true;
    }
    return false;
}

static uint64_t load(uint64_t address)
{
    uint64_t value;
    memcpy(&value, (const void *)(uintptr_t)address, sizeof(value));
    return value;
}

// runtime.main reaches main.main through a word at a place relative to its own code. Every four
// bytes of that code are tried as such a displacement; the word must hold main.main's entry.
static int find_word(const struct oh_go_range *code, uint64_t main_main, uint64_t bias,
                     const Elf64_Phdr *phdrs, unsigned phdr_count, uint64_t *out)
{
    uint64_t found = 0;
    for (uint64_t at = code->begin; at + DISPLACEMENT_BYTES <= code->end; at++) {
        int32_t displacement;
        memcpy(&displacement, (const void *)(uintptr_t)at, sizeof(displacement));
        uint64_t target = at + DISPLACEMENT_BYTES + (uint64_t)(int64_t)displacement;
        if (target % WORD_BYTES != 0 || !is_data_word(target, bias, phdrs, phdr_count) ||
            load(target) != main_main)
            continue;
        if (found != 0 && found != target)
            return -EMLINK;
        found = target;
    }
    if (found == 0)
        return -ENOENT;
    *out = found;
    return 0;
}

int oh_go_entry_install(const struct oh_go_runtime *runtime, uint64_t bias, const Elf64_Phdr *phdrs,
                        unsigned phdr_count)
{
    const struct oh_go_range *main_main = runtime->function[OH_GO_MAIN_MAIN];
    const struct oh_go_range *caller = runtime->function[OH_GO_RUNTIME_MAIN];
    if (oh_load_relaxed(&installed))
        return -EALREADY;
    if (main_main[0].begin == 0 || main_main[1].begin != 0 || caller[0].begin == 0 ||
        caller[1].begin != 0)
        return -ENOENT;
    uint64_t word;
    int rc = find_word(&caller[0], main_main[0].begin, bias, phdrs, phdr_count, &word);
    if (rc < 0)
        return rc;
    oh_go_entry_target = main_main[0].begin;
    uint64_t stub = (uint64_t)(uintptr_t)&oh_go_entry_stub;
    rc = oh_code_write(word, &main_main[0].begin, &stub, sizeof(stub));
    if (rc == 0)
        oh_store_relaxed(&installed, 1);
    return rc;
}

enum oh_go_entry_state oh_go_entry_state(void)
{
    if (!oh_load_relaxed(&installed))
        return OH_GO_ENTRY_UNKNOWN;
    return oh_load_relaxed(&oh_go_entry_flag) ? OH_GO_ENTRY_BEGAN : OH_GO_ENTRY_BEFORE;
}
