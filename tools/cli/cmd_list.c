// SPDX-License-Identifier: Apache-2.0
//
// offheap list: the processes being recorded, those that should be and are not, and the recordings
// that were left behind.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/human.h"
#include "base/path.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "reader/locate.h"
#include "reader/reader.h"
#include "reader/why.h"

static const struct oh_cli_option options[] = {{0}};

// What both tables have been told of.
struct oh_list_state {
    size_t process_count;
    size_t hidden_count; // Processes that may not be looked into.
    size_t file_count;
    char **live_paths; // Recordings that a listed process writes: not "left behind".
    size_t live_count;
};

static void print_process_header(const struct oh_list_state *state)
{
    if (state->process_count == 0) {
        (void)printf("%8s  %-16s %-8s %10s %8s  %s\n", "PID", "PROGRAM", "MODE", "SIZE", "AGE",
                     "STATE");
    }
}

static const char *mode_name(uint32_t mode)
{
    return mode == OH_MODE_EXACT ? "exact" : mode == OH_MODE_SAMPLED ? "sampled" : "?";
}

// What the file takes on the disk, not its length: a recording is sparse. The file is fd, or, when
// that is negative, what path names, if it names anything.
static void format_size(int fd, const char *path, char out[OH_HUMAN_BYTES])
{
    struct stat info;
    int result = -1;
    if (fd >= 0) {
        result = fstat(fd, &info);
    } else if (path != NULL) {
        result = stat(path, &info);
    }
    if (result != 0) {
        (void)snprintf(out, OH_HUMAN_BYTES, "?");
    } else {
        oh_human_format_bytes((double)info.st_blocks * 512, out);
    }
}

// Drops move a recording from "recording" to "full": what is missing is told in its report.
static void describe(const struct oh_format_header *header, enum oh_owner owner, char *out,
                     size_t size)
{
    (void)oh_reader_describe_state(header, owner, out, size);
    const size_t len = strlen(out);
    const uint64_t full = header->counters[OH_COUNTER_dropped_live_full] +
                          header->counters[OH_COUNTER_dropped_stacks_full];
    const uint64_t no_room = header->counters[OH_COUNTER_dropped_no_room];
    if (full != 0) {
        (void)snprintf(out + len, size - len, ", full: %llu allocations not recorded",
                       (unsigned long long)full);
    } else if (no_room != 0) {
        (void)snprintf(out + len, size - len, ", no room: %llu allocations not recorded",
                       (unsigned long long)no_room);
    }
}

static void print_process(struct oh_list_state *state, const struct oh_proc *proc,
                          const struct oh_format_header *header, const char *size, const char *text)
{
    char age[OH_HUMAN_BYTES];
    const char *const name = proc->exe != NULL ? oh_path_base(proc->exe) : proc->comm;
    oh_human_format_age(oh_proc_age_s(proc->start_ticks), age);
    print_process_header(state);
    (void)printf("%8d  %-16s %-8s %10s %8s  %s\n", (int)proc->pid, name,
                 header != NULL ? mode_name(header->mode) : "-", size, age, text);
    state->process_count++;
}

static void remember_path(struct oh_list_state *state, const char *path)
{
    char **const larger = reallocarray(state->live_paths, state->live_count + 1, sizeof larger[0]);
    if (larger == NULL) {
        return;
    }
    state->live_paths = larger;
    larger[state->live_count] = strdup(path);
    state->live_count += larger[state->live_count] != NULL ? 1 : 0;
}

static void list_recorded(struct oh_list_state *state, const struct oh_proc *proc,
                          const struct oh_mapped_recording *found)
{
    char text[512] = "";
    char size[OH_HUMAN_BYTES] = "-";
    struct oh_format_header header;
    const int fd = oh_locate_open_mapped(proc->pid, found);
    if (fd < 0) {
        (void)snprintf(text, sizeof text, "recorded, but %s cannot be read: %s", found->path,
                       strerror(-fd));
        print_process(state, proc, NULL, size, text);
        return;
    }
    const bool complete = pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header;
    format_size(fd, NULL, size);
    (void)close(fd);
    if (!complete || memcmp(header.magic, OH_FORMAT_MAGIC, sizeof header.magic) != 0) {
        print_process(state, proc, NULL, size, "recorded, but the recording has no header");
        return;
    }
    if (!oh_owner_is(&header, proc)) {
        (void)snprintf(text, sizeof text, "not recorded: a forked child of process %d",
                       (int)oh_owner_of_child(&header, proc));
        print_process(state, proc, NULL, "-", text);
        return;
    }
    describe(&header, OH_OWNER_ALIVE, text, sizeof text);
    print_process(state, proc, &header, size, text);
    remember_path(state, found->path);
}

