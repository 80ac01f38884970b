// SPDX-License-Identifier: Apache-2.0
#include "track/owner.h"

#include <dlfcn.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "capture/go_runtime.h"
#include "capture/readable.h"
#include "capture/unwind_c.h"
#include "offheap/format.h"

enum {
    ALLOCATORS = 64,
    GO_CALLERS = 16,
    DIRECT_DEPTH = 2,     // x_cgo_mmap and runtime.callCgoMmap.
    GO_SEARCH_WORDS = 14, // Of the stack, where x_cgo_mmap cannot be unwound: without optimisation
                          // its frame has ten.
    WORD_BYTES = 8,
};

static struct {
    uint64_t allocator_count; // Claimed; may run past ALLOCATORS.
    struct allocator {
        uint64_t begin;
        uint64_t end; // Stored last; 0: not yet.
    } allocators[ALLOCATORS];
    uint64_t go_caller_count;
    uint64_t go_callers[GO_CALLERS]; // Return addresses in x_cgo_mmap. Go code is never unloaded.
} OH_OWN_LINES owner;

bool oh_owner_add_allocator(uint64_t begin, uint64_t end)
{
    uint64_t slot = oh_add_relaxed(&owner.allocator_count, 1);
    if (slot >= ALLOCATORS)
        return false;
    oh_store_relaxed(&owner.allocators[slot].begin, begin);
    oh_store_release(&owner.allocators[slot].end, end);
    return true;
}

// libc's own maps do not come here, and a program that brings its own malloc is more than that.
static bool is_more(uint64_t code, const uint64_t libc[OH_OWNER_LIBC])
{
    for (int i = 0; i < OH_OWNER_LIBC; i++) {
        if (oh_unwind_c_is_one_module(code, libc[i]))
            return true;
    }
    return oh_unwind_c_is_one_module(code, getauxval(AT_PHDR)) ||
           oh_unwind_c_is_one_module(code, (uint64_t)(uintptr_t)&owner);
}

static void add_module_of(uint64_t code, const uint64_t libc[OH_OWNER_LIBC])
{
    struct oh_c_module module;
    if (code != 0 && oh_unwind_c_find_module(code, &module) == 0 && !is_more(code, libc))
        (void)oh_owner_add_allocator(module.begin, module.end);
}

void oh_owner_init(uint64_t next_malloc, const uint64_t libc[OH_OWNER_LIBC])
{
    uint64_t first_malloc = (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "malloc");
    add_module_of(next_malloc, libc);
    if (first_malloc != next_malloc)
        add_module_of(first_malloc, libc);
}

static bool is_allocator(uint64_t pc)
{
    uint64_t count = oh_load_relaxed(&owner.allocator_count);
    for (uint64_t i = 0; i < count && i < ALLOCATORS; i++) {
        uint64_t end = oh_load_acquire(&owner.allocators[i].end);
        uint64_t begin = oh_load_relaxed(&owner.allocators[i].begin);
        if (end != 0 && pc - 1 - begin < end - begin)
            return true;
    }
    return false;
}

static bool is_go_caller(uint64_t pc)
{
    for (int i = 0; i < GO_CALLERS; i++) {
        if (oh_load_relaxed(&owner.go_callers[i]) == pc)
            return true;
    }
    return false;
}

static void remember_go_caller(uint64_t pc)
{
    uint64_t slot = oh_add_relaxed(&owner.go_caller_count, 1);
    if (slot < GO_CALLERS)
        oh_store_relaxed(&owner.go_callers[slot], pc);
}

uint8_t oh_owner_of_caller(uint64_t pc)
{
    if (is_allocator(pc))
        return OH_KIND_ALLOCATOR;
    return is_go_caller(pc) ? OH_KIND_GO_RUNTIME : 0;
}

static bool is_runtimes_mmap(uint64_t pc)
{
    const struct oh_go_runtime *runtime = oh_go_runtime_at(pc);
    return runtime != NULL && (oh_go_runtime_in(runtime, OH_GO_CGO_MMAP, pc) ||
                               oh_go_runtime_in(runtime, OH_GO_CGO_MUNMAP, pc));
}

// x_cgo_mmap has no call frame information: its caller is looked for on the stack, above a frame of
// a few words. Other C code is called through asmcgocall.
static bool lies_below_runtimes_mmap(uint64_t sp)
{
    struct oh_readable *stack = oh_readable_begin(sp);
    for (uint64_t i = 0; i < GO_SEARCH_WORDS; i++) {
        uint64_t word;
        if (!oh_readable_word(stack, sp + i * WORD_BYTES, &word))
            return false;
        if (is_runtimes_mmap(word))
            return true;
        const struct oh_go_runtime *runtime = oh_go_runtime_at(word);
        if (runtime != NULL && oh_go_runtime_in(runtime, OH_GO_ASMCGOCALL, word))
            return false;
    }
    return false;
}

// `direct` when nothing lies between the runtime's function and the call: then whatever is called
// from there is the runtime's doing. Else it may be a library that passes on everybody's calls, or
// a signal handler that came just then.
static bool is_go_stack(const uint64_t *pcs, uint32_t depth, uint64_t sp, bool *direct)
{
    *direct = depth >= DIRECT_DEPTH && is_runtimes_mmap(pcs[1]);
    if (*direct)
        return true;
    // Not for good: a word of the stack may be left over from another call.
    if (depth == 1 || oh_go_runtime_at(pcs[0]) != NULL)
        return oh_go_runtime_get(0) != NULL && lies_below_runtimes_mmap(sp);
    for (uint32_t i = DIRECT_DEPTH; i < depth; i++) {
        if (is_runtimes_mmap(pcs[i]))
            return true;
    }
    return false;
}

uint8_t oh_owner_of_stack(const uint64_t *pcs, uint32_t depth, uint64_t sp)
{
    bool direct;
    if (depth != 0 && is_go_stack(pcs, depth, sp, &direct)) {
        if (direct)
            remember_go_caller(pcs[0]);
        return OH_KIND_GO_RUNTIME;
    }
    for (uint32_t i = 0; i < depth; i++) {
        if (is_allocator(pcs[i]))
            return OH_KIND_ALLOCATOR;
    }
    return 0;
}
