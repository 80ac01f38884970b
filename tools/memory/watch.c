// SPDX-License-Identifier: Apache-2.0
//
// Looks at a process over time.

#include "memory/watch.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/human.h"
#include "base/proc.h"
#include "reader/ask.h"

// Opens the recording of the moment; false when there is none, with the reason.
static bool open_recording(pid_t pid, const char *recording, struct oh_reader *reader, char *why,
                           size_t why_size)
{
    struct oh_err err = {.text = ""};
    const int result = recording != NULL ? oh_reader_open_file(reader, recording, &err)
                                         : oh_reader_open_pid(reader, pid, &err);
    if (result == 0 && reader->pid == 0) {
        // It ended since: what it left is no live process's.
        oh_reader_close(reader);
        (void)snprintf(why, why_size, "the process has ended");
        return false;
    }
    if (result < 0) {
        (void)snprintf(why, why_size, "%s", err.text);
    }
    return result == 0;
}

// A look and the recording that goes with it; nothing is held on failure.
static int look_now(const struct oh_watch *watch, struct oh_look *look, struct oh_reader *reader,
                    bool *has_reader, char *why, size_t why_size, struct oh_err *err)
{
    *reader = (struct oh_reader){0};
    oh_ask_jemalloc(watch->pid, watch->recording);
    *has_reader = open_recording(watch->pid, watch->recording, reader, why, why_size);
    const struct oh_look_request request = {
        .root = "", .pid = watch->pid, .view = *has_reader ? &reader->view : NULL};
    const int result = oh_look_take(&request, look, err);
    if (result < 0 && *has_reader) {
        oh_reader_close(reader);
    }
    return result;
}

static void keep_last(struct oh_watch *watch, const struct oh_reader *reader, bool has_reader)
{
    if (watch->has_last) {
        oh_reader_close(&watch->last);
    }
    watch->has_last = has_reader;
    watch->last = *reader;
}

// Whether what was looked at is what was looked at first: a number is given to another process when
// its own has ended, and exec leaves nothing but the number.
static int check_same(struct oh_watch *watch, struct oh_err *err)
{
    struct oh_proc proc;
    if (oh_proc_get(watch->pid, &proc) < 0) {
        return oh_err_set(err, -ESRCH, "process %d has ended", (int)watch->pid);
    }
    if (watch->count == 0) {
        watch->start_ticks = proc.start_ticks;
        watch->stack_start = proc.stack_start;
    }
    const bool is_same = proc.start_ticks == watch->start_ticks;
    const bool is_program = is_same && proc.stack_start == watch->stack_start;
    oh_proc_fini(&proc);
    return is_program ? 0
           : is_same
               ? oh_err_set(err, -ESRCH,
                            "process %d has become another program (exec) while it was watched",
                            (int)watch->pid)
               : oh_err_set(err, -ESRCH, "process %d has ended", (int)watch->pid);
}

static int take_look(struct oh_watch *watch, struct oh_err *err)
{
    struct oh_reader reader;
    struct oh_look *const look = &watch->looks[watch->count];
    bool has_reader = false;
    char why[sizeof watch->not_recorded] = "";
    int result = look_now(watch, look, &reader, &has_reader, why, sizeof why, err);
    if (result < 0) {
        return result;
    }
    result = check_same(watch, err);
    if (result < 0) {
        oh_look_fini(look);
        if (has_reader) {
            oh_reader_close(&reader);
        }
        return result;
    }
    watch->count++;
    if (watch->count == 1) {
        (void)snprintf(watch->not_recorded, sizeof watch->not_recorded, "%s", why);
        watch->has_first = has_reader;
        watch->first = reader;
        return 0;
    }
    keep_last(watch, &reader, has_reader);
    if (watch->count > 2) {
        // Only the ends are compared block by block.
        oh_look_drop_blocks(&watch->looks[watch->count - 2]);
    }
    return 0;
}

int oh_watch_look_again(struct oh_watch *watch, struct oh_err *err)
{
    struct oh_look look;
    struct oh_reader reader;
    bool has_reader = false;
    char why[sizeof watch->not_recorded];
    const int result = look_now(watch, &look, &reader, &has_reader, why, sizeof why, err);
    if (result < 0) {
        return result;
    }
    oh_look_fini(oh_watch_last(watch));
    *oh_watch_last(watch) = look;
    keep_last(watch, &reader, has_reader);
    return 0;
}

static uint64_t now_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_over(const struct oh_watch_request *request)
{
    return request->is_over != NULL && *request->is_over != 0;
}

// A signal that says so ends the sleep.
static void sleep_until(const struct oh_watch_request *request, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                                   .tv_nsec = (long)(until_ns % 1000000000u)};
    while (!is_over(request) &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
}

