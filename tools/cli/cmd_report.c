// SPDX-License-Identifier: Apache-2.0
//
// offheap report: what holds the memory, and with --growth or --diff what grew, as text.

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "cli/cli.h"
#include "cli/growth.h"
#include "cli/input.h"
#include "cli/words.h"
#include "memory/watch.h"
#include "report/diff.h"
#include "report/render.h"

enum {
    OH_REPORT_SORT = OH_CLI_LONG_ONLY,
    OH_REPORT_PHASE,
    OH_REPORT_KIND,
    OH_REPORT_FOCUS,
    OH_REPORT_LIMIT,
    OH_REPORT_DIFF,
    OH_REPORT_RESIDENT,
    OH_REPORT_GROWTH,
    OH_REPORT_SPAN,
    OH_REPORT_BINARY,
};

enum { OH_REPORT_LIMIT_DEFAULT = 20 };

static const struct oh_cli_option options[] = {
    {OH_REPORT_SORT, "sort", "VALUE",
     "inuse_space (default), inuse_objects, alloc_space or alloc_objects"},
    {OH_REPORT_PHASE, "phase", "PHASE", "only init, main or unknown"},
    {OH_REPORT_KIND, "kind", "KINDS",
     "only these kinds, comma-separated: malloc, thread, mmap, reserve, shm, file"},
    {OH_REPORT_FOCUS, "focus", "RE", "only stacks with a function, file or module that matches"},
    {OH_REPORT_LIMIT, "limit", "N", "stacks shown (20), 0: all"},
    {OH_REPORT_DIFF, "diff", NULL, "compare two: OLD NEW, what grew first"},
    {OH_REPORT_RESIDENT, "resident", NULL, "of a live process: what is resident of each stack's"},
    {OH_REPORT_GROWTH, "growth", NULL, "which stacks grew, from one RECORDING or PID"},
    {OH_REPORT_SPAN, "span", "TIME", "with --growth: how far back to compare (30s, 20m, 5h)"},
    {OH_REPORT_BINARY, "binary", "DIR",
     "look for binaries and debug files in DIR, too, by build id (repeatable)"},
    {0},
};

struct oh_report_options {
    struct oh_report_query query;
    bool is_diff;
    bool is_growth;
    uint64_t span_ns; // 0: chosen.
    const char **dirs;
    size_t dir_count;
    char **operands;
};

static int take_phase(const struct oh_cli_command *command, struct oh_report_query *query,
                      const char *value)
{
    if (strcmp(value, "init") != 0 && strcmp(value, "main") != 0 && strcmp(value, "unknown") != 0) {
        (void)oh_cli_usage(command, "--phase %s: it must be init, main or unknown", value);
        return -1;
    }
    query->phase = value;
    return 0;
}

static int take_limit(const struct oh_cli_command *command, struct oh_report_query *query,
                      const char *value)
{
    uint64_t limit = 0;
    if (!oh_str_parse_u64(value, &limit)) {
        (void)oh_cli_usage(command, "--limit %s: it must be a number", value);
        return -1;
    }
    query->limit = limit;
    return 0;
}

static int take_sort(const struct oh_cli_command *command, struct oh_report_query *query,
                     const char *value)
{
    if (!oh_report_parse_sort(value, &query->sort)) {
        (void)oh_cli_usage(command,
                           "--sort %s: it must be inuse_space, inuse_objects, alloc_space or "
                           "alloc_objects",
                           value);
        return -1;
    }
    return 0;
}

static int take_span(const struct oh_cli_command *command, struct oh_report_options *o,
                     const char *value)
{
    if (oh_watch_parse_duration(value, &o->span_ns) < 0) {
        (void)oh_cli_usage(command, "--span %s: it must be a time from 1s to a week (30s, 20m, 5h)",
                           value);
        return -1;
    }
    return 0;
}

static int take_option(const struct oh_cli_command *command, struct oh_report_options *o, int id,
                       const char *value)
{
    switch (id) {
    case OH_REPORT_SORT: return take_sort(command, &o->query, value);
    case OH_REPORT_PHASE: return take_phase(command, &o->query, value);
    case OH_REPORT_KIND: o->query.kind = value; return oh_words_check_kinds(command, value);
    case OH_REPORT_FOCUS: o->query.focus = value; return 0;
    case OH_REPORT_LIMIT: return take_limit(command, &o->query, value);
    case OH_REPORT_DIFF: o->is_diff = true; return 0;
    case OH_REPORT_GROWTH: o->is_growth = true; return 0;
    case OH_REPORT_SPAN: return take_span(command, o, value);
    case OH_REPORT_RESIDENT: o->query.is_resident = true; return 0;
    case OH_REPORT_BINARY: o->dirs[o->dir_count++] = value; return 0;
    default: return -1;
    }
}

