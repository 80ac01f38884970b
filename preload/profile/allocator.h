// SPDX-License-Identifier: Apache-2.0
//
// Which allocator an executable holds in itself: jemalloc, linked statically, with a prefix before
// its names or without, is found by its symbols. Both sides use it: the library, to know which
// functions it must redirect, and the command, to tell before the program starts.
//
// Pure: reads the image, which need not be trusted. Any thread.

#ifndef OH_PROFILE_ALLOCATOR_H
#define OH_PROFILE_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/elf.h"

enum oh_allocator_shape {
    OH_SHAPE_ALLOC,           // The first argument is the size.
    OH_SHAPE_ALLOC_MANY,      // calloc
    OH_SHAPE_ALLOC_ALIGNED,   // The second argument is the size.
    OH_SHAPE_ALLOC_INTO,      // posix_memalign
    OH_SHAPE_RESIZE,          // The block, its size.
    OH_SHAPE_RESIZE_MANY,     // reallocarray
    OH_SHAPE_RESIZE_IN_PLACE, // xallocx
    OH_SHAPE_FREE,            // The first argument is the block.
    OH_SHAPE_CONTROL,         // mallctl: not redirected, but called.
    OH_SHAPE_COUNT
};

enum oh_allocator_function {
#define OH_ALLOCATOR_FUNCTION(name, arguments, shape) OH_ALLOCATOR_##name,
#define OH_ALLOCATOR_OPERATOR(name, arguments, shape) OH_ALLOCATOR_##name,
#include "profile/allocator.def"
#undef OH_ALLOCATOR_FUNCTION
#undef OH_ALLOCATOR_OPERATOR
    OH_ALLOCATOR_FUNCTIONS
};

struct oh_allocator_facts {
    const char *name; // Without prefix.
    bool has_prefix;  // False: an operator of C++.
    uint8_t arguments;
    uint8_t shape; // enum oh_allocator_shape.
};

enum { OH_ALLOCATOR_PREFIX_BYTES = 24, OH_ALLOCATOR_CODE_MAX = 32 };

struct oh_allocator_symbols {
    char prefix[OH_ALLOCATOR_PREFIX_BYTES];
    // Where functions with jemalloc's own names lie, public and internal ones, and what is between
    // near neighbours: functions of theirs without such names. In no order.
    struct oh_elf_span code[OH_ALLOCATOR_CODE_MAX];
    size_t code_count;
    bool is_taken_apart;  // Of one of the functions below there is another form, for some callers.
    unsigned other_forms; // How many of such there are, internal functions included.
    // ELF addresses (without load base), 0 and 0 where there is none.
    struct oh_elf_span function[OH_ALLOCATOR_FUNCTIONS];
};

const struct oh_allocator_facts *oh_allocator_facts(enum oh_allocator_function function);

// 0: *out is the jemalloc inside the image. -ENODATA: the image has no symbol table, so that it cannot
// be known. -ENOTSUP: there is one, whose functions link-time optimization has taken into their callers
// or made others of. -ENOENT: there is none, or all its names are local, among more than 65,536.
int oh_allocator_find(const struct oh_elf *elf, struct oh_allocator_symbols *out);

// Whether there is one that the function above does not look for, among so many symbols. That may take
// 20 ms.
bool oh_allocator_is_hidden(const struct oh_elf *elf);

// Whether the image holds jemalloc's messages, which no build leaves out: for one without symbols.
bool oh_allocator_has_messages(const struct oh_elf *elf);

#endif
