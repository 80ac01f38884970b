// SPDX-License-Identifier: Apache-2.0
//
// The word that liboffheap.so exports as `offheap_status`, for `offheap list`: it is read out of
// the process's memory when there is no recording that could tell. Plain 32-bit stores.

#ifndef OFFHEAP_STATUS_H
#define OFFHEAP_STATUS_H

#include <stdint.h>

#define OH_STATUS_MAGIC UINT32_C(0x4f484541)

struct oh_status {
    uint32_t magic;      // OH_STATUS_MAGIC.
    uint32_t state;      // enum oh_format_state.
    uint32_t off_reason; // enum oh_format_off_reason.
    uint32_t off_errno;
};

_Static_assert(sizeof(struct oh_status) == 16, "status");

#endif
