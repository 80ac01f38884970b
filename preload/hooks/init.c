// SPDX-License-Identifier: Apache-2.0
#include "hooks/init.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "allocator/allocator_stats.h"
#include "allocator/allocators.h"
#include "base/config.h"
#include "base/floating_x86_64.h"
#include "base/process.h"
#include "base/sandbox.h"
#include "base/thread.h"
#include "capture/budget.h"
#include "capture/modules.h"
#include "capture/recall.h"
#include "capture/sampler.h"
#include "capture/unwind.h"
#include "hooks/end.h"
#include "hooks/entry.h"
#include "hooks/front.h"
#include "hooks/go_entry.h"
#include "hooks/go_exit.h"
#include "hooks/leave.h"
#include "hooks/nesting.h"
#include "recording/boot.h"
#include "recording/real.h"
#include "recording/recording.h"
#include "tables/filter.h"
#include "tables/live.h"
#include "tables/maps.h"
#include "tables/stacks.h"
#include "track/mapping.h"
#include "track/owner.h"
#include "track/timeline.h"
#include "track/track.h"

// Samples that are rarer have little in common, and leave what is remembered of them cold.
static const uint64_t recall_sample_bytes = 4096;

static struct oh_config config;

static void prepare_go(const struct oh_modules_executable *executable)
{
    struct oh_format_header *header = oh_recording_header();
    header->flags |= OH_FLAG_GO_MAIN;
    if (oh_go_entry_install(executable->go, executable->bias, executable->phdrs,
                            executable->phdr_count) == 0)
        header->flags |= OH_FLAG_PHASE_KNOWN;
    else
        oh_recording_add_note("the begin of main.main could not be watched: the phase of an "
                              "allocation is told by its stack alone");
    if (oh_go_exit_install(executable->go, oh_end_run) == 0)
        header->flags |= OH_FLAG_EXIT_PATCHED;
    else if (config.profile_entry != NULL)
        oh_recording_add_note("runtime.exit could not be redirected: OFFHEAP_PROFILE is not "
                              "written at the end; use `offheap export` on the recording");
}

static void prepare_program(void)
{
    struct oh_modules_executable executable;
    oh_modules_executable(&executable);
    oh_entry_init(executable.go != NULL);
    if (executable.go != NULL)
        prepare_go(&executable);
    else
        oh_recording_header()->flags |= OH_FLAG_PHASE_KNOWN;
}

static void init_owner(void)
{
    const uint64_t libc[OH_OWNER_LIBC] = {(uint64_t)(uintptr_t)oh_real._exit,
                                          (uint64_t)(uintptr_t)oh_real.__libc_start_main};
    oh_owner_init((uint64_t)(uintptr_t)oh_real.malloc, libc);
}

static void start(bool in_hook, enum oh_format_off_reason *reason, int *error)
{
    *reason = OH_OFF_secure;
    if (getauxval(AT_SECURE) != 0)
        return;
    struct oh_process_facts process;
    oh_process_read(&process);
    oh_config_read(&config, oh_process_environment(&process, environ));
    *reason = OH_OFF_disabled;
    if (config.disabled)
        return;
    *reason = OH_OFF_sandbox;
    if (oh_sandbox_is_up())
        return;
    *error = oh_recording_create(&config, &process, reason);
    if (*error < 0)
        return;
    struct oh_format_header *header = oh_recording_header();
    oh_stacks_init();
    oh_live_init();
    oh_maps_init();
    if (config.exact)
        oh_filter_pin_all();
    if (header->budget.ppm != 0)
        oh_budget_init(header, NULL);
    else
        oh_sampler_init(header->sample_bytes, header->weight_shift);
    if (header->sample_bytes <= recall_sample_bytes)
        oh_recall_enable();
    oh_unwind_init();
    oh_nesting_settle();
    init_owner();
    oh_modules_init();
    oh_end_init(&config);
    oh_leave_arm(oh_end_run);
    prepare_program();
    oh_allocators_init(in_hook);
    oh_front_init();
    oh_mapping_start(header, oh_entry_phase);
    header->counters[OH_COUNTER_early_calls] = oh_boot_calls();
    oh_timeline_start(header, config.timeline, NULL);
    oh_track_start(header, oh_entry_phase);
}

static void run(bool in_hook)
{
    int saved = errno;
    if (oh_track_state() == OH_TRACK_UNSET && oh_track_claim_start()) {
        enum oh_format_off_reason reason = OH_OFF_no_allocator;
        int error = 0;
        uint32_t floating = oh_floating_begin();
        oh_thread_self.busy++;
        oh_filter_pin(oh_boot_start(), OH_BOOT_BYTES);
        if (oh_real_resolve())
            start(in_hook, &reason, &error);
        if (oh_track_state() != OH_TRACK_ON)
            oh_track_stop(reason, error);
        oh_thread_self.busy--;
        oh_floating_end(floating);
    }
    errno = saved;
}

void oh_init_run(void)
{
    run(false);
}

void oh_init_run_in_hook(void)
{
    run(true);
}

static __attribute__((constructor)) void on_load(void)
{
    oh_init_run();
}

static void end_by_exit(void)
{
    oh_thread_self.busy++;
    oh_allocator_stats_end();
    oh_thread_self.busy--;
    oh_end_run(0);
}

static __attribute__((destructor)) void on_exit_handlers(void)
{
    if (oh_track_state() == OH_TRACK_ON && !oh_track_is_child())
        end_by_exit();
}
