// SPDX-License-Identifier: Apache-2.0
//
// What /proc says of a process.

#include "base/proc.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/path.h"

enum {
    OH_PROC_FILE_MAX = 64 << 20,
    OH_PROC_EXITING = 0x4,       // PF_EXITING of the kernel's sched.h,
    OH_PROC_KERNEL = 0x00200000, // and PF_KTHREAD.
};

// A file of the process's directory; a process that has gone is -ESRCH.
static int read_proc_file(pid_t pid, const char *name, char **data, size_t *len)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    const int result = oh_file_read(path, OH_PROC_FILE_MAX, data, len);
    return result == -ENOENT ? -ESRCH : result;
}

// The command's name may hold blanks and parentheses: the last ')' ends it.
int oh_proc_parse_stat(const char *stat, struct oh_proc *proc)
{
    const char *const open = strchr(stat, '(');
    const char *const close = strrchr(stat, ')');
    if (open == NULL || close == NULL || close < open) {
        return -EINVAL;
    }
    (void)snprintf(proc->comm, sizeof proc->comm, "%.*s", (int)(close - open - 1), open + 1);
    const char *at = close + 1;
    // After the name: state is field 3, the parent field 4, the kernel's flags are field 9, start_ticks field 22, the
    // stack's begin field 28.
    for (int field = 3; field <= 28; field++) {
        at += strspn(at, " ");
        if (field == 3) {
            proc->state = *at;
            proc->has_ended = *at == 'Z' || *at == 'X';
        } else if (field == 4) {
            proc->parent = (pid_t)strtol(at, NULL, 10);
        } else if (field == 9) {
            // Between giving up its memory and becoming a zombie, too.
            const unsigned long flags = strtoul(at, NULL, 10);
            proc->has_ended |= (flags & OH_PROC_EXITING) != 0;
            proc->is_kernel = (flags & OH_PROC_KERNEL) != 0;
        } else if (field == 22) {
            proc->start_ticks = strtoull(at, NULL, 10);
        } else if (field == 28) {
            proc->stack_start = strtoull(at, NULL, 10);
        }
        at += strcspn(at, " ");
    }
    return 0;
}

static void parse_status(const char *status, struct oh_proc *proc)
{
    const char *line = strstr(status, "\nUid:");
    if (line != NULL) {
        proc->uid = (uid_t)strtoul(line + strlen("\nUid:"), NULL, 10);
    }
    line = strstr(status, "\nNSpid:");
    if (line == NULL) {
        return;
    }
    // One number per namespace, the innermost last.
    const char *at = line + strlen("\nNSpid:");
    char *end = NULL;
    for (;;) {
        at += strspn(at, " \t");
        const long number = strtol(at, &end, 10);
        if (end == at) {
            break;
        }
        proc->ns_pid = (pid_t)number;
        at = end;
    }
}

// What the kernel adds to the name of a file that is removed. True: it stood there.
static bool cut_deleted(char *name)
{
    static const char deleted[] = " (deleted)";
    if (!oh_str_ends_with(name, deleted)) {
        return false;
    }
    name[strlen(name) - strlen(deleted)] = '\0';
    return true;
}

char *oh_proc_read_link(const char *link)
{
    char target[PATH_MAX];
    const ssize_t len = readlink(link, target, sizeof target - 1);
    if (len < 0) {
        return NULL;
    }
    target[len] = '\0';
    (void)cut_deleted(target);
    return strdup(target);
}

static char *read_exe(pid_t pid)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    return oh_proc_read_link(link);
}

int oh_proc_get(pid_t pid, struct oh_proc *proc)
{
    struct oh_proc found = {.pid = pid, .ns_pid = pid};
    char *text = NULL;
    size_t len = 0;
    int result = read_proc_file(pid, "stat", &text, &len);
    if (result < 0) {
        return result;
    }
    result = oh_proc_parse_stat(text, &found);
    free(text);
    if (result < 0) {
        return result;
    }
    result = read_proc_file(pid, "status", &text, &len);
    if (result < 0) {
        return result;
    }
    parse_status(text, &found);
    free(text);
    found.exe = read_exe(pid);
    *proc = found;
    return 0;
}

