// SPDX-License-Identifier: Apache-2.0
//
// After a run: finds its recordings and writes their profiles.
//
// A process that executed one program after the other (a shell's exec) left a recording for each.
// The memory of the earlier ones was given back by the kernel when they were replaced: the profile
// is that of the last, the others are removed with it.

#include "cli/run_collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/words.h"
#include "pprof/export.h"
#include "reader/locate.h"
#include "reader/reader.h"

struct oh_run_found {
    char *path;
    pid_t pid;
    uint64_t start_ns;
    bool is_alive;
    bool is_replaced; // A later recording of the same process is there.
};

struct oh_run_search {
    uint64_t token;
    struct oh_run_found *found;
    size_t count;
};

static int match_token(void *arg, const char *path)
{
    struct oh_run_search *const search = arg;
    struct oh_format_header header;
    if (oh_reader_peek(path, &header) < 0 || header.run_token != search->token) {
        return 0;
    }
    struct oh_run_found *const larger =
        reallocarray(search->found, search->count + 1, sizeof larger[0]);
    if (larger == NULL) {
        return -1;
    }
    search->found = larger;
    larger[search->count] = (struct oh_run_found){
        .path = strdup(path),
        .pid = (pid_t)header.pid,
        .start_ns = header.start_realtime_ns,
        .is_alive = oh_owner_is_alive(&header),
    };
    search->count += larger[search->count].path != NULL ? 1 : 0;
    return 0;
}

// By process, the last recording of each first.
static int compare_found(const void *a, const void *b)
{
    const struct oh_run_found *const x = a;
    const struct oh_run_found *const y = b;
    if (x->pid != y->pid) {
        return (x->pid > y->pid) - (x->pid < y->pid);
    }
    return (x->start_ns < y->start_ns) - (x->start_ns > y->start_ns);
}

static void search_recordings(const struct oh_run_collect *run, struct oh_run_search *search)
{
    const char *dirs[OH_PATH_RECORDING_DIRS] = {run->dir};
    const size_t count = run->dir != NULL ? 1 : oh_path_recording_dirs(dirs);
    for (size_t i = 0; i < count; i++) {
        (void)oh_locate_each_file(dirs[i], match_token, search);
    }
    if (search->count > 1) {
        qsort(search->found, search->count, sizeof search->found[0], compare_found);
    }
    for (size_t i = 1; i < search->count; i++) {
        search->found[i].is_replaced = search->found[i].pid == search->found[i - 1].pid;
    }
}

static char *profile_name(const struct oh_run_collect *run, const struct oh_run_found *found,
                          const struct oh_reader *reader)
{
    if (run->output == NULL) {
        return oh_words_default_profile(reader);
    }
    return found->pid == run->pid ? strdup(run->output) : oh_path_with_pid(run->output, found->pid);
}

static int write_profile(const struct oh_run_collect *run, const struct oh_run_found *found,
                         struct oh_reader *reader, struct oh_err *err)
{
    struct oh_export made;
    struct oh_list warnings = {0};
    char *const name = profile_name(run, found, reader);
    int result = name == NULL ? oh_err_no_memory(err)
                              : oh_export_build(reader, NULL, 0, &made, &warnings, err);
    if (result == 0) {
        // The number alone is told here: what they are stands in the profile's comments.
        (void)oh_reader_collect_warnings(reader, &warnings);
        result = oh_export_write(&made.profile, name, err);
        if (result == 0) {
            oh_words_tell_profile(name, &made.profile, warnings.count);
        }
        oh_export_fini(&made);
    }
    oh_list_fini(&warnings);
    free(name);
    return result;
}

static bool export_found(const struct oh_run_collect *run, const struct oh_run_found *found)
{
    struct oh_err err;
    struct oh_reader reader;
    int result = oh_reader_open_file(&reader, found->path, &err);
    if (result == 0) {
        result = write_profile(run, found, &reader, &err);
        oh_reader_close(&reader);
    }
    if (result < 0) {
        oh_cli_print_error(&err);
        oh_cli_note("the recording is kept: offheap export %s", found->path);
    }
    return result == 0;
}

// The program first, then its children.
static void export_all(const struct oh_run_collect *run, const struct oh_run_search *search,
                       bool of_program)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct oh_run_found *const found = &search->found[i];
        if ((found->pid == run->pid) != of_program) {
            continue;
        }
        if (found->is_alive) {
            if (!found->is_replaced) {
                oh_cli_note("its child %d is still running: offheap export %d", (int)found->pid,
                            (int)found->pid);
            }
            continue;
        }
        const bool done = found->is_replaced || export_found(run, found);
        if (done && !run->keep) {
            (void)unlink(found->path);
        }
    }
}

int oh_run_collect(const struct oh_run_collect *run)
{
    struct oh_run_search search = {.token = run->token};
    search_recordings(run, &search);
    export_all(run, &search, true);
    export_all(run, &search, false);
    int of_program = 0;
    for (size_t i = 0; i < search.count; i++) {
        of_program += search.found[i].pid == run->pid ? 1 : 0;
        free(search.found[i].path);
    }
    free(search.found);
    return of_program;
}
