// SPDX-License-Identifier: Apache-2.0
//
// Why a live process is not recorded.

#include "reader/why.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "offheap/format.h"
#include "offheap/status.h"
#include "profile/elf.h"
#include "reader/inspect.h"

static const char *const off_texts[] = {
#define OH_OFF_REASON(id, text) text,
#include "offheap/offreasons.def"
#undef OH_OFF_REASON
};

struct oh_library_search {
    char *path;
    uint64_t start; // Of its first mapping: that of file offset 0.
    uint64_t end;
    bool is_deleted;
};

static int match_library(void *arg, const struct oh_proc_map *map)
{
    struct oh_library_search *const search = arg;
    // A versioned name (liboffheap.so.0) is the library, too.
    if (strncmp(oh_path_base(map->path), OH_WHY_LIBRARY, strlen(OH_WHY_LIBRARY)) != 0 ||
        map->offset != 0 || search->path != NULL) {
        return 0;
    }
    search->path = strdup(map->path);
    search->start = map->start;
    search->end = map->end;
    search->is_deleted = map->is_deleted;
    return search->path != NULL ? 1 : -ENOMEM;
}

int oh_why_is_candidate(pid_t pid)
{
    struct oh_library_search search = {0};
    const int mapped = oh_proc_each_map(pid, match_library, &search);
    free(search.path);
    if (mapped != 0) {
        return mapped;
    }
    char *preload = NULL;
    const int result = oh_proc_environ(pid, "LD_PRELOAD", &preload);
    if (result < 0) {
        return result == -ENOENT ? 0 : result;
    }
    const bool names_us = strstr(preload, OH_WHY_LIBRARY) != NULL;
    free(preload);
    return names_us ? 1 : 0;
}

static int read_memory(pid_t pid, uint64_t address, void *out, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const ssize_t got = pread(fd, out, size, (off_t)address);
    const int result = got < 0 ? -errno : (size_t)got < size ? -EIO : 0;
    (void)close(fd);
    return result;
}

static int open_library(pid_t pid, const struct oh_library_search *library, struct stat *info)
{
    char *path = NULL;
    if (library->is_deleted) {
        path = oh_str_printf("/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, library->start,
                             library->end);
    } else {
        path = oh_str_printf("/proc/%d/root%s", (int)pid, library->path);
    }
    if (path == NULL) {
        return -ENOMEM;
    }
    const int fd = oh_file_open_regular(path, info);
    free(path);
    return fd;
}

static int read_status(pid_t pid, const struct oh_library_search *library, struct oh_status *status)
{
    struct stat info;
    const int fd = open_library(pid, library, &info);
    if (fd < 0) {
        return fd;
    }
    if (info.st_size <= 0) {
        (void)close(fd);
        return -EIO;
    }
    const size_t len = (size_t)info.st_size;
    void *const bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (bytes == MAP_FAILED) {
        return -ENOMEM;
    }
    struct oh_elf elf;
    uint64_t address = 0;
    const bool is_found =
        oh_elf_open(&elf, bytes, len) == 0 && oh_elf_find_export(&elf, "offheap_status", &address);
    (void)munmap(bytes, len);
    int result = is_found ? 0 : -ENOENT;
    if (result == 0) {
        result = read_memory(pid, library->start + address, status, sizeof *status);
    }
    return result == 0 && status->magic != OH_STATUS_MAGIC ? -EINVAL : result;
}

static int explain_mapped(const struct oh_proc *proc, const struct oh_library_search *library,
                          char *why, size_t size)
{
    struct oh_status status;
    const int result = read_status(proc->pid, library, &status);
    if (result < 0) {
        (void)snprintf(why, size, "%s is loaded, but its state cannot be read (%s)", OH_WHY_LIBRARY,
                       strerror(-result));
    } else if (status.state == OH_STATE_STARTING) {
        (void)snprintf(why, size, "%s is loaded and has not begun yet", OH_WHY_LIBRARY);
    } else if (status.off_reason == OH_OFF_none || status.off_reason >= OH_OFF_REASON_COUNT) {
        (void)snprintf(why, size, "%s is loaded, but has no recording mapped (state %u, reason %u)",
                       OH_WHY_LIBRARY, status.state, status.off_reason);
    } else {
        (void)snprintf(why, size, "%s%s%s%s", off_texts[status.off_reason],
                       status.off_errno != 0 ? " (" : "",
                       status.off_errno != 0 ? strerror((int)status.off_errno) : "",
                       status.off_errno != 0 ? ")" : "");
    }
    return result;
}

// The library was asked for, but the loader did not load it, or there is none.
static void explain_not_loaded(const struct oh_proc *proc, const char *preload, char *why,
                               size_t size)
{
    struct oh_inspect inspect;
    char exe[64];
    (void)snprintf(exe, sizeof exe, "/proc/%d/exe", (int)proc->pid);
    oh_inspect_file(exe, false, &inspect);
    if (inspect.verdict == OH_INSPECT_STATIC || inspect.verdict == OH_INSPECT_STATIC_GO ||
        inspect.verdict == OH_INSPECT_NO_LIBC) {
        (void)snprintf(why, size, "%s: nothing can be interposed",
                       oh_inspect_word(inspect.verdict));
        return;
    }
    if (inspect.verdict == OH_INSPECT_MUSL || inspect.verdict == OH_INSPECT_OTHER_CLASS ||
        inspect.verdict == OH_INSPECT_OTHER_MACHINE) {
        (void)snprintf(why, size, "%s: %s does not fit it", oh_inspect_word(inspect.verdict),
                       OH_WHY_LIBRARY);
        return;
    }
    bool is_secure = false;
    if (oh_proc_is_secure(proc->pid, &is_secure) == 0 && is_secure) {
        (void)snprintf(why, size, "AT_SECURE: it runs with raised privileges");
    } else if (preload == NULL) {
        (void)snprintf(why, size, "it was started without %s; start it with `offheap run -- ...`",
                       OH_WHY_LIBRARY);
    } else {
        (void)snprintf(why, size,
                       "the loader could not load %s (is the path in LD_PRELOAD right "
                       "as the process sees it?)",
                       preload);
    }
}

int oh_why_not_recorded(const struct oh_proc *proc, char *why, size_t size)
{
    struct oh_library_search library = {0};
    const int mapped = oh_proc_each_map(proc->pid, match_library, &library);
    if (mapped < 0) {
        (void)snprintf(why, size, "it cannot be looked into (%s)", strerror(-mapped));
        return mapped;
    }
    if (mapped > 0) {
        const int result = explain_mapped(proc, &library, why, size);
        free(library.path);
        return result;
    }
    char *preload = NULL;
    const int result = oh_proc_environ(proc->pid, "LD_PRELOAD", &preload);
    explain_not_loaded(
        proc, result == 0 && strstr(preload, OH_WHY_LIBRARY) != NULL ? preload : NULL, why, size);
    if (result == 0) {
        free(preload);
    }
    return result == -ENOENT ? 0 : result;
}
