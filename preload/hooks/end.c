// SPDX-License-Identifier: Apache-2.0
//
// See end.h. Everything that is written comes out of an arena with a bound, and time is looked at
// inside every long loop: who ends waits for us.

#include "hooks/end.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/floating_x86_64.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "base/text.h"
#include "offheap/format.h"
#include "profile/outfile.h"
#include "profile/pprof.h"
#include "profile/writer.h"
#include "recording/recording.h"

static const size_t arena_bytes = (size_t)256 << 20;
// Below the time for which Go's other exiting threads wait (hooks/go_stubs).
static const uint64_t time_limit_ns = UINT64_C(8000000000);
static const uint64_t wait_step_ns = UINT64_C(2000000);

enum { OPEN_TRIES = 8, NOTE_BYTES = 512 };

enum end_stage { STAGE_IDLE = 0, STAGE_RUNNING = 1, STAGE_DONE = 2 };

// The process-wide state of this module: written by oh_end_init, then by the one thread that
// brings `stage` from IDLE to RUNNING. It stores DONE with release; who waits reads with acquire.
static struct {
    uint32_t stage;
    long pid; // Of the process that was initialised: a forked child has another.
    long tid; // Of the thread that runs the end.
    uint64_t started_ns, deadline_ns;
    bool wants_profile, keeps_recording;
    struct oh_outfile_identity identity;
    struct oh_outfile file;
    char name[OH_OUTFILE_PATH_BYTES];     // As configured,
    char pid_name[OH_OUTFILE_PATH_BYTES]; // and when another process has that.
} end;

static void add_note(const char *what, int error)
{
    char note[NOTE_BYTES];
    struct oh_text text;
    oh_text_init(&text, note, sizeof note);
    oh_text_add(&text, "OFFHEAP_PROFILE: ");
    oh_text_add(&text, what);
    oh_text_add(&text, " (error ");
    oh_text_add_u64(&text, (uint64_t)-error);
    oh_text_add(&text, "); `offheap export` on this recording gives the profile");
    oh_recording_add_note(note);
}

// The working directory now: the program may change it before it ends.
static void read_working_directory(char dir[OH_OUTFILE_PATH_BYTES])
{
    long length = oh_sys_readlink("/proc/self/cwd", dir, OH_OUTFILE_PATH_BYTES - 1);
    dir[length > 0 ? length : 0] = '\0';
}

void oh_end_init(const struct oh_config *config)
{
    static char dir[OH_OUTFILE_PATH_BYTES];
    struct oh_format_header *header = oh_recording_header();
    end.pid = oh_sys_getpid();
    end.started_ns = oh_sys_clock_ns(CLOCK_REALTIME_COARSE);
    end.keeps_recording = config->dir != NULL || config->run_token != 0;
    const char *pattern =
        config->profile_entry != NULL ? strchr(config->profile_entry, '=') + 1 : "";
    if (*pattern == '\0')
        return;
    end.identity = (struct oh_outfile_identity){header->pid, header->start_ticks};
    bool owns_name = oh_outfile_claim(config->profile_entry, &end.identity);
    read_working_directory(dir);
    int rc = oh_outfile_name(pattern, dir, header->pid, !owns_name, end.name);
    if (rc == 0)
        rc = oh_outfile_name(pattern, dir, header->pid, true, end.pid_name);
    if (rc < 0) {
        add_note("its value cannot be a file's name", rc);
        return;
    }
    end.wants_profile = true;
    header->profile = oh_recording_add_text(end.name, strlen(end.name));
}

static bool is_late(void *arg)
{
    (void)arg;
    return oh_sys_clock_ns(CLOCK_MONOTONIC) > end.deadline_ns;
}

static int write_in_time(void *file, const void *data, size_t size)
{
    return is_late(NULL) ? -ETIMEDOUT : oh_outfile_write(file, data, size);
}

// Another thread may have brought a table forward between the two looks at it: then once more.
static int open_view(struct oh_view *view)
{
    struct oh_view_fault fault;
    int rc = -EINVAL;
    for (int i = 0; i < OPEN_TRIES && rc != 0; i++) {
        size_t size = 0;
        const void *base = oh_recording_base(&size);
        rc = oh_view_open(view, base, size, &fault);
    }
    return rc;
}

