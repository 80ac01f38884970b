// SPDX-License-Identifier: Apache-2.0
//
// Who writes a recording.

#include "reader/owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/proc.h"
#include "reader/locate.h"
#include "reader/reader.h"

bool oh_owner_is_alive(const struct oh_format_header *header)
{
    struct oh_proc proc;
    if (oh_proc_get((pid_t)header->pid, &proc) < 0) {
        return false;
    }
    const bool is_same = proc.start_ticks == header->start_ticks && !proc.has_ended &&
                         header->state != OH_STATE_ENDED;
    oh_proc_fini(&proc);
    return is_same;
}

// The kernel counts a process's start from another moment in another time namespace.
static bool has_our_clock(pid_t pid)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/%d/ns/time", (int)pid);
    char *const ours = oh_proc_read_link("/proc/self/ns/time");
    char *const its = oh_proc_read_link(link);
    const bool is_same = ours != NULL && its != NULL && strcmp(ours, its) == 0;
    free(ours);
    free(its);
    return is_same;
}

static bool is_named(const struct oh_format_header *header, const struct oh_proc *proc)
{
    const pid_t pid = (pid_t)header->pid;
    return (pid == proc->ns_pid || pid == proc->pid) &&
           (header->start_ticks == proc->start_ticks || header->start_ticks == 0 ||
            !has_our_clock(proc->pid));
}

static bool map_the_same(pid_t pid, pid_t other)
{
    struct oh_mapped_recording its;
    struct oh_mapped_recording others;
    if (oh_locate_mapped(pid, &its) < 0) {
        return false;
    }
    bool is_same = false;
    if (oh_locate_mapped(other, &others) == 0) {
        is_same = its.inode == others.inode && its.device == others.device;
        oh_mapped_recording_fini(&others);
    }
    oh_mapped_recording_fini(&its);
    return is_same;
}

// The clock of starts is coarse: a child may have been forked in the tick that its parent began in.
bool oh_owner_is(const struct oh_format_header *header, const struct oh_proc *proc)
{
    struct oh_proc parent;
    if (!is_named(header, proc)) {
        return false;
    }
    if (proc->parent <= 0 || oh_proc_get(proc->parent, &parent) < 0) {
        return true;
    }
    const bool is_parents = is_named(header, &parent) && map_the_same(proc->pid, parent.pid);
    oh_proc_fini(&parent);
    return !is_parents;
}

pid_t oh_owner_of_child(const struct oh_format_header *header, const struct oh_proc *proc)
{
    enum { GENERATIONS_MAX = 64 };
    struct oh_proc ancestor;
    pid_t next = proc->parent;
    for (int i = 0; i < GENERATIONS_MAX && next > 0 && oh_proc_get(next, &ancestor) == 0; i++) {
        const bool is_owner = oh_owner_is(header, &ancestor);
        next = ancestor.parent;
        oh_proc_fini(&ancestor);
        if (is_owner) {
            return ancestor.pid;
        }
    }
    return (pid_t)header->pid;
}

// Names are unlike, also of one process; of a copy under a name of its own the header tells.
static bool is_recording_of(const char *mapped, const char *path,
                            const struct oh_format_header *header)
{
    struct oh_recording_name name;
    if (oh_locate_parse_name(oh_path_base(path), &name)) {
        return strcmp(oh_path_base(mapped), oh_path_base(path)) == 0;
    }
    return !oh_locate_parse_name(oh_path_base(mapped), &name) || oh_locate_is_named(&name, header);
}

static enum oh_owner find_live(const char *path, const struct oh_format_header *header)
{
    struct oh_mapped_recording found;
    const int result = oh_locate_mapped((pid_t)header->pid, &found);
    if (result == -ENOENT) { // It maps none; also when it has ended since it was looked at.
        return oh_owner_is_alive(header) ? OH_OWNER_REPLACED : OH_OWNER_GONE;
    }
    if (result < 0) {
        return result == -ESRCH ? OH_OWNER_GONE : OH_OWNER_ALIVE;
    }
    const bool is_own = is_recording_of(found.path, path, header);
    oh_mapped_recording_fini(&found);
    return is_own ? OH_OWNER_ALIVE : OH_OWNER_REPLACED;
}

static int match_newer(void *arg, const char *path)
{
    const struct oh_format_header *const header = arg;
    struct oh_recording_name name;
    struct oh_format_header other;
    if (!oh_locate_parse_name(oh_path_base(path), &name) || name.pid != (pid_t)header->pid ||
        oh_reader_peek(path, &other) < 0) {
        return 0;
    }
    return other.pid == header->pid && other.start_ticks == header->start_ticks &&
           other.start_realtime_ns > header->start_realtime_ns;
}

static bool has_newer(const char *path, struct oh_format_header *header)
{
    char *const dir = oh_path_dir(path);
    const bool found = dir != NULL && oh_locate_each_file(dir, match_newer, header) > 0;
    free(dir);
    return found;
}

enum oh_owner oh_owner_find(const char *path, const struct oh_format_header *header)
{
    struct oh_format_header own = *header;
    if (own.state == OH_STATE_ENDED) {
        return OH_OWNER_GONE;
    }
    if (oh_owner_is_alive(&own)) {
        return find_live(path, &own);
    }
    return has_newer(path, &own) ? OH_OWNER_REPLACED : OH_OWNER_GONE;
}
