// SPDX-License-Identifier: Apache-2.0
//
// offheap export: a recording, or a live process's, as a pprof profile.

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/words.h"
#include "pprof/export.h"
#include "reader/reader.h"

enum { OH_EXPORT_BINARY = OH_CLI_LONG_ONLY, OH_EXPORT_KIND };

static const struct oh_cli_option options[] = {
    {'o', "output", "FILE", "write the profile to FILE (- is the standard output)"},
    {OH_EXPORT_KIND, "kind", "KINDS",
     "only these kinds, comma-separated: malloc, thread, mmap, reserve, shm, file"},
    {OH_EXPORT_BINARY, "binary", "DIR",
     "look for binaries and debug files in DIR, too, by build id (repeatable)"},
    {0},
};

struct oh_export_options {
    const char *output;
    const char *kinds; // NULL: all.
    const char **dirs; // As many as there are arguments.
    size_t dir_count;
    const char *what;
};

// The exit status when the command is over, -1 to go on.
static int parse(const struct oh_cli_command *command, int argc, char **argv,
                 struct oh_export_options *o)
{
    struct oh_cli_parse p = {.command = command, .argc = argc, .argv = argv};
    const char *value = NULL;
    for (int id = oh_cli_next(&p, &value); id != 0; id = oh_cli_next(&p, &value)) {
        switch (id) {
        case 'o': o->output = value; break;
        case OH_EXPORT_KIND:
            o->kinds = value;
            if (oh_words_check_kinds(command, value) < 0) {
                return OH_EXIT_USAGE;
            }
            break;
        case OH_EXPORT_BINARY: o->dirs[o->dir_count++] = value; break;
        default: return p.status;
        }
    }
    if (argc - p.first != 1) {
        return oh_cli_usage(command, argc == p.first ? "which RECORDING or PID?"
                                                     : "only one RECORDING or PID at a time");
    }
    o->what = argv[p.first];
    return -1;
}

struct oh_export_filter {
    const struct oh_profile *profile;
    const char *kinds;
};

static bool is_wanted(void *arg, const struct oh_profile_sample *sample)
{
    const struct oh_export_filter *const filter = arg;
    return oh_str_in_list(filter->kinds,
                          oh_profile_text(filter->profile, sample->labels[OH_LABEL_KIND]));
}

static void keep_kinds(struct oh_profile *profile, const char *kinds)
{
    struct oh_export_filter filter = {profile, kinds};
    if (kinds != NULL) {
        oh_profile_keep_samples(profile, is_wanted, &filter);
    }
}

static int export_opened(const struct oh_export_options *o, struct oh_reader *reader)
{
    struct oh_err err;
    struct oh_export made;
    struct oh_list warnings = {0};
    int result = oh_export_build(reader, o->dirs, o->dir_count, &made, &warnings, &err);
    if (result == 0 && oh_reader_collect_warnings(reader, &warnings) < 0) {
        oh_export_fini(&made);
        result = oh_err_no_memory(&err);
    }
    if (result < 0) {
        oh_list_fini(&warnings);
        oh_cli_print_error(&err);
        return OH_EXIT_FAILED;
    }
    keep_kinds(&made.profile, o->kinds);
    char *const fallback = o->output == NULL ? oh_words_default_profile(reader) : NULL;
    const char *const path = o->output != NULL ? o->output : fallback;
    result = path != NULL ? oh_export_write(&made.profile, path, &err) : oh_err_no_memory(&err);
    if (result < 0) {
        oh_cli_print_error(&err);
    } else {
        oh_cli_print_warnings(&warnings);
        if (strcmp(path, "-") != 0) {
            oh_words_tell_profile(path, &made.profile, 0);
        }
    }
    free(fallback);
    oh_export_fini(&made);
    oh_list_fini(&warnings);
    return result < 0 ? OH_EXIT_FAILED : OH_EXIT_OK;
}

static int run(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_export_options o = {.dirs = calloc((size_t)argc + 1, sizeof o.dirs[0])};
    struct oh_err err;
    if (o.dirs == NULL) {
        (void)oh_err_no_memory(&err);
        oh_cli_print_error(&err);
        return OH_EXIT_FAILED;
    }
    int status = parse(command, argc, argv, &o);
    if (status < 0) {
        struct oh_reader reader;
        if (oh_reader_open(&reader, o.what, &err) < 0) {
            oh_cli_print_error(&err);
            status = OH_EXIT_FAILED;
        } else {
            status = export_opened(&o, &reader);
            oh_reader_close(&reader);
        }
    }
    free(o.dirs);
    return status;
}

static const struct oh_cli_command export_command = {
    .name = "export",
    .help = "Write a recording, or that of a live process, as a pprof profile",
    .synopsis = "[-o FILE] [--kind KINDS] [--binary DIR]... RECORDING | PID",
    .page = "offheap-export",
    .options = options,
    .run = run,
};

const struct oh_cli_command *oh_cmd_export(void)
{
    return &export_command;
}