// The exit status when the command is over, -1 to go on.
static int parse(const struct oh_cli_command *command, int argc, char **argv,
                 struct oh_report_options *o)
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
    if (o->is_diff + o->is_growth + o->query.is_resident > 1) {
        return oh_cli_usage(command, "--diff, --growth and --resident do not go together");
    }
    if (o->span_ns != 0 && !o->is_growth) {
        return oh_cli_usage(command, "--span is of --growth");
    }
    if (o->is_growth && o->query.sort != OH_VALUE_INUSE_SPACE) {
        return oh_cli_usage(command, "--growth is of inuse_space: the time line has no other");
    }
    const int wanted = o->is_diff ? 2 : 1;
    if (argc - p.first != wanted) {
        return oh_cli_usage(command, o->is_diff ? "--diff needs two: OLD NEW"
                                                : "which FILE.pb.gz, RECORDING or PID? (one, or "
                                                  "two with --diff)");
    }
    o->operands = argv + p.first;
    return -1;
}

static int report_one(const struct oh_report_options *o, struct oh_err *err)
{
    struct oh_input input;
    int result = o->query.is_resident
                     ? oh_input_open_resident(&input, o->operands[0], o->dirs, o->dir_count, err)
                     : oh_input_open(&input, o->operands[0], o->dirs, o->dir_count, err);
    if (result < 0) {
        return result;
    }
    const struct oh_report_input shown = oh_input_for_report(&input);
    result = oh_report_render(stdout, &shown, &o->query, err);
    oh_input_close(&input);
    return result;
}

static int report_diff(const struct oh_report_options *o, struct oh_err *err)
{
    struct oh_input older;
    struct oh_input newer;
    int result = oh_input_open(&older, o->operands[0], o->dirs, o->dir_count, err);
    if (result < 0) {
        return result;
    }
    result = oh_input_open(&newer, o->operands[1], o->dirs, o->dir_count, err);
    if (result == 0) {
        const struct oh_report_input from = oh_input_for_report(&older);
        const struct oh_report_input to = oh_input_for_report(&newer);
        result = oh_report_render_diff(stdout, &from, &to, &o->query, err);
        oh_input_close(&newer);
    }
    oh_input_close(&older);
    return result;
}

static int report_growth(const struct oh_report_options *o, struct oh_err *err)
{
    const uint64_t ns_per_s = 1000000000;
    const struct oh_growth_query query = {.rows = o->query,
                                          .span_s = (uint32_t)(o->span_ns / ns_per_s),
                                          .dirs = o->dirs,
                                          .dir_count = o->dir_count};
    return oh_growth_print(stdout, o->operands[0], &query, err);
}

static int report(const struct oh_report_options *o, struct oh_err *err)
{
    return o->is_diff     ? report_diff(o, err)
           : o->is_growth ? report_growth(o, err)
                          : report_one(o, err);
}

static int run(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_err err;
    struct oh_report_options o = {
        .query = {.sort = OH_VALUE_INUSE_SPACE, .limit = OH_REPORT_LIMIT_DEFAULT},
        .dirs = calloc((size_t)argc + 1, sizeof o.dirs[0]),
    };
    if (o.dirs == NULL) {
        (void)oh_err_no_memory(&err);
        oh_cli_print_error(&err);
        return OH_EXIT_FAILED;
    }
    int status = parse(command, argc, argv, &o);
    if (status < 0) {
        const int result = report(&o, &err);
        status = result < 0 ? OH_EXIT_FAILED : OH_EXIT_OK;
        if (result < 0) {
            oh_cli_print_error(&err);
        }
    }
    free(o.dirs);
    return status;
}

static const struct oh_cli_command report_command = {
    .name = "report",
    .help = "Show which call paths hold the memory, or what grew (--growth, --diff)",
    .synopsis = "[OPTIONS] FILE.pb.gz | RECORDING | PID\n"
                "       offheap report --growth [OPTIONS] RECORDING | PID\n"
                "       offheap report --diff [OPTIONS] OLD NEW",
    .page = "offheap-report",
    .options = options,
    .run = run,
};

const struct oh_cli_command *oh_cmd_report(void)
{
    return &report_command;
}
