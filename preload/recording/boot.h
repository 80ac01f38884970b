// SPDX-License-Identifier: Apache-2.0
//
// A small allocator for the calls that come before the real one is known (dlsym itself allocates):
// a bounded static arena that is never reused. Its blocks are recognised for ever. Lock-free, any
// thread; NULL with errno ENOMEM when the arena is used up.

#ifndef OH_RECORDING_BOOT_H
#define OH_RECORDING_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OH_BOOT_BYTES = 64 * 1024 };

bool oh_boot_owns(const void *block);
void *oh_boot_alloc(size_t align, size_t size); // Zeroed; align is a power of two.
size_t oh_boot_size(const void *block);         // As requested.
const void *oh_boot_start(void);
// Calls of the host, not of our own dlsym, that went by unrecorded while the library came up.
uint64_t oh_boot_calls(void);
void oh_boot_count_call(void);

#endif
