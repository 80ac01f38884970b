// SPDX-License-Identifier: Apache-2.0
#include "support/tracking.h"

#include <errno.h>

#include "base/attr.h"
#include "base/thread.h"
#include "capture/budget.h"
#include "capture/modules.h"
#include "capture/sampler.h"
#include "capture/unwind.h"
#include "recording/recording.h"
#include "support/child.h"
#include "track/mapping.h"
#include "track/timeline.h"
#include "track/track.h"

static uint8_t phase_now = OH_PHASE_MAIN;

static uint8_t tell_phase(void)
{
    errno = 55; // Whatever is called below a hook may do so.
    return phase_now;
}

void oh_tracking_set_phase(uint8_t phase)
{
    phase_now = phase;
}

static const struct oh_budget_clocks *clocks;

void oh_tracking_set_clocks(const struct oh_budget_clocks *fake)
{
    clocks = fake;
}

static const struct oh_timeline_ops *timeline_ops;

void oh_tracking_set_timeline(const struct oh_timeline_ops *fake)
{
    timeline_ops = fake;
}

void oh_tracking_start(const struct oh_config *config)
{
    oh_tables_begin(config);
    struct oh_format_header *header = oh_recording_header();
    if (header->budget.ppm != 0)
        oh_budget_init(header, clocks);
    else
        oh_sampler_init(header->sample_bytes, header->weight_shift);
    oh_unwind_init();
    oh_modules_init();
    oh_mapping_start(header, tell_phase);
    oh_timeline_start(header, config->timeline, timeline_ops);
    oh_track_start(header, tell_phase);
}

void oh_tracking_start_exact(const char *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    oh_tracking_start(&config);
}

void oh_tracking_start_sampled(const char *dir, uint64_t sample_bytes)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    config.exact = false;
    config.sample_bytes = sample_bytes;
    oh_tracking_start(&config);
}

void *oh_tracking_address(uint64_t n)
{
    return (void *)(UINT64_C(0x7e0000000000) + n * 64);
}

// As a hook does it, without a real allocator. All from one line: one stack.
OH_NOINLINE bool oh_tracking_allocate(uint64_t n, uint64_t size)
{
    struct oh_track_call call;
    if (size < oh_thread_self.countdown) {
        oh_thread_self.countdown -= size;
        return false;
    }
    if (!oh_track_begin(&call, size))
        return false;
    oh_track_end(&call, NULL, n == 0 ? NULL : oh_tracking_address(n), size);
    return true;
}

struct oh_tables_sum oh_tracking_sum(void)
{
    struct oh_tables_sum sum;
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(oh_tables_sum(base, size, &sum) == 0);
    oh_require_equal(sum.damaged, 0);
    return sum;
}
