// SPDX-License-Identifier: Apache-2.0
//
// Residency for the profile's writer.

#include "memory/residency.h"

#include <errno.h>

int oh_residency_open(const char *root, pid_t pid, struct oh_residency_source *source,
                      struct oh_err *err)
{
    int result = oh_smaps_read(root, pid, &source->smaps);
    if (result == 0) {
        result = oh_pages_open(root, pid, &source->smaps, &source->pages);
        if (result < 0) {
            oh_smaps_fini(&source->smaps);
        }
    }
    if (result == -ESRCH) {
        return oh_err_set(err, result, "process %d has ended", (int)pid);
    }
    if (result == -ENOMEM) {
        return oh_err_no_memory(err);
    }
    if (result < 0 || !oh_pages_has_map(&source->pages)) {
        if (result == 0) {
            oh_residency_close(source);
        }
        return oh_err_set(
            err, -EACCES,
            "process %d: which of its pages are resident (/proc/%d/pagemap) may not "
            "be read\ntry: the same command as the user of that process, or with sudo",
            (int)pid, (int)pid);
    }
    return 0;
}

void oh_residency_close(struct oh_residency_source *source)
{
    oh_pages_close(&source->pages);
    oh_smaps_fini(&source->smaps);
}

void oh_residency_measure(void *arg, uint64_t address, uint64_t size, double bytes,
                          double residency[OH_RESIDENCY_COUNT])
{
    struct oh_residency_source *const source = arg;
    if (size == 0 || address + size < address) {
        return;
    }
    const struct oh_residency found = oh_pages_count(&source->pages, address, address + size);
    const double each = bytes / (double)size; // What a byte stands for.
    residency[OH_RESIDENCY_RESIDENT] += each * (double)found.resident;
    residency[OH_RESIDENCY_SWAPPED] += each * (double)found.swapped;
}
