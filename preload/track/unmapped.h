// SPDX-License-Identifier: Apache-2.0
//
// What a failed call of the mmap family has unmapped nevertheless. A map with MAP_FIXED empties its
// place before the file's own code is asked, which may refuse; mremap empties the place that it is
// to move to, and may cut its source, before it looks at it. Older systems fail late for more
// reasons. Only the system knows, and is asked by a call of mmap that never maps: with
// MAP_FIXED_NOREPLACE it tells that something is there (EEXIST) before it finds that the call makes
// no sense (EINVAL). Systems before 4.17 do not tell, and one that has confined itself is not asked
// (base/sandbox: a filter may look at a call's flags): then nothing has changed.
//
// Any thread, any time. errno is never changed. Bounded.

#ifndef OH_TRACK_UNMAPPED_H
#define OH_TRACK_UNMAPPED_H

#include <stdbool.h>
#include <stdint.h>

#include "track/mapping.h"

// Whether the system can be asked, and tells.
bool oh_unmapped_can_tell(void);

// Whether nothing is mapped in [begin, end); false when that cannot be told.
bool oh_unmapped_everywhere(uint64_t begin, uint64_t end);

// Ends the removal that was begun before a call that failed, of [begin, end): what is not mapped
// any more is removed, in parts perhaps.
void oh_unmapped_settle(const struct oh_mapping_removal *removal, uint64_t begin, uint64_t end);

#endif
