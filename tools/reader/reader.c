// SPDX-License-Identifier: Apache-2.0
//
// Opens what the user names, and gives a checked view of a copy of it.

#include "reader/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"
#include "profile/timeline.h"
#include "reader/explain.h"
#include "reader/locate.h"
#include "reader/why.h"

enum oh_reader_target oh_reader_target(const char *what, pid_t *pid)
{
    uint64_t number = 0;
    struct stat info;
    if (!oh_str_parse_u64(what, &number) || number == 0 || number > INT32_MAX ||
        stat(what, &info) == 0) {
        return OH_TARGET_FILE;
    }
    *pid = (pid_t)number;
    return OH_TARGET_PID;
}

// Takes over the descriptor.
static int open_fd(struct oh_reader *reader, int fd, const char *path, struct oh_err *err)
{
    struct oh_reader opened = {.path = strdup(path)};
    int result = opened.path == NULL ? oh_err_no_memory(err)
                                     : oh_snapshot_take(fd, path, &opened.snapshot, err);
    (void)close(fd);
    if (result == 0) {
        struct oh_view_fault fault = {.section = "header"};
        const struct oh_snapshot *const copy = &opened.snapshot;
        result = oh_view_open(&opened.view, copy->bytes, copy->size, &fault);
        if (result < 0) {
            result = oh_explain_fault(&fault, path, copy->bytes, copy->size, err);
        }
    }
    if (result < 0) {
        oh_reader_close(&opened);
        return result;
    }
    *reader = opened;
    return 0;
}

static int check_kind(int fd, const char *path, struct oh_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return oh_err_set(err, -errno, "cannot look at %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        return oh_err_set(err, -EISDIR,
                          "%s is a directory\ntry: name one recording in it (*%s); "
                          "`OFFHEAP_DIR=%s offheap list` shows them",
                          path, OH_LOCATE_SUFFIX, path);
    }
    if (!S_ISREG(info.st_mode)) {
        return oh_err_set(err, -EINVAL, "%s is not a regular file, so it is not a recording", path);
    }
    return 0;
}

int oh_reader_open_file(struct oh_reader *reader, const char *path, struct oh_err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return oh_explain_open(-errno, path, err);
    }
    int result = check_kind(fd, path, err);
    if (result < 0) {
        (void)close(fd);
        return result;
    }
    result = open_fd(reader, fd, path, err);
    if (result == 0) {
        reader->owner = oh_owner_find(path, reader->view.header);
        reader->pid = reader->owner == OH_OWNER_ALIVE ? (pid_t)reader->view.header->pid : 0;
    }
    return result;
}

struct oh_left_search {
    pid_t pid;
    char *path; // The newest.
    uint64_t start;
    size_t count;
};

static int match_left(void *arg, const char *path)
{
    struct oh_left_search *const search = arg;
    struct oh_recording_name name;
    if (!oh_locate_parse_name(oh_path_base(path), &name) || name.pid != search->pid) {
        return 0;
    }
    search->count++;
    if (search->path == NULL || name.start >= search->start) {
        free(search->path);
        search->path = strdup(path);
        search->start = name.start;
    }
    return search->path != NULL ? 0 : -ENOMEM;
}

// The process is gone: what it left, the newest when its number was used several times.
static int open_left(struct oh_reader *reader, pid_t pid, struct oh_err *err)
{
    struct oh_left_search search = {.pid = pid};
    const char *dirs[OH_PATH_RECORDING_DIRS];
    const size_t dir_count = oh_path_recording_dirs(dirs);
    for (size_t i = 0; i < dir_count; i++) {
        (void)oh_locate_each_file(dirs[i], match_left, &search);
    }
    int result = 0;
    if (search.path == NULL) {
        result = oh_err_set(err, -ESRCH,
                            "there is no process %d, and no recording of one in the recording "
                            "directories (OFFHEAP_DIR, TMPDIR, /var/tmp, /tmp)\ntry: `offheap "
                            "list`, or name the recording's file",
                            (int)pid);
    } else {
        result = oh_reader_open_file(reader, search.path, err);
    }
    free(search.path);
    return result;
}

static int refuse_foreign(pid_t pid, uid_t uid, int code, struct oh_err *err)
{
    return oh_err_set(err, code,
                      "process %d belongs to uid %u, and you (uid %u) may not look into it\n"
                      "try: the same command as that user, or with sudo",
                      (int)pid, (unsigned)uid, (unsigned)geteuid());
}

