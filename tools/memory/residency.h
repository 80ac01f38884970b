// SPDX-License-Identifier: Apache-2.0
//
// What of a range of a live process is resident, as the profile's writer asks for it.

#ifndef OH_MEMORY_RESIDENCY_H
#define OH_MEMORY_RESIDENCY_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "process/pages.h"
#include "profile/model.h"

struct oh_residency_source {
    struct oh_smaps smaps;
    struct oh_pages pages;
};

// 0; -EACCES: the process's page map may not be read; -ENOMEM.
int oh_residency_open(const char *root, pid_t pid, struct oh_residency_source *source,
                      struct oh_err *err);
void oh_residency_close(struct oh_residency_source *source);

// arg: the source. For struct oh_writer_options.
void oh_residency_measure(void *arg, uint64_t address, uint64_t size, double bytes,
                          double residency[OH_RESIDENCY_COUNT]);

#endif