void oh_proc_fini(struct oh_proc *proc)
{
    free(proc->exe);
    proc->exe = NULL;
}

int oh_proc_environ(pid_t pid, const char *name, char **value)
{
    char *block = NULL;
    size_t len = 0;
    int result = read_proc_file(pid, "environ", &block, &len);
    if (result < 0) {
        return result;
    }
    const size_t name_len = strlen(name);
    result = -ENOENT;
    for (const char *at = block; at < block + len; at += strlen(at) + 1) {
        if (strncmp(at, name, name_len) == 0 && at[name_len] == '=') {
            *value = strdup(at + name_len + 1);
            result = *value != NULL ? 0 : -ENOMEM;
            break;
        }
    }
    free(block);
    return result;
}

int oh_proc_is_secure(pid_t pid, bool *is_secure)
{
    char *block = NULL;
    size_t len = 0;
    const int result = read_proc_file(pid, "auxv", &block, &len);
    if (result < 0) {
        return result;
    }
    *is_secure = false;
    for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= len; at += sizeof(Elf64_auxv_t)) {
        Elf64_auxv_t entry;
        memcpy(&entry, block + at, sizeof entry);
        if (entry.a_type == AT_SECURE) {
            *is_secure = entry.a_un.a_val != 0;
        }
    }
    free(block);
    return 0;
}

// "start-end perms offset dev inode   path"
bool oh_proc_parse_map(char *line, struct oh_proc_map *map)
{
    unsigned major_number = 0;
    unsigned minor_number = 0;
    int path_at = 0;
    *map = (struct oh_proc_map){.path = ""};
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &map->start,
               &map->end, map->permissions, &map->offset, &major_number, &minor_number, &map->inode,
               &path_at) < 7 ||
        strlen(map->permissions) < 4) {
        return false;
    }
    map->device = makedev(major_number, minor_number);
    map->is_deleted = cut_deleted(line + path_at);
    map->path = line + path_at;
    return true;
}

int oh_proc_each_map(pid_t pid, oh_proc_map_fn *fn, void *arg)
{
    char *text = NULL;
    size_t len = 0;
    int result = read_proc_file(pid, "maps", &text, &len);
    if (result < 0) {
        return result;
    }
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && result == 0;
         line = strsep(&rest, "\n")) {
        struct oh_proc_map map;
        if (oh_proc_parse_map(line, &map)) {
            result = fn(arg, &map);
        }
    }
    free(text);
    return result;
}

static int compare_pids(const void *a, const void *b)
{
    const pid_t x = *(const pid_t *)a;
    const pid_t y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

static int list_pids(pid_t **pids, size_t *count)
{
    DIR *const dir = opendir("/proc");
    if (dir == NULL) {
        return -errno;
    }
    int result = 0;
    size_t room = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        uint64_t pid = 0;
        if (!oh_str_parse_u64(entry->d_name, &pid)) {
            continue;
        }
        if (*count == room) {
            room = room == 0 ? 256 : room * 2;
            pid_t *const larger = realloc(*pids, room * sizeof larger[0]);
            if (larger == NULL) {
                result = -ENOMEM;
                break;
            }
            *pids = larger;
        }
        (*pids)[(*count)++] = (pid_t)pid;
    }
    (void)closedir(dir);
    return result;
}

int oh_proc_each(oh_proc_fn *fn, void *arg)
{
    pid_t *pids = NULL;
    size_t count = 0;
    int result = list_pids(&pids, &count);
    if (result == 0 && count > 0) {
        qsort(pids, count, sizeof pids[0], compare_pids);
    }
    for (size_t i = 0; i < count && result == 0; i++) {
        result = fn(arg, pids[i]);
    }
    free(pids);
    return result;
}

uint64_t oh_proc_age_s(uint64_t start_ticks)
{
    struct timespec now;
    const long per_second = sysconf(_SC_CLK_TCK);
    if (per_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
        return 0;
    }
    const uint64_t started = start_ticks / (uint64_t)per_second;
    return (uint64_t)now.tv_sec > started ? (uint64_t)now.tv_sec - started : 0;
}
