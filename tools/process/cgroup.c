// SPDX-License-Identifier: Apache-2.0
//
// The files of the memory controller.

#include "process/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "process/cgroup_path.h"

enum { OH_CGROUP_FILE_MAX = 1 << 20 };

// v1 has no word for "no limit": the largest number of pages, whatever a page is.
static const uint64_t v1_no_limit = UINT64_C(1) << 62;

// NULL when there is no such file (or no memory, which is the same to us).
static char *read_file(const char *directory, const char *name)
{
    char *const path = oh_path_join(directory, name);
    char *text = NULL;
    size_t length = 0;
    if (path == NULL || oh_file_read(path, OH_CGROUP_FILE_MAX, &text, &length) < 0) {
        text = NULL;
    }
    free(path);
    return text;
}

static uint64_t parse_number(const char *text)
{
    if (strncmp(text, "max", strlen("max")) == 0) {
        return OH_CGROUP_NO_LIMIT;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    return end == text || errno != 0 ? OH_CGROUP_ABSENT : number;
}

static uint64_t read_number(const char *directory, const char *name)
{
    char *const text = read_file(directory, name);
    const uint64_t number = text != NULL ? parse_number(text) : OH_CGROUP_ABSENT;
    free(text);
    return number;
}

static uint64_t read_v1_limit(const char *directory, const char *name)
{
    const uint64_t number = read_number(directory, name);
    return number != OH_CGROUP_ABSENT && number >= v1_no_limit ? OH_CGROUP_NO_LIMIT : number;
}

// The number behind a key at the begin of a line.
static uint64_t find_key(const char *text, const char *key)
{
    const size_t length = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            return parse_number(line + length + 1);
        }
        const char *const end = strchr(line, '\n');
        line = end != NULL ? end + 1 : NULL;
    }
    return OH_CGROUP_ABSENT;
}

// Sums what is there; ABSENT when nothing is.
static uint64_t sum_keys(const char *text, const char *const *keys, size_t count)
{
    uint64_t sum = 0;
    bool is_there = false;
    for (size_t i = 0; i < count; i++) {
        const uint64_t number = find_key(text, keys[i]);
        if (number < OH_CGROUP_NO_LIMIT) {
            sum += number;
            is_there = true;
        }
    }
    return is_there ? sum : OH_CGROUP_ABSENT;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a == OH_CGROUP_ABSENT || b == OH_CGROUP_ABSENT ? a : a > b ? a - b : 0;
}

static void read_v2_stat(const char *directory, struct oh_cgroup *group)
{
    static const char *const kernel_parts[] = {"kernel_stack", "pagetables", "sec_pagetables",
                                               "percpu", "slab"};
    static const char *const reclaimable[] = {"active_file", "inactive_file", "slab_reclaimable"};
    char *const text = read_file(directory, "memory.stat");
    if (text == NULL) {
        return;
    }
    group->anonymous = find_key(text, "anon");
    group->shmem = find_key(text, "shmem");
    group->file = minus(find_key(text, "file"), group->shmem);
    group->kernel = find_key(text, "kernel");
    if (group->kernel == OH_CGROUP_ABSENT) {
        group->kernel = sum_keys(text, kernel_parts, sizeof kernel_parts / sizeof kernel_parts[0]);
    }
    group->reclaimable = sum_keys(text, reclaimable, sizeof reclaimable / sizeof reclaimable[0]);
    free(text);
}

static void read_v2(const char *directory, struct oh_cgroup *group)
{
    group->current = read_number(directory, "memory.current");
    group->peak = read_number(directory, "memory.peak");
    group->max = read_number(directory, "memory.max");
    group->high = read_number(directory, "memory.high");
    group->swap = read_number(directory, "memory.swap.current");
    read_v2_stat(directory, group);
    char *const events = read_file(directory, "memory.events");
    if (events != NULL) {
        group->high_events = find_key(events, "high");
        group->max_events = find_key(events, "max");
        group->oom_events = find_key(events, "oom");
        group->oom_kills = find_key(events, "oom_kill");
    }
    free(events);
}

