// SPDX-License-Identifier: Apache-2.0
//
// Finds recordings.

#include "reader/locate.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"

// The walk's own "found": no errno is positive.
enum { OH_LOCATE_FOUND = 1 };

static int match_map(void *arg, const struct oh_proc_map *map)
{
    struct oh_mapped_recording *const found = arg;
    // Under another name (.new) it is not complete yet.
    if (!oh_str_ends_with(map->path, OH_LOCATE_SUFFIX)) {
        return 0;
    }
    char *const path = strdup(map->path);
    if (path == NULL) {
        return -ENOMEM;
    }
    *found = (struct oh_mapped_recording){.path = path,
                                          .start = map->start,
                                          .end = map->end,
                                          .inode = map->inode,
                                          .device = map->device};
    return OH_LOCATE_FOUND;
}

int oh_locate_mapped(pid_t pid, struct oh_mapped_recording *found)
{
    const int result = oh_proc_each_map(pid, match_map, found);
    if (result == OH_LOCATE_FOUND) {
        return 0;
    }
    return result == 0 ? -ENOENT : result;
}

void oh_mapped_recording_fini(struct oh_mapped_recording *found)
{
    free(found->path);
    found->path = NULL;
}

// On btrfs and, with older kernels, on an overlay the mapping shows another device than the file
// itself: then its header has to say that it is the one that was given this name.
static bool is_mapped(int fd, const struct stat *info, const struct oh_mapped_recording *found)
{
    struct oh_recording_name name;
    struct oh_format_header header;
    if ((uint64_t)info->st_ino != found->inode) {
        return false;
    }
    return info->st_dev == found->device ||
           (oh_locate_parse_name(oh_path_base(found->path), &name) &&
            pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
            memcmp(header.magic, OH_FORMAT_MAGIC, sizeof header.magic) == 0 &&
            oh_locate_is_named(&name, &header));
}

static int open_checked(const char *path, const struct oh_mapped_recording *found)
{
    struct stat info;
    const int fd = oh_file_open_regular(path, &info);
    if (fd >= 0 && !is_mapped(fd, &info, found)) {
        (void)close(fd);
        return -ENOENT;
    }
    return fd;
}

int oh_locate_open_mapped(pid_t pid, const struct oh_mapped_recording *found)
{
    // Also when the kernel says that the name is gone: the inode tells whether it is the file.
    char *const name = oh_str_printf("/proc/%d/root%s", (int)pid, found->path);
    if (name == NULL) {
        return -ENOMEM;
    }
    const int by_name = open_checked(name, found);
    free(name);
    if (by_name >= 0) {
        return by_name;
    }
    // Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, but no name.
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid,
                   found->start, found->end);
    const int by_map = open_checked(path, found);
    return by_map >= 0 || by_name == -ENOENT ? by_map : by_name;
}

bool oh_locate_parse_name(const char *name, struct oh_recording_name *parsed)
{
    if (!oh_str_ends_with(name, OH_LOCATE_SUFFIX)) {
        return false;
    }
    // From the end: an exe's own name may hold dots and digits.
    const char *const end = name + strlen(name) - strlen(OH_LOCATE_SUFFIX);
    const char *start_dot = end;
    while (start_dot > name && start_dot[-1] != '.') {
        start_dot--;
    }
    const char *pid_dot = start_dot > name ? start_dot - 1 : name;
    while (pid_dot > name && pid_dot[-1] != '.') {
        pid_dot--;
    }
    if (pid_dot <= name + 1) {
        return false;
    }
    char *stop = NULL;
    const unsigned long long pid = strtoull(pid_dot, &stop, 10);
    if (stop != start_dot - 1 || stop == pid_dot || pid == 0 || pid > INT32_MAX) {
        return false;
    }
    const unsigned long long start = strtoull(start_dot, &stop, 10);
    if (stop != end || stop == start_dot) {
        return false;
    }
    *parsed = (struct oh_recording_name){
        .exe_len = (int)(pid_dot - 1 - name), .pid = (pid_t)pid, .start = start};
    return true;
}

bool oh_locate_is_named(const struct oh_recording_name *name, const struct oh_format_header *header)
{
    return (uint32_t)name->pid == header->pid && name->start == header->start_realtime_ns / 1000000;
}

static int is_recording_name(const struct dirent *entry)
{
    return oh_str_ends_with(entry->d_name, OH_LOCATE_SUFFIX);
}

int oh_locate_each_file(const char *dir, oh_locate_fn *fn, void *arg)
{
    struct dirent **entries = NULL;
    const int count = scandir(dir, &entries, is_recording_name, alphasort);
    if (count < 0) {
        return -errno;
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        char *const path = result == 0 ? oh_path_join(dir, entries[i]->d_name) : NULL;
        if (path != NULL) {
            result = fn(arg, path);
        } else if (result == 0) {
            result = -ENOMEM;
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return result;
}
