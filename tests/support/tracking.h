// SPDX-License-Identifier: Apache-2.0
//
// Tracking without hooks: the real recording, tables, sampler and unwinder in the test's process,
// and calls as a hook makes them. Addresses of blocks are made up. Once per process.

#ifndef OH_SUPPORT_TRACKING_H
#define OH_SUPPORT_TRACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "capture/budget.h"
#include "support/tables.h"
#include "track/timeline.h"

void oh_tracking_start(const struct oh_config *config);
// In `dir`, bounded to 16 MiB.
void oh_tracking_start_exact(const char *dir);
void oh_tracking_start_sampled(const char *dir, uint64_t sample_bytes);

// Whose clocks a budget goes by, if one is configured; the system's without this.
void oh_tracking_set_clocks(const struct oh_budget_clocks *fake);

// Whom the time line asks; the system without this.
void oh_tracking_set_timeline(const struct oh_timeline_ops *fake);

// The phase that the recorder is told from now on. Whoever tells it changes errno.
void oh_tracking_set_phase(uint8_t phase);

void *oh_tracking_address(uint64_t n);
// An allocation of `size` bytes at the n-th address, or one that fails when n is 0: whether it took
// the slow path.
bool oh_tracking_allocate(uint64_t n, uint64_t size);

// What this process's recording holds now.
struct oh_tables_sum oh_tracking_sum(void);

#endif