static int build_profile(struct oh_arena *arena, struct oh_symbols *symbols,
                         struct oh_profile *profile)
{
    struct oh_view view;
    const struct oh_writer_options options = {.time_ns = oh_sys_clock_ns(CLOCK_REALTIME),
                                              .stop = is_late};
    int rc = open_view(&view);
    if (rc == 0)
        rc = oh_symbols_init(symbols, arena, &view, NULL, true);
    return rc != 0 ? rc : oh_writer_build(&view, symbols, &options, arena, profile);
}

static int write_file(struct oh_profile *profile)
{
    const char *const names[] = {end.name, end.pid_name};
    size_t used;
    int rc = oh_outfile_begin(&end.file, end.name, &end.identity);
    if (rc != 0)
        return rc;
    rc = oh_pprof_write(profile, write_in_time, &end.file);
    if (rc == 0)
        return oh_outfile_commit(&end.file, names, sizeof names / sizeof names[0], end.started_ns,
                                 &used);
    oh_outfile_abort(&end.file);
    return rc;
}

static int write_profile(void)
{
    struct oh_arena arena;
    struct oh_symbols symbols = {0};
    struct oh_profile profile;
    (void)oh_arena_init(&arena, arena_bytes);
    int rc = build_profile(&arena, &symbols, &profile);
    if (rc == 0)
        rc = write_file(&profile);
    oh_symbols_fini(&symbols);
    oh_arena_fini(&arena);
    return rc;
}

static const char *reason_of(int error)
{
    switch (error) {
    case -ETIMEDOUT: return "not written: it took too long";
    case -ENOMEM: return "not written: it is too large to be made in this process";
    case -EEXIST: return "not written: other processes have written both of its names";
    case -EINVAL: return "not written: its name is not that of a file";
    default: return "not written";
    }
}

static void mark_ended(void)
{
    uint32_t state = oh_load32_acquire(&oh_recording_header()->state);
    if (state == OH_STATE_STARTING || state == OH_STATE_RECORDING)
        oh_recording_set_state(OH_STATE_ENDED, OH_OFF_none);
}

static void finish(void)
{
    mark_ended();
    if (!end.wants_profile)
        return;
    int rc = write_profile();
    if (rc != 0)
        add_note(reason_of(rc), rc);
    else if (!end.keeps_recording)
        (void)oh_sys_unlink(oh_recording_path());
}

// Without a system call, hence without a file.
static void end_sandboxed(void)
{
    uint32_t idle = STAGE_IDLE;
    if (!oh_cas32_acq_rel(&end.stage, &idle, STAGE_DONE))
        return;
    mark_ended();
    if (end.wants_profile)
        add_note("not written: the process has confined itself", -EPERM);
}

static void wait_for_other(void)
{
    if (end.tid == oh_sys_gettid())
        return; // A handler of ours was interrupted by the end itself: nobody to wait for.
    uint64_t give_up_ns = oh_sys_clock_ns(CLOCK_MONOTONIC) + time_limit_ns;
    while (oh_load32_acquire(&end.stage) != STAGE_DONE &&
           oh_sys_clock_ns(CLOCK_MONOTONIC) < give_up_ns)
        (void)oh_sys_nanosleep_ns(wait_step_ns);
}

void oh_end_run(int code)
{
    uint32_t idle = STAGE_IDLE;
    uint64_t blocked;
    (void)code;
    if (end.pid != oh_sys_getpid() || oh_recording_header() == NULL)
        return;
    if (oh_sandbox_is_up()) {
        end_sandboxed();
        return;
    }
    if (!oh_cas32_acq_rel(&end.stage, &idle, STAGE_RUNNING)) {
        wait_for_other();
        return;
    }
    // A handler that does not come back would leave a half-written file and waiting threads.
    long masked = oh_sys_swap_signals(UINT64_MAX, &blocked);
    end.tid = oh_sys_gettid();
    end.deadline_ns = oh_sys_clock_ns(CLOCK_MONOTONIC) + time_limit_ns;
    uint32_t floating = oh_floating_begin();
    finish();
    oh_floating_end(floating);
    oh_store32_release(&end.stage, STAGE_DONE);
    if (masked == 0)
        (void)oh_sys_swap_signals(blocked, NULL);
}
