// SPDX-License-Identifier: Apache-2.0
//
// The memory maps of this process, as the kernel lists them, lowest first. By system calls, with a
// small buffer on the stack; any thread. Maps that come or go meanwhile may be missed.

#ifndef OH_BASE_MAPS_H
#define OH_BASE_MAPS_H

#include <stdbool.h>
#include <stdint.h>

struct oh_map {
    uint64_t begin, end;
    bool readable;
};

// Calls `each` for every map. 0, or the negative error of reading the list.
int oh_maps_each(void (*each)(const struct oh_map *map, void *arg), void *arg);

#endif
