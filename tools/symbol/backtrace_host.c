// SPDX-License-Identifier: Apache-2.0
//
// See backtrace_host.h. libbacktrace is made for the process that it runs in: it reads one file by
// name and asks dl_iterate_phdr for the load address of it and for the other modules. The wrapper
// below answers with load address 0 for the one file and names no other module; so its PCs are ELF
// addresses of that file.

#include "symbol/backtrace_host.h"

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <backtrace.h>

static struct oh_backtrace_host *inside; // The one that libbacktrace is at work for.

typedef int phdr_fn(struct dl_phdr_info *info, size_t size, void *arg);
int __real_dl_iterate_phdr(phdr_fn *fn, void *arg);
int __wrap_dl_iterate_phdr(phdr_fn *fn, void *arg);

int __wrap_dl_iterate_phdr(phdr_fn *fn, void *arg)
{
    if (inside == NULL)
        return __real_dl_iterate_phdr(fn, arg);
    struct dl_phdr_info itself = {.dlpi_name = ""};
    return fn(&itself, sizeof itself, arg);
}

typedef int compare_fn(const void *a, const void *b);
void __wrap_backtrace_qsort(void *base, size_t count, size_t size, compare_fn *compare);

static bool is_sorted(const uint8_t *base, size_t count, size_t size, compare_fn *compare)
{
    for (size_t i = 1; i < count; i++) {
        if (compare(base + (i - 1) * size, base + i * size) > 0)
            return false;
    }
    return true;
}

// libbacktrace sorts by a quicksort of its own, byte by byte, since it must do without malloc where
// it is made for. Here it may have the C library's; and most of what it sorts is in order.
void __wrap_backtrace_qsort(void *base, size_t count, size_t size, compare_fn *compare)
{
    if (count > 1 && !is_sorted(base, count, size, compare))
        qsort(base, count, size, compare);
}

// libbacktrace maps its memory in small pieces and looks through a list for each that it gives
// back; some thirty exports by one process would use up the mappings that a process may have. Here
// it has malloc, and a host has a list of what is to be freed. Of a vector (libbacktrace's
// internal.h) `alc` is the room behind `size`.
struct backtrace_vector {
    void *base;
    size_t size;
    size_t alc;
};

void *__wrap_backtrace_alloc(struct backtrace_state *state, size_t size,
                             backtrace_error_callback error, void *data);
void __wrap_backtrace_free(struct backtrace_state *state, void *block, size_t size,
                           backtrace_error_callback error, void *data);
void *__wrap_backtrace_vector_grow(struct backtrace_state *state, size_t size,
                                   backtrace_error_callback error, void *data,
                                   struct backtrace_vector *vector);
void *__wrap_backtrace_vector_finish(struct backtrace_state *state, struct backtrace_vector *vector,
                                     backtrace_error_callback error, void *data);
int __wrap_backtrace_vector_release(struct backtrace_state *state, struct backtrace_vector *vector,
                                    backtrace_error_callback error, void *data);

static struct oh_backtrace_held *head_of(void *block)
{
    return block == NULL ? NULL : (struct oh_backtrace_held *)block - 1;
}

// A block of this size, with what the old one held, which is gone then. NULL: nothing has changed.
static void *hold(void *old, size_t size)
{
    struct oh_backtrace_held *const before = head_of(old);
    if (size > SIZE_MAX - sizeof *before)
        return NULL;
    struct oh_backtrace_held *const block = realloc(before, sizeof *block + size);
    if (block == NULL)
        return NULL;
    if (before == NULL) {
        block->next = inside->held.next;
        block->previous = &inside->held;
    }
    block->next->previous = block;
    block->previous->next = block;
    return block + 1;
}

static void let_go(void *block)
{
    struct oh_backtrace_held *const head = head_of(block);
    if (head == NULL)
        return;
    head->next->previous = head->previous;
    head->previous->next = head->next;
    free(head);
}

void *__wrap_backtrace_alloc(struct backtrace_state *state, size_t size,
                             backtrace_error_callback error, void *data)
{
    (void)state;
    void *block = hold(NULL, size);
    if (block == NULL && error != NULL)
        error(data, "malloc", ENOMEM);
    return block;
}

void __wrap_backtrace_free(struct backtrace_state *state, void *block, size_t size,
                           backtrace_error_callback error, void *data)
{
    (void)state;
    (void)size;
    (void)error;
    (void)data;
    let_go(block);
}

void *__wrap_backtrace_vector_grow(struct backtrace_state *state, size_t size,
                                   backtrace_error_callback error, void *data,
                                   struct backtrace_vector *vector)
{
    (void)state;
    if (size > vector->alc) {
        size_t room = vector->size + (size > vector->size ? size : vector->size) + 256;
        void *base = hold(vector->base, room);
        if (base == NULL) {
            error(data, "realloc", ENOMEM);
            return NULL;
        }
        vector->base = base;
        vector->alc = room - vector->size;
    }
    void *grown = (char *)vector->base + vector->size;
    vector->size += size;
    vector->alc -= size;
    return grown;
}

int __wrap_backtrace_vector_release(struct backtrace_state *state, struct backtrace_vector *vector,
                                    backtrace_error_callback error, void *data)
{
    (void)state;
    (void)error;
    (void)data;
    vector->alc = 0;
    if (vector->size == 0) {
        let_go(vector->base);
        vector->base = NULL;
        return 1;
    }
    void *base = hold(vector->base, vector->size);
    if (base != NULL) // Else it stays as large as it is.
        vector->base = base;
    return 1;
}

void *__wrap_backtrace_vector_finish(struct backtrace_state *state, struct backtrace_vector *vector,
                                     backtrace_error_callback error, void *data)
{
    (void)__wrap_backtrace_vector_release(state, vector, error, data);
    void *base = vector->base;
    *vector = (struct backtrace_vector){0};
    return base;
}

void oh_backtrace_host_init(struct oh_backtrace_host *host)
{
    host->held.next = host->held.previous = &host->held;
}

void oh_backtrace_host_fini(struct oh_backtrace_host *host)
{
    while (host->held.next != &host->held)
        let_go(host->held.next + 1);
}

void oh_backtrace_host_enter(struct oh_backtrace_host *host)
{
    inside = host;
}

void oh_backtrace_host_leave(void)
{
    inside = NULL;
}
