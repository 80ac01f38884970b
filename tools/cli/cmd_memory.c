// SPDX-License-Identifier: Apache-2.0
//
// offheap memory: where a process's resident memory is, and what grows.

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/path.h"
#include "base/proc.h"
#include "cli/cli.h"
#include "cli/growth.h"
#include "cli/memory_stacks.h"
#include "cli/words.h"
#include "memory/json.h"
#include "memory/table.h"
#include "memory/trim.h"
#include "memory/watch.h"
#include "reader/reader.h"
#include "report/timeline.h"

enum {
    OH_MEMORY_WATCH = OH_CLI_LONG_ONLY,
    OH_MEMORY_GO,
    OH_MEMORY_JSON,
    OH_MEMORY_TRIM,
};

static const struct oh_cli_option options[] = {
    {OH_MEMORY_WATCH, "watch", "TIME", "look several times within TIME (30s, 5m): what grows"},
    {OH_MEMORY_TRIM, "trim", NULL, "have the process's allocator give back what it keeps"},
    {OH_MEMORY_GO, "go", "URL", "ask a Go program's net/http/pprof (http://HOST:PORT)"},
    {OH_MEMORY_JSON, "json", NULL, "print one JSON object"},
    {0},
};

struct oh_memory_options {
    uint64_t watch_ns; // 0: one look.
    const char *url;
    bool is_json;
    bool is_trim;
    const char *what;
};

// Everything that is found out for one report.
struct oh_memory_run {
    const struct oh_memory_options *o;
    pid_t pid;
    struct oh_watch watch;
    struct oh_status status;
    struct oh_cgroup group;
    struct oh_gostats stats;
    bool has_stats;
    struct oh_gostats first_stats; // Before a watch.
    bool has_first_stats;
    struct oh_verdict verdict;
    struct oh_advice advice;
    struct oh_list notes;
    char *title;
    char *trimmed;
};

// The exit status when the command is over, -1 to go on.
static int parse(const struct oh_cli_command *command, int argc, char **argv,
                 struct oh_memory_options *o)
{
    struct oh_cli_parse p = {.command = command, .argc = argc, .argv = argv};
    const char *value = NULL;
    for (int id = oh_cli_next(&p, &value); id != 0; id = oh_cli_next(&p, &value)) {
        switch (id) {
        case OH_MEMORY_WATCH:
            if (oh_watch_parse_duration(value, &o->watch_ns) < 0) {
                return oh_cli_usage(command,
                                    "--watch %s: it must be a time from 1s to a week (30s, 5m, 2h)",
                                    value);
            }
            break;
        case OH_MEMORY_GO: o->url = value; break;
        case OH_MEMORY_TRIM: o->is_trim = true; break;
        case OH_MEMORY_JSON: o->is_json = true; break;
        default: return p.status;
        }
    }
    if (argc - p.first != 1) {
        return oh_cli_usage(command, argc == p.first ? "which PID or RECORDING?"
                                                     : "only one PID or RECORDING at a time");
    }
    o->what = argv[p.first];
    return -1;
}

// A variable of the environment that the process began with, to be freed; NULL: unset, or unknown.
static char *get_variable(pid_t pid, const char *name)
{
    char *value = NULL;
    return oh_proc_environ(pid, name, &value) == 0 ? value : NULL;
}

static void find_advice(struct oh_memory_run *r, const struct oh_look *look)
{
    char *const limit = get_variable(r->pid, "GOMEMLIMIT");
    char *const gogc = get_variable(r->pid, "GOGC");
    const struct oh_advice_facts facts = {.look = look,
                                          .group = &r->group,
                                          .stats = r->has_stats ? &r->stats : NULL,
                                          .gomemlimit = limit,
                                          .gogc = gogc};
    oh_advice_find(&facts, &r->advice);
    free(limit);
    free(gogc);
}

// The short name that the process goes by, which is not always that of its file (redis-server runs
// a file of another name); the kernel cuts it at 15 letters.
static const char *name_of(const struct oh_memory_run *r)
{
    const char *const exe =
        r->watch.has_first ? oh_words_exe(&r->watch.first.view) : r->status.name;
    return strncmp(exe, r->status.name, strlen(r->status.name)) == 0 || r->status.name[0] == '\0' ||
                   r->status.name[0] == '?'
               ? exe
               : r->status.name;
}

static char *make_title(const struct oh_memory_run *r)
{
    const struct oh_watch *const watch = &r->watch;
    const char *const how = watch->count == 0          ? "may not be looked into"
                            : !watch->has_first        ? "not recorded"
                            : watch->looks[0].is_exact ? "recorded, exact"
                                                       : "recorded, sampled";
    return oh_str_printf("Memory of %s, pid %d (%s)", name_of(r), (int)r->pid, how);
}

