// SPDX-License-Identifier: Apache-2.0
//
// offheap run: starts a program with the library preloaded and leaves its profile when it is gone.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/human.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/run_allocator.h"
#include "cli/run_child.h"
#include "cli/run_collect.h"
#include "cli/run_environment.h"
#include "cli/run_library.h"
#include "offheap/percent.h"
#include "reader/inspect.h"

enum {
    OH_RUN_EXACT = OH_CLI_LONG_ONLY,
    OH_RUN_SAMPLE,
    OH_RUN_MAX_OVERHEAD,
    OH_RUN_DEPTH,
    OH_RUN_MAX_BYTES,
    OH_RUN_DIR,
    OH_RUN_KEEP,
    OH_RUN_ALLOCATOR,
};

enum { OH_RUN_LIMIT_BYTES = 128 };

static const struct oh_cli_option options[] = {
    {'o', "output", "FILE", "the program's profile; its children's get their pid in the name"},
    {OH_RUN_EXACT, "exact", NULL, "record every allocation instead of a sample"},
    {OH_RUN_SAMPLE, "sample", "BYTES", "mean bytes between two samples (512K)"},
    {OH_RUN_MAX_OVERHEAD, "max-overhead", "PERCENT",
     "samples take at most this share of the processor time"},
    {OH_RUN_DEPTH, "depth", "N", "frames kept of a stack, 8 to 512 (128)"},
    {OH_RUN_MAX_BYTES, "max-bytes", "BYTES", "bound of the recording (128M)"},
    {OH_RUN_DIR, "dir", "DIR", "put recordings into DIR and leave them there"},
    {OH_RUN_KEEP, "keep", NULL, "leave the recordings where they are"},
    {OH_RUN_ALLOCATOR, "allocator", "NAME", "put jemalloc, or the library NAME, under the program"},
    {0},
};

static bool take_budget(const struct oh_cli_command *command, const char *value)
{
    uint32_t ppm = 0;
    const bool ok =
        oh_percent_parse(value, &ppm) && ppm >= OH_PERCENT_LEAST_PPM && ppm <= OH_PERCENT_MOST_PPM;
    if (!ok) {
        (void)oh_cli_usage(command,
                           "--max-overhead takes a share of the processor time from 0.01%% to "
                           "50%%, as 1%% or 0.25, not %s",
                           value);
    }
    return ok;
}

// 0, or -1 when the value was refused.
static int take_option(const struct oh_cli_command *command, struct oh_run_options *o, int id,
                       const char *value)
{
    bool ok = true;
    switch (id) {
    case 'o': o->output = value; break;
    case OH_RUN_EXACT: o->exact = true; break;
    case OH_RUN_KEEP: o->keep = true; break;
    case OH_RUN_DIR: o->dir = value; break;
    case OH_RUN_ALLOCATOR: o->allocator = value; break;
    case OH_RUN_SAMPLE:
        ok = oh_cli_parse_bytes(command, "--sample", value, 1, 1ull << 30, &o->sample_bytes);
        break;
    case OH_RUN_MAX_OVERHEAD:
        ok = take_budget(command, value);
        o->max_overhead = value;
        break;
    case OH_RUN_DEPTH: ok = oh_cli_parse_bytes(command, "--depth", value, 8, 512, &o->depth); break;
    case OH_RUN_MAX_BYTES:
        ok = oh_cli_parse_bytes(command, "--max-bytes", value, 2ull << 20, 64ull << 30,
                                &o->max_bytes);
        break;
    default: ok = false; break;
    }
    return ok ? 0 : -1;
}

// The exit status when the command is over, -1 to go on.
static int parse(const struct oh_cli_command *command, int argc, char **argv,
                 struct oh_run_options *o)
{
    struct oh_cli_parse p = {.command = command, .argc = argc, .argv = argv};
    const char *value = NULL;
    for (int id = oh_cli_next(&p, &value); id != 0; id = oh_cli_next(&p, &value)) {
        if (id < 0) {
            return p.status;
        }
        if (take_option(command, o, id, value) < 0) {
            return OH_EXIT_USAGE;
        }
    }
    if (p.first == argc) {
        return oh_cli_usage(command, "which PROGRAM?");
    }
    if (o->exact && o->sample_bytes != 0) {
        return oh_cli_usage(command, "--exact and --sample exclude each other");
    }
    if (o->exact && o->max_overhead != NULL) {
        return oh_cli_usage(command,
                            "--exact and --max-overhead exclude each other: a budget is kept "
                            "by recording fewer allocations, --exact records all");
    }
    if (o->output != NULL && strcmp(o->output, "-") == 0) {
        return oh_cli_usage(command, "the standard output is the program's: -o needs a file");
    }
    o->program = argv + p.first;
    return -1;
}

// A run of hours must not end with a profile that has no place.
static int check_output(const struct oh_run_options *o, struct oh_err *err)
{
    char *const dir = oh_path_dir(o->output != NULL ? o->output : "./");
    if (dir == NULL) {
        return oh_err_no_memory(err);
    }
    const int result = access(dir, W_OK | X_OK) == 0 ? 0 : -errno;
    if (result < 0) {
        (void)oh_err_set(err, result,
                         "the profile cannot be written into %s: %s\ntry: another file with "
                         "-o FILE",
                         dir, strerror(-result));
    }
    free(dir);
    return result;
}

