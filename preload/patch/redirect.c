// SPDX-License-Identifier: Apache-2.0
#include "patch/redirect.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "patch/code.h"
#include "patch/near.h"

enum { PAGE_BYTES = 4096, THUNK_BYTES = 32, WORD_BYTES = 8, FAR_JUMP_BYTES = 6 };

// The code of one function: its moved instructions, and the thunk, which loads their address into the
// next argument's register and goes on to the hook.
struct slot {
    uint8_t thunk[THUNK_BYTES];
    uint8_t moved[OH_RELOCATE_CODE_BYTES];
};

_Static_assert(sizeof(struct slot) == 128, "slots do not share a pair of cache lines");

static void write_thunk(struct slot *slot, unsigned arguments, const void *hook)
{
    // "movabs $MOVED,%reg" for rdi, rsi, rdx, rcx, r8 and r9.
    static const uint8_t load[OH_REDIRECT_ARGUMENTS_MAX + 1][2] = {
        {0x48, 0xbf}, {0x48, 0xbe}, {0x48, 0xba}, {0x48, 0xb9}, {0x49, 0xb8}, {0x49, 0xb9}};
    static const uint8_t jump[FAR_JUMP_BYTES] = {0xff, 0x25, 0, 0, 0, 0}; // To the word behind.
    const void *moved = slot->moved;
    uint8_t *out = slot->thunk;
    if (arguments != OH_REDIRECT_FOR_GOOD) {
        memcpy(out, load[arguments], sizeof load[0]);
        out += sizeof load[0];
        memcpy(out, &moved, WORD_BYTES);
        out += WORD_BYTES;
    }
    memcpy(out, jump, sizeof jump);
    out += sizeof jump;
    memcpy(out, &hook, WORD_BYTES);
}

static bool is_readable_code(const struct oh_redirect *redirect)
{
    return redirect->function.code != NULL && redirect->function.size <= redirect->function.room &&
           redirect->arguments <= OH_REDIRECT_FOR_GOOD;
}

static void prepare_one(struct oh_redirect *redirect, struct slot *slot)
{
    struct oh_relocated moved;
    enum oh_refusal refusal = OH_REFUSED_not_there;
    if (is_readable_code(redirect))
        refusal = oh_relocate(&redirect->function, (uint64_t)(uintptr_t)slot->moved, &moved);
    redirect->refusal = (uint8_t)refusal;
    if (refusal != OH_REFUSED_none)
        return;
    memcpy(slot->moved, moved.code, moved.code_bytes);
    write_thunk(slot, redirect->arguments, redirect->hook);
    redirect->jump_at = moved.jump_at;
    redirect->entry = (uint64_t)(uintptr_t)slot->thunk;
}

static void refuse(struct oh_redirect *redirects, size_t count, enum oh_refusal refusal)
{
    for (size_t i = 0; i < count; i++) {
        if (redirects[i].refusal == OH_REFUSED_none)
            redirects[i].refusal = (uint8_t)refusal;
    }
}

// From the first function's begin to the last one's end.
static void find_span(const struct oh_redirect *redirects, size_t count, uint64_t *begin,
                      uint64_t *end)
{
    *begin = UINT64_MAX;
    *end = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = redirects[i].function.address;
        if (at < *begin)
            *begin = at;
        if (at + redirects[i].function.size > *end)
            *end = at + redirects[i].function.size;
    }
}

void oh_redirect_prepare(struct oh_redirect *redirects, size_t count)
{
    uint64_t begin, end;
    for (size_t i = 0; i < count; i++)
        redirects[i].refusal = OH_REFUSED_none;
    if (count == 0 || count > OH_REDIRECT_FUNCTIONS_MAX) {
        refuse(redirects, count, OH_REFUSED_full);
        return;
    }
    find_span(redirects, count, &begin, &end);
    size_t bytes = (count * sizeof(struct slot) + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
    long mapped = oh_near_map(begin, end, bytes);
    if (oh_sys_failed(mapped)) {
        refuse(redirects, count, OH_REFUSED_no_memory);
        return;
    }
    struct slot *slots = (struct slot *)mapped;
    for (size_t i = 0; i < count; i++)
        prepare_one(&redirects[i], &slots[i]);
    if (oh_sys_mprotect(slots, bytes, PROT_READ | PROT_EXEC) < 0) {
        (void)oh_sys_munmap(slots, bytes);
        refuse(redirects, count, OH_REFUSED_no_memory);
    }
}

enum oh_refusal oh_redirect_apply(struct oh_redirect *redirect)
{
    uint8_t jump[OH_RELOCATE_JUMP_BYTES];
    uint8_t before[OH_RELOCATE_JUMP_BYTES];
    uint64_t at = redirect->function.address + redirect->jump_at;
    enum oh_refusal refusal = oh_relocate_jump(at, redirect->entry, jump);
    memcpy(before, redirect->function.code + redirect->jump_at, sizeof before);
    if (refusal == OH_REFUSED_none && oh_code_write(at, before, jump, sizeof jump) < 0)
        refusal = OH_REFUSED_write_failed;
    redirect->refusal = (uint8_t)refusal;
    return refusal;
}

bool oh_redirect_has_other_threads(void)
{
    enum { LINKS_ALONE = 3 }; // Of the directory of threads: two, and one for each.
    struct stat st;
    return oh_sys_stat("/proc/self/task", &st) == 0 && st.st_nlink > LINKS_ALONE;
}

const char *oh_refusal_text(enum oh_refusal refusal)
{
    static const char *const texts[OH_REFUSED_COUNT] = {
#define OH_REFUSAL(id, text) text,
#include "patch/refusals.def"
#undef OH_REFUSAL
    };
    return refusal < OH_REFUSED_COUNT ? texts[refusal] : "";
}
