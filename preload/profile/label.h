// SPDX-License-Identifier: Apache-2.0
//
// What a stack says of the moment and the purpose of its allocations: phase (init, main, unknown),
// kind (malloc, thread, mmap and its like) and the package whose initialisation runs, from the
// names of its frames and what the library noted. Pure functions over texts; nothing is kept, any
// thread. Host-safe.

#ifndef OH_PROFILE_LABEL_H
#define OH_PROFILE_LABEL_H

#include <stddef.h>
#include <stdint.h>

enum { OH_LABEL_PACKAGE_MAX = 1024 };

struct oh_label_frame {
    const char *name; // As shown, leaf first; inlined calls are frames of their own.
    uint32_t length;
    uint32_t flags; // enum oh_symbol_frame_flag.
    uint32_t roles; // oh_label_roles() of the three above, which callers may keep per function.
};

struct oh_label_stack {
    const struct oh_label_frame *frames;
    size_t count;
    uint8_t phase; // enum oh_stack_phase, as recorded.
    uint8_t kind;  // enum oh_stack_kind, as recorded.
    uint8_t end;   // enum oh_stack_end, as recorded.
};

struct oh_labels {
    const char *kind;                   // "malloc", "thread", or oh_kind_name() of what is mapped.
    const char *phase;                  // "init", "main", "unknown".
    size_t package_len;                 // 0: the sample has no init_package.
    char package[OH_LABEL_PACKAGE_MAX]; // Import path, or "[constructor]", "[thread]".
};

// What the name means for the labels: bits that only this module knows.
uint32_t oh_label_roles(const char *name, size_t length, uint32_t flags);

void oh_label_stack(const struct oh_label_stack *stack, struct oh_labels *labels);

// The import path of a Go function's name: `a.b/c%2ed.(*T).M` -> `a.b/c.d`. Returns its length, 0
// when the name has none or the buffer is too small.
size_t oh_label_go_package(const char *name, size_t length, char *package, size_t size);

#endif