// The keys with "total_" are of the group and what is below it, as memory.stat of v2 has it.
static void read_v1_stat(const char *directory, struct oh_cgroup *group)
{
    static const char *const reclaimable[] = {"total_active_file", "total_inactive_file"};
    char *const text = read_file(directory, "memory.stat");
    if (text == NULL) {
        return;
    }
    group->anonymous = find_key(text, "total_rss");
    group->shmem = find_key(text, "total_shmem");
    group->file = minus(find_key(text, "total_cache"), group->shmem);
    group->swap = find_key(text, "total_swap");
    group->reclaimable = sum_keys(text, reclaimable, sizeof reclaimable / sizeof reclaimable[0]);
    const uint64_t limit = find_key(text, "hierarchical_memory_limit");
    group->limit = limit != OH_CGROUP_ABSENT && limit >= v1_no_limit ? OH_CGROUP_NO_LIMIT : limit;
    free(text);
}

static void read_v1(const char *directory, struct oh_cgroup *group)
{
    group->current = read_number(directory, "memory.usage_in_bytes");
    group->peak = read_number(directory, "memory.max_usage_in_bytes");
    group->max = read_v1_limit(directory, "memory.limit_in_bytes");
    group->high = read_v1_limit(directory, "memory.soft_limit_in_bytes");
    group->kernel = read_number(directory, "memory.kmem.usage_in_bytes");
    group->max_events = read_number(directory, "memory.failcnt");
    read_v1_stat(directory, group);
    char *const control = read_file(directory, "memory.oom_control");
    if (control != NULL) {
        group->oom_kills = find_key(control, "oom_kill");
    }
    free(control);
}

// The least limit from the group up to the mount.
static void find_limit(const struct oh_cgroup_path *path, struct oh_cgroup *group)
{
    const char *const file = path->version == 2 ? "memory.max" : "memory.limit_in_bytes";
    char *const directory = strdup(path->directory);
    if (group->limit == OH_CGROUP_ABSENT) {
        group->limit = group->max;
    }
    while (directory != NULL && strlen(directory) > path->top) {
        *strrchr(directory, '/') = '\0';
        const uint64_t above =
            path->version == 2 ? read_number(directory, file) : read_v1_limit(directory, file);
        if (above < group->limit && above != OH_CGROUP_ABSENT) {
            group->limit = above;
        }
    }
    free(directory);
}

int oh_cgroup_read(const char *root, pid_t pid, struct oh_cgroup *group)
{
    struct oh_cgroup_path path = {0};
    struct oh_cgroup found;
    memset(&found, 0xff, sizeof found); // Every number is absent.
    found.version = 0;
    found.name = NULL;
    found.directory = NULL;
    found.reason[0] = '\0';
    const int result = oh_cgroup_find(root, pid, &path, found.reason, sizeof found.reason);
    if (result == -ENOMEM) {
        return result;
    }
    if (result < 0) {
        if (found.reason[0] == '\0') {
            (void)snprintf(found.reason, sizeof found.reason, "/proc/%d/cgroup: %s", (int)pid,
                           result == -ESRCH ? "the process is gone" : strerror(-result));
        }
        *group = found;
        return 0;
    }
    found.version = path.version;
    if (path.version == 2) {
        read_v2(path.directory, &found);
    } else {
        read_v1(path.directory, &found);
    }
    find_limit(&path, &found);
    found.name = path.name;
    found.directory = path.directory;
    if (found.current == OH_CGROUP_ABSENT) {
        found.version = 0;
        (void)snprintf(found.reason, sizeof found.reason,
                       "the group %.200s is gone, or may not be read", path.name);
    }
    *group = found;
    return 0;
}

void oh_cgroup_fini(struct oh_cgroup *group)
{
    free(group->name);
    free(group->directory);
    group->name = NULL;
    group->directory = NULL;
}

uint64_t oh_cgroup_unreclaimable(const struct oh_cgroup *group)
{
    if (group->version == 0 || group->reclaimable == OH_CGROUP_ABSENT) {
        return OH_CGROUP_ABSENT;
    }
    return minus(group->current, group->reclaimable);
}