// A forked child shares its parent's mapping, but writes nothing into it.
static int check_owner(const struct oh_reader *reader, const struct oh_proc *proc,
                       struct oh_err *err)
{
    if (oh_owner_is(reader->view.header, proc)) {
        return 0;
    }
    const pid_t owner = oh_owner_of_child(reader->view.header, proc);
    return oh_err_set(err, -ENOENT,
                      "process %d is a forked child of the recorded process %d; what a child "
                      "allocates without an exec of its own is not recorded\ntry: `offheap export "
                      "%d`",
                      (int)proc->pid, (int)owner, (int)owner);
}

static int open_live(struct oh_reader *reader, const struct oh_proc *proc, struct oh_err *err)
{
    struct oh_mapped_recording found;
    int result = oh_locate_mapped(proc->pid, &found);
    if (result == -ENOENT) {
        char why[512];
        (void)oh_why_not_recorded(proc, why, sizeof why);
        return oh_err_set(err, -ENOENT, "process %d (%s) is not recorded: %s", (int)proc->pid,
                          proc->comm, why);
    }
    if (result < 0) {
        return result == -ESRCH ? open_left(reader, proc->pid, err)
                                : refuse_foreign(proc->pid, proc->uid, result, err);
    }
    const int fd = oh_locate_open_mapped(proc->pid, &found);
    if (fd >= 0) {
        result = open_fd(reader, fd, found.path, err);
    } else if (fd == -EACCES || fd == -EPERM) {
        result = refuse_foreign(proc->pid, proc->uid, fd, err);
    } else {
        result = oh_err_set(err, fd, "cannot open the recording %s of process %d: %s", found.path,
                            (int)proc->pid, strerror(-fd));
    }
    oh_mapped_recording_fini(&found);
    if (result < 0) {
        return result;
    }
    result = check_owner(reader, proc, err);
    if (result < 0) {
        oh_reader_close(reader);
        return result;
    }
    reader->pid = proc->pid;
    reader->owner = OH_OWNER_ALIVE;
    return 0;
}

int oh_reader_open_pid(struct oh_reader *reader, pid_t pid, struct oh_err *err)
{
    struct oh_proc proc;
    int result = oh_proc_get(pid, &proc);
    if (result < 0 || proc.has_ended) {
        if (result == 0) {
            oh_proc_fini(&proc);
        }
        return open_left(reader, pid, err);
    }
    result = open_live(reader, &proc, err);
    oh_proc_fini(&proc);
    return result;
}

int oh_reader_open(struct oh_reader *reader, const char *what, struct oh_err *err)
{
    pid_t pid = 0;
    if (oh_reader_target(what, &pid) == OH_TARGET_PID) {
        return oh_reader_open_pid(reader, pid, err);
    }
    return oh_reader_open_file(reader, what, err);
}

void oh_reader_close(struct oh_reader *reader)
{
    oh_snapshot_fini(&reader->snapshot);
    free(reader->path);
    *reader = (struct oh_reader){0};
}

uint64_t oh_reader_time_ns(const struct oh_reader *reader)
{
    const struct oh_format_header *const header = reader->view.header;
    const bool is_over = header->state == OH_STATE_ENDED || header->state == OH_STATE_OFF;
    if (is_over && header->end_realtime_ns != 0) {
        return header->end_realtime_ns;
    }
    if (reader->pid != 0) {
        return reader->snapshot.taken_ns;
    }
    // A step tells more of a process that was killed than its file's time does: that is set when
    // the file is written to the disk, and again when it is copied.
    const uint64_t newest_ns = oh_timeline_newest_ns(&reader->view);
    return newest_ns != 0 ? header->start_realtime_ns + newest_ns : reader->snapshot.mtime_ns;
}

int oh_reader_peek(const char *path, struct oh_format_header *header)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) {
        return -errno;
    }
    struct oh_format_header read_header;
    const ssize_t got = pread(fd, &read_header, sizeof read_header, 0);
    const int result = got < 0 ? -errno : 0;
    (void)close(fd);
    if (result < 0) {
        return result;
    }
    if ((size_t)got < sizeof read_header ||
        memcmp(read_header.magic, OH_FORMAT_MAGIC, sizeof read_header.magic) != 0 ||
        read_header.endian_tag != OH_FORMAT_ENDIAN_TAG || read_header.major != OH_FORMAT_MAJOR) {
        return -EINVAL;
    }
    *header = read_header;
    return 0;
}