static int print_json(struct oh_memory_run *r, struct oh_memory_report *report, struct oh_err *err)
{
    struct oh_memory_stacks stacks = {0};
    int result = 0;
    if (r->verdict.c_live_grows) {
        result = oh_memory_stacks_collect(&r->watch, &r->verdict.risers, &stacks, err);
        report->stacks = stacks.list;
        report->stack_count = stacks.count;
    }
    oh_json_print(stdout, report);
    oh_memory_stacks_fini(&stacks);
    return result;
}

// error: why it is not all that was asked for; NULL: it is.
static int print_report(struct oh_memory_run *r, const char *error, struct oh_err *err)
{
    const bool has_look = r->watch.count > 0;
    const struct oh_look *const look = has_look ? oh_watch_last(&r->watch) : NULL;
    const int result = has_look ? oh_watch_collect_notes(&r->watch, &r->notes) : 0;
    if (has_look) {
        find_advice(r, look);
    }
    r->title = make_title(r);
    if (result < 0 || r->title == NULL) {
        return oh_err_no_memory(err);
    }
    struct oh_memory_report report = {.title = r->title,
                                      .what = r->o->what,
                                      .look = look,
                                      .status = &r->status,
                                      .group = &r->group,
                                      .stats = r->has_stats ? &r->stats : NULL,
                                      .verdict = has_look ? &r->verdict : NULL,
                                      .advice = &r->advice,
                                      .trimmed = r->trimmed,
                                      .error = error,
                                      .notes = &r->notes};
    if (r->o->is_json) {
        return print_json(r, &report, err);
    }
    oh_table_print(stdout, &report);
    return r->verdict.c_live_grows
               ? oh_memory_stacks_print(stdout, &r->watch, &r->verdict.risers, err)
               : 0;
}

// The verdict is of the looks before; the table shows what is left.
static int trim(struct oh_memory_run *r, struct oh_err *err)
{
    const char *call = NULL;
    const double before = oh_watch_last(&r->watch)->resident;
    int result = oh_trim(r->pid, oh_watch_last(&r->watch)->allocator, &call, err);
    if (result < 0) {
        return result;
    }
    result = oh_watch_look_again(&r->watch, err);
    if (result == 0) {
        const double after = oh_watch_last(&r->watch)->resident;
        char given[OH_HUMAN_BYTES];
        char left[OH_HUMAN_BYTES];
        oh_human_format_bytes(before > after ? before - after : 0, given);
        oh_human_format_bytes(after, left);
        r->trimmed = oh_str_printf("%s gave back %s: the resident size is now %s; the table above "
                                   "is of after it",
                                   call, given, left);
    }
    return result;
}

static volatile sig_atomic_t is_interrupted;

static void take_interrupt(int number)
{
    is_interrupted = number;
}

// ^C ends the watch, with what was seen until then; where it is ignored it stays so.
static void catch_interrupt(struct sigaction *inherited)
{
    const struct sigaction caught = {.sa_handler = take_interrupt};
    if (sigaction(SIGINT, NULL, inherited) == 0 && inherited->sa_handler == SIG_DFL) {
        (void)sigaction(SIGINT, &caught, NULL);
    }
}

// *was_seen: at least one look succeeded.
static int report_live(const struct oh_memory_options *o, pid_t pid, const char *recording,
                       bool *was_seen, struct oh_err *err)
{
    struct oh_memory_run r = {.o = o, .pid = pid};
    const struct oh_watch_request request = {
        .pid = pid, .recording = recording, .duration_ns = o->watch_ns, .is_over = &is_interrupted};
    struct sigaction inherited = {.sa_handler = SIG_DFL};
    if (o->watch_ns != 0) {
        catch_interrupt(&inherited);
    }
    if (o->url != NULL && o->watch_ns != 0) {
        struct oh_err asked; // What is wrong is told after the watch.
        r.has_first_stats = oh_gostats_fetch(o->url, &r.first_stats, &asked) == 0;
    }
    const int looked = oh_watch_take(&request, &r.watch, err);
    if (o->watch_ns != 0) {
        (void)sigaction(SIGINT, &inherited, NULL);
    }
    int result = looked;
    *was_seen = r.watch.count > 0;
    if (o->url != NULL && r.watch.count > 0) {
        struct oh_err asked;
        r.has_stats = oh_gostats_fetch(o->url, &r.stats, &asked) == 0;
        if (!r.has_stats) {
            (void)oh_list_add(&r.notes, "--go: %s", asked.text);
        }
    }
    if (r.watch.count > 0) {
        const bool has_both = r.has_first_stats && r.has_stats;
        oh_verdict_find(r.watch.looks, r.watch.count, &r.verdict);
        oh_verdict_explain_go(&r.verdict, has_both ? &r.first_stats : NULL,
                              has_both ? &r.stats : NULL);
    }
    if (looked == 0 && o->is_trim) {
        result = trim(&r, err);
    }
    (void)oh_status_read("", pid, &r.status);
    if (oh_cgroup_read("", pid, &r.group) < 0) {
        result = oh_err_no_memory(err);
    } else if (r.watch.count > 0 || (looked != -ESRCH && looked != -ENODATA)) {
        struct oh_err printing;
        if (print_report(&r, result < 0 ? err->text : NULL, &printing) < 0) {
            *err = printing;
            result = -EIO;
        }
    }
    oh_cgroup_fini(&r.group);
    oh_watch_fini(&r.watch);
    oh_list_fini(&r.notes);
    free(r.title);
    free(r.trimmed);
    return result;
}

