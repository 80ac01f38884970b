// SPDX-License-Identifier: Apache-2.0
#include "capture/readable.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "base/syscall_x86_64.h"

enum {
    PAGE_BITS = 12,
    PAGE_BYTES = 1 << PAGE_BITS,
    GO_PAGE_SLOTS = 4096,
    // A frame that is larger than this is not worth testing every page of it.
    GAP_PAGES_MAX = 64,
    // The same for the pages between a stack pointer and what is known of the thread's own stack:
    // the usual size of a stack, tested once in a thread's life.
    OWN_PAGES_MAX = 2048,
    SIGNAL_SET_BYTES = 8,
    NO_SUCH_OPERATION = -1
};

static const uint64_t word_bytes = sizeof(uint64_t);
static const uint64_t page_mask = PAGE_BYTES - 1;
// Programs run below this; above it an address is not canonical, or the kernel's.
static const uint64_t user_end = UINT64_C(1) << 47;

// What is known of the calling thread's own stack: [low, top) was readable, and top is the end of
// the fixed point's page. All 0 in a thread that has made no capture. hole: a page below low that
// was not readable when it was last tested.
struct own_stack {
    uint64_t low;
    uint64_t top;
    uint64_t hole;
};

static OH_THREAD_LOCAL struct own_stack own_stack;
static OH_THREAD_LOCAL struct oh_readable range;
static uint64_t go_pages[GO_PAGE_SLOTS];

// The kernel copies the new mask before it looks at the operation. (To it a mask at 0 is no mask.)
static bool page_is_readable(uint64_t address)
{
    if (address < PAGE_BYTES || address >= user_end)
        return false;
    uint64_t inside = address & ~page_mask;
    return oh_syscall6(SYS_rt_sigprocmask, NO_SUCH_OPERATION, (long)inside, 0, SIGNAL_SET_BYTES, 0,
                       0) != -EFAULT;
}

// The end of the page of the calling thread's fixed point. The first thread's control block is not
// on its stack, which is the one that the kernel made.
static uint64_t end_of_own_stack(void)
{
    bool first =
        oh_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0) == oh_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
    uint64_t fixed = first ? getauxval(AT_EXECFN) : (uint64_t)(uintptr_t)__builtin_thread_pointer();
    return (fixed & ~page_mask) + PAGE_BYTES;
}

// Whether sp turns out to be on the thread's own stack, which is then known down to there.
static OH_COLD OH_NOINLINE bool reaches_own_stack(struct own_stack *own, uint64_t sp)
{
    if (own->top == 0)
        own->low = own->top = end_of_own_stack();
    uint64_t first = sp & ~page_mask;
    uint64_t low = own->low;
    if (first >= low || (low - first) >> PAGE_BITS > OWN_PAGES_MAX)
        return false;
    if (own->hole >= first && own->hole < low && !page_is_readable(own->hole))
        return false;
    for (uint64_t page = first; page < low; page += PAGE_BYTES) {
        if (!page_is_readable(page)) {
            own->hole = page;
            return false;
        }
    }
    own->low = first;
    return true;
}

// A signal's stack may be a part of the own one.
bool oh_readable_is_own(uint64_t inner, uint64_t outer)
{
    const struct own_stack *own = &own_stack;
    stack_t signal_stack = {.ss_flags = SS_ONSTACK};
    if (inner < own->low || outer < inner || outer >= own->top)
        return false;
    (void)oh_syscall6(SYS_sigaltstack, 0, (long)&signal_stack, 0, 0, 0, 0);
    return (signal_stack.ss_flags & SS_ONSTACK) == 0;
}

struct oh_readable *oh_readable_self(void)
{
    return &range;
}

struct oh_readable *oh_readable_begin(uint64_t sp)
{
    struct own_stack *own = &own_stack;
    struct oh_readable *stack = &range;
    stack->begin = sp & ~page_mask;
    if (oh_likely(sp - own->low < own->top - own->low) || reaches_own_stack(own, sp)) {
        stack->end = own->top;
        stack->limit = own->top;
    } else {
        stack->end = stack->begin + PAGE_BYTES;
        stack->limit = user_end;
    }
    return stack;
}

bool oh_readable_grow(struct oh_readable *stack, uint64_t address)
{
    if (address < stack->end || address >= stack->limit ||
        (address - stack->end) >> PAGE_BITS >= GAP_PAGES_MAX)
        return false;
    while (stack->end <= address) {
        if (!page_is_readable(stack->end))
            return false;
        stack->end += PAGE_BYTES;
    }
    return true;
}

bool oh_readable_far_word(struct oh_readable *stack, uint64_t address, uint64_t *value)
{
    uint64_t last = address + word_bytes - 1;
    if (last < address)
        return false;
    if (address >= stack->begin && oh_readable_grow(stack, last)) {
        *value = oh_word_at(address);
        return true;
    }
    if (!oh_readable_range(address, word_bytes))
        return false;
    *value = oh_word_at(address);
    return true;
}

bool oh_readable_go_word(uint64_t address, uint64_t *value)
{
    if (address % word_bytes != 0 || address < PAGE_BYTES)
        return false;
    uint64_t page = address >> PAGE_BITS;
    uint64_t *slot = &go_pages[page % GO_PAGE_SLOTS];
    if (oh_unlikely(oh_load_relaxed(slot) != page)) {
        if (!page_is_readable(address))
            return false;
        oh_store_relaxed(slot, page);
    }
    *value = oh_word_at(address);
    return true;
}

bool oh_readable_range(uint64_t address, uint64_t size)
{
    if (size == 0)
        return true;
    uint64_t last = address + size - 1;
    if (last < address)
        return false;
    for (uint64_t page = address & ~page_mask; page <= last; page += PAGE_BYTES)
        if (!page_is_readable(page))
            return false;
    return true;
}
