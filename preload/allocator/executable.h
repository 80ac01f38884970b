// SPDX-License-Identifier: Apache-2.0
//
// A jemalloc that is linked into the executable, by the symbols of its file. No state; while the
// library comes up.

#ifndef OH_ALLOCATOR_EXECUTABLE_H
#define OH_ALLOCATOR_EXECUTABLE_H

#include <stdint.h>

#include "profile/allocator.h"

// What oh_allocator_find answers (-ENODATA also when the file cannot be read). 0: *symbols has
// addresses, for an executable that was loaded at `base`, and only such operators of C++ as are
// jemalloc's.
int oh_executable_find(uint64_t base, struct oh_allocator_symbols *symbols);

#endif