static int print_dead(const struct oh_memory_options *o, struct oh_reader *reader,
                      struct oh_memory_report *report, struct oh_err *err)
{
    struct oh_past past;
    struct oh_verdict verdict;
    uint32_t past_s = 0;
    struct oh_timeline *const timeline = malloc(sizeof *timeline);
    if (timeline == NULL) {
        return oh_err_no_memory(err);
    }
    oh_timeline_read(&reader->view, timeline);
    (void)oh_report_choose_past(timeline, 0, &past_s);
    const uint32_t end_s = oh_growth_end_second(reader, timeline);
    int result = oh_past_read(reader, timeline, past_s, end_s, &past, err);
    if (result == 0) {
        oh_past_judge(&past, &verdict);
        report->past = &past;
        report->verdict = &verdict;
        if (o->is_json) {
            oh_json_print(stdout, report);
        } else {
            result = oh_memory_past_print(stdout, reader, report, err);
        }
    }
    free(timeline);
    return result;
}

// A recording whose process is gone has no resident memory; what it held is told.
static int report_dead(const struct oh_memory_options *o, struct oh_reader *reader,
                       struct oh_err *err)
{
    struct oh_list notes = {0};
    int result = oh_reader_collect_warnings(reader, &notes);
    char state[256] = "";
    (void)oh_reader_describe_state(reader->view.header, reader->owner, state, sizeof state);
    char *const title =
        oh_str_printf("Memory of %s, pid %d (gone, %s)", oh_words_exe(&reader->view),
                      (int)reader->view.header->pid, state);
    if (result < 0 || title == NULL) {
        result = oh_err_no_memory(err);
    } else {
        struct oh_memory_report report = {.title = title, .what = o->what, .notes = &notes};
        result = print_dead(o, reader, &report, err);
    }
    free(title);
    oh_list_fini(&notes);
    return result;
}

// The live process of what is named, 0: there is none. path: its recording, when that was named.
static int find_live(const char *what, pid_t *pid, const char **path, struct oh_err *err)
{
    struct oh_reader reader;
    struct oh_proc proc;
    *path = NULL;
    if (oh_reader_target(what, pid) == OH_TARGET_PID) {
        const bool is_there = oh_proc_get(*pid, &proc) == 0;
        if (is_there) {
            *pid = proc.has_ended ? 0 : *pid;
            oh_proc_fini(&proc);
        }
        *pid = is_there ? *pid : 0;
        return 0;
    }
    const int result = oh_reader_open_file(&reader, what, err);
    if (result == 0) {
        *pid = reader.pid;
        *path = what;
        oh_reader_close(&reader);
    }
    return result;
}

static int report(const struct oh_memory_options *o, struct oh_err *err)
{
    struct oh_reader reader;
    const char *path = NULL;
    pid_t pid = 0;
    bool was_seen = false;
    int result = find_live(o->what, &pid, &path, err);
    if (result < 0) {
        return result;
    }
    if (pid != 0) {
        result = report_live(o, pid, path, &was_seen, err);
        if (result != -ESRCH || was_seen) {
            return result;
        }
        // It has ended just now: what it left is shown.
    }
    result = oh_reader_open(&reader, o->what, err);
    if (result == 0) {
        result = report_dead(o, &reader, err);
        oh_reader_close(&reader);
    }
    return result;
}

static int run(const struct oh_cli_command *command, int argc, char **argv)
{
    struct oh_memory_options o = {0};
    struct oh_err err = {.text = ""};
    const int status = parse(command, argc, argv, &o);
    if (status >= 0) {
        return status;
    }
    if (report(&o, &err) < 0) {
        (void)fflush(stdout);
        oh_cli_print_error(&err);
        return OH_EXIT_FAILED;
    }
    return OH_EXIT_OK;
}

static const struct oh_cli_command memory_command = {
    .name = "memory",
    .page = "offheap-memory",
    .help = "Show where a process's resident memory is, and with --watch what grows",
    .synopsis = "[OPTIONS] PID | RECORDING",
    .options = options,
    .run = run,
};

const struct oh_cli_command *oh_cmd_memory(void)
{
    return &memory_command;
}
