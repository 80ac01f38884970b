// SPDX-License-Identifier: Apache-2.0
//
// Has functions of this process run ours instead, whoever calls them and however: their first bytes
// become a jump. What stood there is moved (patch/relocate), so that ours can still call the function
// as it was. For functions that no preloaded symbol can stand before.
//
// The new code lies within a jump's reach of the functions, in pages that are first written and then
// made executable, never both. The jumps are written through /proc/self/mem (patch/code): no page of
// the host's code changes its protection.
//
// A function's caller must expect it to change every register that calls may change: who compiles both
// together may know better (gcc's -fipa-ra) of a function that calls no other module's. An allocator's
// functions do.
//
// Only before any other thread can run the functions: from our constructor, or while the loader has
// not yet initialised the module. A function of which the jump is written stays redirected for the
// life of the process. No state; what is mapped for functions that are refused is not given back.

#ifndef OH_PATCH_REDIRECT_H
#define OH_PATCH_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/relocate.h"

enum { OH_REDIRECT_ARGUMENTS_MAX = 5, OH_REDIRECT_FUNCTIONS_MAX = 64 };
// In place of a number of arguments: the hook is called as the function, and does not ask for it.
enum { OH_REDIRECT_FOR_GOOD = OH_REDIRECT_ARGUMENTS_MAX + 1 };

struct oh_redirect {
    struct oh_function function;
    uint8_t arguments; // Of integer class, which the function takes: none is on the stack.
    // Called as the function, with one argument more: the function as it was, at its new place.
    const void *hook;
    uint8_t refusal;  // Out: enum oh_refusal.
    uint32_t jump_at; // For oh_redirect_apply.
    uint64_t entry;   // The same: where the new code begins that leads to the hook.
};

// Makes the code for all of them, without touching any: what cannot be done is refused one by one.
// At most OH_REDIRECT_FUNCTIONS_MAX at once, of one module.
void oh_redirect_prepare(struct oh_redirect *redirects, size_t count);

// Writes the jump of one that was prepared and not refused. OH_REFUSED_none: from here on the hook
// is called.
enum oh_refusal oh_redirect_apply(struct oh_redirect *redirect);

// Whether threads run that may be inside the functions.
bool oh_redirect_has_other_threads(void);

const char *oh_refusal_text(enum oh_refusal refusal);

#endif
