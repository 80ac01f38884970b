// SPDX-License-Identifier: Apache-2.0
//
// What a report can be made of.

#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "cli/words.h"
#include "memory/residency.h"
#include "profile/decode.h"
#include "profile/gunzip.h"

// What a decoded profile may take in memory.
static const size_t arena_max_bytes = (size_t)8 << 30;

// A protobuf has no magic, but a profile begins with its first sample type: field 1, some bytes.
static bool looks_like_profile(const char *path)
{
    unsigned char bytes[2] = {0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return false;
    }
    const ssize_t got = read(fd, bytes, sizeof bytes);
    (void)close(fd);
    return got == (ssize_t)sizeof bytes &&
           (oh_gunzip_is_gzip(bytes, sizeof bytes) || bytes[0] == 0x0a);
}

static int open_profile(struct oh_input *input, const char *path, struct oh_err *err)
{
    int result = oh_arena_init_large(&input->made.arena, arena_max_bytes);
    if (result < 0) {
        return oh_err_no_memory(err);
    }
    result = oh_decode_file(path, &input->made.arena, &input->made.profile, err);
    if (result == 0) {
        input->title = oh_str_printf("Profile %s", path);
    }
    return result;
}

static char *recording_title(const struct oh_reader *reader)
{
    const struct oh_format_header *const header = reader->view.header;
    const bool is_alive = reader->pid != 0;
    char state[256] = "";
    (void)oh_reader_describe_state(header, reader->owner, state, sizeof state);
    return oh_str_printf("C memory of %s, pid %d (%s%s)", oh_words_exe(&reader->view),
                         is_alive ? (int)reader->pid : (int)header->pid,
                         is_alive ? "running, " : "gone, ", state);
}

static int build(struct oh_input *input, struct oh_reader *reader, const char *const *dirs,
                 size_t dir_count, bool is_resident, struct oh_err *err)
{
    if (!is_resident) {
        return oh_export_build(reader, dirs, dir_count, &input->made, &input->warnings, err);
    }
    if (reader->pid == 0) {
        return oh_err_set(err, -ESRCH,
                          "%s: the process is gone, and with it what was resident\ntry: the report "
                          "without --resident",
                          reader->path);
    }
    struct oh_residency_source source;
    int result = oh_residency_open("", reader->pid, &source, err);
    if (result == 0) {
        const struct oh_export_measure measure = {oh_residency_measure, &source};
        result = oh_export_build_measured(reader, dirs, dir_count, &measure, &input->made,
                                          &input->warnings, err);
        oh_residency_close(&source);
    }
    return result;
}

static int open_recording(struct oh_input *input, const char *what, const char *const *dirs,
                          size_t dir_count, bool is_resident, struct oh_err *err)
{
    struct oh_reader reader;
    int result = oh_reader_open(&reader, what, err);
    if (result < 0) {
        return result;
    }
    result = build(input, &reader, dirs, dir_count, is_resident, err);
    if (result == 0) {
        input->title = recording_title(&reader);
    }
    oh_reader_close(&reader);
    return result;
}

bool oh_input_is_profile(const char *what)
{
    pid_t pid = 0;
    return oh_reader_target(what, &pid) == OH_TARGET_FILE && looks_like_profile(what);
}

static int open_any(struct oh_input *input, const char *what, const char *const *dirs,
                    size_t dir_count, bool is_resident, struct oh_err *err)
{
    struct oh_input opened = {0};
    int result = 0;
    const bool is_profile = oh_input_is_profile(what);
    if (is_profile && is_resident) {
        result = oh_err_set(err, -EINVAL,
                            "%s is a profile, which has no residency\ntry: --resident with the PID "
                            "of a live process",
                            what);
    } else if (is_profile) {
        result = open_profile(&opened, what, err);
    } else {
        result = open_recording(&opened, what, dirs, dir_count, is_resident, err);
    }
    if (result == 0 && opened.title == NULL) {
        result = oh_err_no_memory(err);
    }
    if (result < 0) {
        oh_input_close(&opened);
        return result;
    }
    // The model refers to its arena by address.
    *input = opened;
    input->made.profile.arena = &input->made.arena;
    return 0;
}

int oh_input_from_reader(struct oh_input *input, struct oh_reader *reader, const char *const *dirs,
                         size_t dir_count, const struct oh_export_moment *moment,
                         struct oh_err *err)
{
    struct oh_input opened = {0};
    int result = oh_export_build_moment(reader, dirs, dir_count, moment, &opened.made,
                                        &opened.warnings, err);
    if (result == 0) {
        opened.title = recording_title(reader);
        result = opened.title == NULL ? oh_err_no_memory(err) : 0;
    }
    if (result < 0) {
        oh_input_close(&opened);
        return result;
    }
    *input = opened;
    input->made.profile.arena = &input->made.arena;
    return 0;
}

int oh_input_open(struct oh_input *input, const char *what, const char *const *dirs,
                  size_t dir_count, struct oh_err *err)
{
    return open_any(input, what, dirs, dir_count, false, err);
}

int oh_input_open_resident(struct oh_input *input, const char *what, const char *const *dirs,
                           size_t dir_count, struct oh_err *err)
{
    return open_any(input, what, dirs, dir_count, true, err);
}

void oh_input_close(struct oh_input *input)
{
    oh_export_fini(&input->made);
    oh_list_fini(&input->warnings);
    free(input->title);
    input->title = NULL;
}

struct oh_report_input oh_input_for_report(const struct oh_input *input)
{
    return (struct oh_report_input){
        .title = input->title, .profile = &input->made.profile, .warnings = &input->warnings};
}