static int check_program(const struct oh_run_options *o, char path[PATH_MAX], struct oh_err *err)
{
    const char *const name = o->program[0];
    if (!oh_inspect_search_path(name, path)) {
        (void)oh_err_set(err, -ENOENT, "there is no program %s in PATH\ntry: its path, as ./%s",
                         name, name);
        return OH_EXIT_NOT_FOUND;
    }
    struct oh_inspect found;
    oh_inspect_file(path, true, &found);
    (void)oh_inspect_explain(&found, err);
    switch (found.verdict) {
    case OH_INSPECT_OK: oh_run_tell_allocator(found.program, o->allocator); return OH_EXIT_OK;
    case OH_INSPECT_MISSING: return OH_EXIT_NOT_FOUND;
    case OH_INSPECT_NOT_EXECUTABLE:
    case OH_INSPECT_DIRECTORY:
    case OH_INSPECT_NOT_PROGRAM:
    case OH_INSPECT_NO_INTERPRETER: return OH_EXIT_NOT_EXECUTABLE;
    default: return OH_EXIT_NOT_STARTED;
    }
}

// Everything that can be known before the program starts.
static int prepare(const struct oh_run_options *o, char path[PATH_MAX], uint64_t token,
                   struct oh_err *err)
{
    char library[PATH_MAX];
    char allocator[PATH_MAX];
    struct oh_run_options with_paths = *o;
    const int status = check_program(o, path, err);
    if (status != OH_EXIT_OK) {
        return status;
    }
    int result = oh_run_find_library(library, err);
    if (result == 0 && o->allocator != NULL) {
        result = oh_run_find_allocator(o->allocator, allocator, err);
        with_paths.allocator = allocator;
    }
    const char *const dir = o->dir != NULL ? o->dir : oh_run_chosen_dir();
    if (result == 0 && dir != NULL) {
        result = oh_run_set_dir(dir, err);
    }
    if (result == 0) {
        result = oh_run_check_dir(oh_run_chosen_dir(), err);
    }
    if (result == 0) {
        result = check_output(o, err);
    }
    if (result == 0) {
        result = oh_run_set_environment(&with_paths, library, token, err);
    }
    return result == 0 ? OH_EXIT_OK : OH_EXIT_NOT_STARTED;
}

// A limit that the program has from us and under which a recording may not have been made; "" when
// there is none.
static void describe_limit(int resource, const char *of_what, const char *option,
                           char text[OH_RUN_LIMIT_BYTES])
{
    struct rlimit limit;
    char size[OH_HUMAN_BYTES];
    text[0] = '\0';
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        oh_human_format_bytes((double)limit.rlim_cur, size);
        (void)snprintf(text, OH_RUN_LIMIT_BYTES,
                       "\nor there was no room for it: %s limited to %s "
                       "(ulimit %s)",
                       of_what, size, option);
    }
}

static void tell_no_recording(const char *program)
{
    char file_limit[OH_RUN_LIMIT_BYTES];
    char memory_limit[OH_RUN_LIMIT_BYTES];
    describe_limit(RLIMIT_FSIZE, "files are", "-f", file_limit);
    describe_limit(RLIMIT_AS, "the address space is", "-v", memory_limit);
    const char *const disabled = getenv("OFFHEAP_DISABLE");
    struct oh_err err;
    if (disabled != NULL && strcmp(disabled, "1") == 0) {
        oh_cli_note("%s was not recorded: OFFHEAP_DISABLE=1 is set\ntry: env -u OFFHEAP_DISABLE "
                    "offheap run ...",
                    program);
    } else if (oh_run_check_dir(oh_run_chosen_dir(), &err) < 0) {
        oh_cli_note("%s was not recorded: %s", program, err.text);
    } else {
        oh_cli_note("%s left no recording: it replaced itself with a program that cannot be "
                    "recorded (static, with raised privileges), cleared its environment, or ended "
                    "before its first allocation%s%s\ntry: offheap run on that program itself, or "
                    "offheap list while it runs",
                    program, file_limit, memory_limit);
    }
}

static int run_program(const struct oh_run_options *o, const char *path, uint64_t token)
{
    struct oh_run_child child;
    const int result = oh_run_child(path, o->program, environ, &child);
    if (result < 0) {
        oh_cli_note("no process can be made: %s", strerror(-result));
        return OH_EXIT_NOT_STARTED;
    }
    if (child.exec_errno != 0) {
        oh_cli_note("cannot execute %s: %s", path, strerror(child.exec_errno));
        return child.exec_errno == ENOENT ? OH_EXIT_NOT_FOUND : OH_EXIT_NOT_EXECUTABLE;
    }
    const struct oh_run_collect run = {
        .token = token,
        .pid = child.pid,
        .dir = oh_run_chosen_dir(),
        .output = o->output,
        .keep = o->keep || oh_run_chosen_dir() != NULL,
    };
    if (oh_run_collect(&run) == 0) {
        tell_no_recording(o->program[0]);
    }
    return child.status;
}

static int run(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_run_options o = {0};
    const int usage = parse(command, argc, argv, &o);
    if (usage >= 0) {
        return usage;
    }
    struct oh_err err;
    char path[PATH_MAX];
    const uint64_t token = oh_run_make_token();
    const int status = prepare(&o, path, token, &err);
    if (status != OH_EXIT_OK) {
        oh_cli_print_error(&err);
        return status;
    }
    return run_program(&o, path, token);
}

static const struct oh_cli_command run_command = {
    .name = "run",
    .help = "Run a program and leave a profile of its C memory when it is gone",
    .synopsis = "[OPTIONS] [--] PROGRAM [ARGUMENTS]...",
    .page = "offheap-run",
    .options = options,
    .stops_at_operand = true,
    .run = run,
};

const struct oh_cli_command *oh_cmd_run(void)
{
    return &run_command;
}
