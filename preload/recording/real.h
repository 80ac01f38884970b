// SPDX-License-Identifier: Apache-2.0
//
// The functions that our hooks stand before: the next ones in the loader's order (libc's, or those
// of an allocator that was preloaded after us). All are resolved together, once. Until then the
// table holds functions that serve from the boot arena, so a hook can always call through it.
//
// oh_real_resolve may be called from any thread; one does the work, others meanwhile are served
// from the boot arena. What the system does not have keeps its boot function.

#ifndef OH_RECORDING_REAL_H
#define OH_RECORDING_REAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

typedef int oh_main_fn(int argc, char **argv, char **envp);

// What the fast paths call stands first: one cache line, in which nothing is written after the
// start.
struct oh_real {
    void *(*malloc)(size_t size);
    void (*free)(void *block);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    int (*posix_memalign)(void **out, size_t align, size_t size);
    void *(*aligned_alloc)(size_t align, size_t size);
    void *(*memalign)(size_t align, size_t size);
    size_t (*malloc_usable_size)(void *block);
    void *(*reallocarray)(void *block, size_t count, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
    int (*dlclose)(void *handle);
    void (*_exit)(int code); // Not called: hooks/leave makes the same system call.
    void (*_Exit)(int code);
    int (*__libc_start_main)(oh_main_fn *main, int argc, char **argv, void (*init)(void),
                             void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct oh_real, malloc_usable_size) + sizeof(void *) == 64,
               "the functions of the fast paths fill one cache line");

// Defined in real.c; an extern because the hooks' tail calls go straight through it.
extern struct oh_real oh_real OH_HIDDEN;

// True once the table holds the real functions.
bool oh_real_resolve(void);

#endif