static int list_process(void *arg, pid_t pid)
{
    struct oh_list_state *const state = arg;
    const int candidate = pid == getpid() ? 0 : oh_why_is_candidate(pid);
    if (candidate == 0 || candidate == -ESRCH) {
        return 0;
    }
    struct oh_proc proc;
    if (oh_proc_get(pid, &proc) < 0) {
        return 0;
    }
    if (candidate < 0 || proc.has_ended) {
        state->hidden_count += proc.has_ended ? 0 : 1;
        oh_proc_fini(&proc);
        return 0;
    }
    struct oh_mapped_recording found;
    if (oh_locate_mapped(pid, &found) == 0) {
        list_recorded(state, &proc, &found);
        oh_mapped_recording_fini(&found);
    } else {
        char why[512];
        char text[600];
        (void)oh_why_not_recorded(&proc, why, sizeof why);
        (void)snprintf(text, sizeof text, "not recorded: %s", why);
        print_process(state, &proc, NULL, "-", text);
    }
    oh_proc_fini(&proc);
    return 0;
}

static bool is_live_path(const struct oh_list_state *state, const char *path)
{
    for (size_t i = 0; i < state->live_count; i++) {
        if (strcmp(state->live_paths[i], path) == 0) {
            return true;
        }
    }
    return false;
}

static void print_file(struct oh_list_state *state, const char *path, const char *mode,
                       const char *text)
{
    char size[OH_HUMAN_BYTES];
    char age[OH_HUMAN_BYTES] = "?";
    struct stat info;
    const time_t now = time(NULL);
    format_size(-1, path, size);
    if (stat(path, &info) == 0) {
        oh_human_format_age(now > info.st_mtime ? (uint64_t)(now - info.st_mtime) : 0, age);
    }
    if (state->file_count == 0) {
        (void)printf("%s%8s  %-16s %-8s %10s %8s  %s\n", state->process_count > 0 ? "\n" : "",
                     "PID", "PROGRAM", "MODE", "SIZE", "AGE", "RECORDING LEFT BEHIND");
    }
    struct oh_recording_name name = {0};
    const char *const base = oh_path_base(path);
    const bool parsed = oh_locate_parse_name(base, &name);
    (void)printf("%8d  %-16.*s %-8s %10s %8s  %s (%s)\n", (int)name.pid,
                 parsed ? name.exe_len : (int)strlen(base), base, mode, size, age, path, text);
    state->file_count++;
}

static int list_file(void *arg, const char *path)
{
    struct oh_list_state *const state = arg;
    struct oh_format_header header;
    char text[256] = "";
    if (is_live_path(state, path)) {
        return 0;
    }
    const int result = oh_reader_peek(path, &header);
    if (result == 0) {
        describe(&header, oh_owner_find(path, &header), text, sizeof text);
        print_file(state, path, mode_name(header.mode), text);
    } else if (result == -EINVAL) {
        print_file(state, path, "?", "not a recording of this version, or never begun");
    } else if (result != -ENOENT) {
        print_file(state, path, "?", strerror(-result));
    }
    return 0;
}

static void list_files(struct oh_list_state *state)
{
    const char *dirs[OH_PATH_RECORDING_DIRS];
    const size_t count = oh_path_recording_dirs(dirs);
    for (size_t i = 0; i < count; i++) {
        const int result = oh_locate_each_file(dirs[i], list_file, state);
        if (result < 0 && result != -ENOENT) {
            oh_cli_note("the directory %s cannot be read: %s", dirs[i], strerror(-result));
        }
    }
}

static int run(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_cli_parse p = {.command = command, .argc = argc, .argv = argv};
    const char *value = NULL;
    if (oh_cli_next(&p, &value) != 0) {
        return p.status;
    }
    if (p.first != argc) {
        return oh_cli_usage(command, "list takes no operand, %s was given", argv[p.first]);
    }
    struct oh_list_state state = {0};
    const int result = oh_proc_each(list_process, &state);
    if (result < 0) {
        oh_cli_note("/proc cannot be read: %s", strerror(-result));
        return OH_EXIT_FAILED;
    }
    list_files(&state);
    if (state.process_count == 0 && state.file_count == 0) {
        (void)printf("No process is being recorded, and no recording lies in the recording "
                     "directories\n(OFFHEAP_DIR, TMPDIR, /var/tmp, /tmp).\n");
    }
    if (state.hidden_count > 0) {
        (void)fflush(stdout); // The note comes last, also when both outputs are one.
        oh_cli_note("%zu process%s that belong%s to another user or %s protected cannot be looked "
                    "into%s",
                    state.hidden_count, state.hidden_count == 1 ? "" : "es",
                    state.hidden_count == 1 ? "s" : "", state.hidden_count == 1 ? "is" : "are",
                    geteuid() != 0 ? "\ntry: sudo offheap list" : "");
    }
    for (size_t i = 0; i < state.live_count; i++) {
        free(state.live_paths[i]);
    }
    free(state.live_paths);
    return OH_EXIT_OK;
}

static const struct oh_cli_command list_command = {
    .name = "list",
    .help = "List the processes being recorded, and recordings left behind",
    .synopsis = "",
    .page = "offheap-list",
    .options = options,
    .run = run,
};

const struct oh_cli_command *oh_cmd_list(void)
{
    return &list_command;
}
