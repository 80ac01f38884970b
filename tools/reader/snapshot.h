// SPDX-License-Identifier: Apache-2.0
//
// Copies the bytes of a recording into memory, also while its process writes it: the process is
// neither stopped nor slowed. Holes are not read, so a sparse file of 64 GiB costs what it holds.
//
// Why the copy is consistent. The writer publishes from the inside out: strings, then modules, then
// stacks, then index words, live blocks and maps that refer to them. The copy goes the other way
// round, what refers before what is referred to, each with the levels that the file has by then,
// and the header last; so nothing that was copied refers to something that was not yet there. The
// maps are copied again when their table was changed for another one meanwhile. Two counters of one
// stack may be read with an event between them. Steps carry a check, and one that was written
// meanwhile is left out. What a profile of such a copy promises: FORMAT.md,
// "consistent".

#ifndef OH_READER_SNAPSHOT_H
#define OH_READER_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct oh_snapshot {
    void *bytes;       // NULL when the file is empty.
    size_t size;       // Of the file when the copy was complete.
    uint64_t taken_ns; // CLOCK_REALTIME when the copy began.
    uint64_t mtime_ns; // Of the file then.
};

// name is for the messages only. The descriptor stays the caller's.
int oh_snapshot_take(int fd, const char *name, struct oh_snapshot *snapshot, struct oh_err *err);
void oh_snapshot_fini(struct oh_snapshot *snapshot);

#endif
