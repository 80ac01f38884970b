// SPDX-License-Identifier: Apache-2.0
//
// From an opened recording to a profile, and from a profile to a file.

#include "pprof/export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "pprof/source.h"
#include "profile/pprof.h"
#include "profile/symbols.h"
#include "profile/writer.h"

// What a profile may take in the command's own memory.
static const size_t arena_max_bytes = (size_t)8 << 30;

static int warn_modules(const struct oh_symbols *symbols, struct oh_list *warnings)
{
    int result = 0;
    for (uint32_t i = 0; i < symbols->module_count && result == 0; i++) {
        const struct oh_symbol_module *const m = &symbols->modules[i];
        const bool lost = m->verdict == OH_VERDICT_REPLACED || m->verdict == OH_VERDICT_MISSING ||
                          m->verdict == OH_VERDICT_UNREADABLE;
        if (lost && m->fallback_pcs != 0) {
            result =
                oh_list_add(warnings,
                            "%s: %s; %" PRIu64 " of its addresses are shown as [%s]; if you "
                            "have the recorded file elsewhere, name its directory with "
                            "--binary DIR",
                            m->path, oh_symbol_verdict_text(m->verdict), m->fallback_pcs, m->name);
        }
    }
    return result;
}

static int build(struct oh_reader *reader, const struct oh_symbol_source *source,
                 const struct oh_writer_options *wanted, struct oh_export *made,
                 struct oh_list *warnings)
{
    struct oh_symbols symbols = {0};
    int result = oh_symbols_init(&symbols, &made->arena, &reader->view, source, false);
    if (result < 0) {
        return result;
    }
    struct oh_writer_options options = *wanted;
    options.time_ns = oh_reader_time_ns(reader);
    result = oh_writer_build(&reader->view, &symbols, &options, &made->arena, &made->profile);
    if (result == 0) {
        result = warn_modules(&symbols, warnings);
    }
    oh_symbols_fini(&symbols);
    return result;
}

static int build_wanted(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                        const struct oh_writer_options *wanted, struct oh_export *made,
                        struct oh_list *warnings, struct oh_err *err)
{
    struct oh_source *source = NULL;
    int result = oh_source_create(dirs, dir_count, reader->pid, &source, err);
    if (result < 0) {
        return result;
    }
    *made = (struct oh_export){0};
    result = oh_arena_init_large(&made->arena, arena_max_bytes);
    if (result == 0) {
        result = build(reader, oh_source_ops(source), wanted, made, warnings);
    }
    oh_source_destroy(source);
    if (result < 0) {
        oh_export_fini(made);
        return oh_err_set(err, result, "cannot make a profile of %s: %s", reader->path,
                          strerror(-result));
    }
    return 0;
}

int oh_export_build(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                    struct oh_export *made, struct oh_list *warnings, struct oh_err *err)
{
    const struct oh_writer_options plain = {0};
    return build_wanted(reader, dirs, dir_count, &plain, made, warnings, err);
}

int oh_export_build_measured(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                             const struct oh_export_measure *measure, struct oh_export *made,
                             struct oh_list *warnings, struct oh_err *err)
{
    const struct oh_writer_options measured = {.measure = measure->measure,
                                               .measure_arg = measure->arg};
    return build_wanted(reader, dirs, dir_count, &measured, made, warnings, err);
}

int oh_export_build_moment(struct oh_reader *reader, const char *const *dirs, size_t dir_count,
                           const struct oh_export_moment *moment, struct oh_export *made,
                           struct oh_list *warnings, struct oh_err *err)
{
    const struct oh_writer_options then = {.past_s = moment->past_s,
                                           .errors_since_s = moment->errors_since_s};
    return build_wanted(reader, dirs, dir_count, &then, made, warnings, err);
}

int oh_export_build_chosen(struct oh_reader *reader, const struct oh_export_choice *choice,
                           struct oh_export *made, struct oh_err *err)
{
    const struct oh_writer_options chosen = {
        .want = choice->want, .want_arg = choice->arg, .errors_since_s = choice->errors_since_s};
    return build_wanted(reader, NULL, 0, &chosen, made, NULL, err);
}

void oh_export_fini(struct oh_export *made)
{
    oh_arena_fini(&made->arena);
    *made = (struct oh_export){0};
}

static int write_fd(void *arg, const void *data, size_t size)
{
    const int fd = *(const int *)arg;
    const char *at = data;
    while (size > 0) {
        const ssize_t put = write(fd, at, size);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -errno;
        }
        at += put;
        size -= (size_t)put;
    }
    return 0;
}

static int explain_write(int code, const char *path, struct oh_err *err)
{
    return oh_err_set(err, code, "cannot write the profile %s: %s\ntry: another file with -o FILE",
                      path, strerror(-code));
}

// The profile under a name of its own, then in place of what was there.
static int write_and_rename(struct oh_profile *profile, const char *path, const char *part)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        return -errno;
    }
    int result = oh_pprof_write(profile, write_fd, &fd);
    if (close(fd) != 0 && result == 0) {
        result = -errno;
    }
    if (result == 0 && rename(part, path) != 0) {
        result = -errno;
    }
    if (result < 0) {
        (void)unlink(part);
    }
    return result;
}

// A device or a pipe is written as it is: nothing can be renamed over it.
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

int oh_export_write(struct oh_profile *profile, const char *path, struct oh_err *err)
{
    int result = 0;
    if (strcmp(path, "-") == 0) {
        int fd = STDOUT_FILENO;
        result = oh_pprof_write(profile, write_fd, &fd);
        return result < 0 ? explain_write(result, "(standard output)", err) : 0;
    }
    if (is_special(path)) {
        int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        result = fd < 0 ? -errno : oh_pprof_write(profile, write_fd, &fd);
        if (fd >= 0) {
            (void)close(fd);
        }
        return result < 0 ? explain_write(result, path, err) : 0;
    }
    char *const part = oh_str_printf("%s.%d.part", path, (int)getpid());
    if (part == NULL) {
        return oh_err_no_memory(err);
    }
    result = write_and_rename(profile, path, part);
    free(part);
    return result < 0 ? explain_write(result, path, err) : 0;
}