int oh_watch_take(const struct oh_watch_request *request, struct oh_watch *watch,
                  struct oh_err *err)
{
    const size_t wanted = request->duration_ns == 0 ? 1 : OH_VERDICT_LOOKS;
    const uint64_t begin = now_ns();
    const uint64_t step = wanted > 1 ? request->duration_ns / (wanted - 1) : 0;
    bool is_last = false;
    int result = 0;
    *watch = (struct oh_watch){.pid = request->pid, .recording = request->recording};
    for (size_t i = 0; !is_last && result == 0; i++) {
        const bool is_late = i > 0 && now_ns() > begin + (i + 1) * step;
        is_last = i + 1 == wanted;
        if (is_late && !is_last && !is_over(request)) {
            continue;
        }
        sleep_until(request, begin + i * step);
        is_last = is_last || is_over(request);
        result = take_look(watch, err);
    }
    return result;
}

void oh_watch_fini(struct oh_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        oh_look_fini(&watch->looks[i]);
    }
    if (watch->has_first) {
        oh_reader_close(&watch->first);
    }
    if (watch->has_last) {
        oh_reader_close(&watch->last);
    }
    *watch = (struct oh_watch){0};
}

struct oh_look *oh_watch_last(struct oh_watch *watch)
{
    return &watch->looks[watch->count - 1];
}

static int note_recording(const struct oh_watch *watch, const struct oh_look *look,
                          struct oh_list *notes)
{
    const struct oh_reader *const reader = watch->has_last ? &watch->last : &watch->first;
    char size[OH_HUMAN_BYTES];
    int result = 0;
    if (!look->is_exact) {
        oh_human_format_bytes((double)reader->view.header->sample_bytes, size);
        result = oh_list_add(notes,
                             "sampled, one per %s on average: C live is an estimate, and retention "
                             "a difference with that error",
                             size);
    }
    const double outside = look->allocated - look->live.allocated;
    const double error = 2 * sqrt(look->allocated_variance);
    if (result == 0 && outside > 0.02 * look->allocated + error && outside > 64 * 1024) {
        oh_human_format_bytes(outside, size);
        result = oh_list_add(notes,
                             "%s of recorded live blocks lie outside of the allocator's areas that "
                             "were found: they are counted where they lie",
                             size);
    }
    if (result == 0 && look->is_confined) {
        result = oh_list_add(notes, "the process confined itself (prctl): since then the recorder "
                                    "asks the system nothing, and its tables do not grow");
    }
    return result == 0 ? oh_reader_collect_warnings(reader, notes) : result;
}

int oh_watch_collect_notes(const struct oh_watch *watch, struct oh_list *notes)
{
    const struct oh_look *const look = &watch->looks[watch->count - 1];
    int result = 0;
    if (look->has_recording) {
        result = note_recording(watch, look, notes);
    } else { // Its first line; what to try instead is advice for another command.
        result = oh_list_add(notes,
                             "%.*s; so live blocks and what the allocator keeps cannot be told "
                             "apart",
                             (int)strcspn(watch->not_recorded, "\n"), watch->not_recorded);
    }
    if (result == 0 && !look->has_pages) {
        result = oh_list_add(notes,
                             "/proc/%d/pagemap may not be read: a map with several owners is "
                             "split by their sizes",
                             (int)look->pid);
    } else if (result == 0 && !look->has_memory) {
        result = oh_list_add(notes, "its memory may not be read (ptrace permission): thread stacks "
                                    "and glibc's arenas are told by their places");
    }
    // A Go program without C maps nothing that could be recorded.
    if (result == 0 && !look->has_mapped && look->has_libc) {
        result = oh_list_add(notes, "what C code maps is not recorded: %s",
                             look->is_go
                                 ? "it cannot be told from the Go runtime's maps, but for its heap"
                                 : "it is unclaimed");
    }
    return result;
}

int oh_watch_parse_duration(const char *text, uint64_t *duration_ns)
{
    const uint64_t week_s = 7 * 24 * 3600;
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return -EINVAL;
    }
    errno = 0;
    uint64_t seconds = strtoull(text, &end, 10);
    const uint64_t unit = strcmp(end, "") == 0 || strcmp(end, "s") == 0 ? 1
                          : strcmp(end, "m") == 0                       ? 60
                          : strcmp(end, "h") == 0                       ? 3600
                                                                        : 0;
    if (unit == 0) {
        return -EINVAL;
    }
    if (errno != 0 || seconds == 0 || seconds > week_s / unit) {
        return -ERANGE;
    }
    seconds *= unit;
    *duration_ns = seconds * 1000000000u;
    return 0;
}
