// SPDX-License-Identifier: Apache-2.0
#include "track/unmapped.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/sandbox.h"
#include "base/sys.h"

enum { PIECES = 64, PAGE_BYTES = 4096 };

static long answer_for(uint64_t begin, uint64_t end)
{
    // Neither shared nor private: refused after the place was looked at.
    return oh_sys_mmap((void *)(uintptr_t)begin, end - begin, PROT_NONE,
                       MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

bool oh_unmapped_can_tell(void)
{
    uint64_t here = (uint64_t)(uintptr_t)&here & ~(uint64_t)(PAGE_BYTES - 1);
    return !oh_sandbox_is_up() && answer_for(here, here + PAGE_BYTES) == -EEXIST;
}

bool oh_unmapped_everywhere(uint64_t begin, uint64_t end)
{
    return oh_unmapped_can_tell() && answer_for(begin, end) == -EINVAL;
}

// Noted before it is asked for: whoever maps there meanwhile comes later.
static void remove_if_gone(uint64_t begin, uint64_t end)
{
    struct oh_mapping_removal removal;
    oh_mapping_begin_removal(&removal, begin, end);
    oh_mapping_end_removal(&removal, oh_unmapped_everywhere(begin, end));
}

void oh_unmapped_settle(const struct oh_mapping_removal *removal, uint64_t begin, uint64_t end)
{
    bool gone = begin < end && oh_unmapped_everywhere(begin, end);
    oh_mapping_end_removal(removal, gone);
    for (int i = 0; i < PIECES && !gone && begin < end; i++) {
        struct oh_format_range piece;
        bool recorded = oh_mapping_find(begin, &piece) != 0;
        uint64_t stop = piece.end < end ? piece.end : end;
        if (recorded)
            remove_if_gone(begin, stop);
        begin = stop;
    }
}
