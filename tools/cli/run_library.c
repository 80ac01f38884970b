// SPDX-License-Identifier: Apache-2.0
//
// What `offheap run` needs around a program before it starts.

#include "cli/run_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"

#define OH_RUN_LIBRARY "liboffheap.so"

// A recording's header and first tables need at least so much.
enum { OH_RUN_PROBE_BYTES = 256 * 1024 };

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;
}

int oh_run_check_library_path(const char *path, struct oh_err *err)
{
    if (strpbrk(path, ": \t") != NULL) {
        return oh_err_set(err, -EINVAL,
                          "the path of the library, %s, has a blank or a colon, which LD_PRELOAD "
                          "cannot hold\ntry: install it, or link to it, where the path has none",
                          path);
    }
    return 0;
}

int oh_run_find_library(char path[PATH_MAX], struct oh_err *err)
{
    static const char *const places[] = {"", "../lib/offheap/", "../lib/"};
    const char *const named = getenv("OFFHEAP_LIBRARY");
    if (named != NULL && named[0] != '\0') {
        if (!is_file(named) || realpath(named, path) == NULL) {
            return oh_err_set(err, -ENOENT,
                              "OFFHEAP_LIBRARY names %s, which cannot be read\ntry: the path of %s",
                              named, OH_RUN_LIBRARY);
        }
        return oh_run_check_library_path(path, err);
    }
    char self[PATH_MAX];
    if (realpath("/proc/self/exe", self) == NULL) {
        return oh_err_set(err, -errno, "cannot tell where offheap itself is: %s", strerror(errno));
    }
    char *const dir = oh_path_dir(self);
    bool found = false;
    for (size_t i = 0; dir != NULL && !found && i < sizeof places / sizeof places[0]; i++) {
        char *const candidate = oh_str_printf("%s/%s%s", dir, places[i], OH_RUN_LIBRARY);
        found = candidate != NULL && is_file(candidate) && realpath(candidate, path) != NULL;
        free(candidate);
    }
    free(dir);
    if (!found) {
        return oh_err_set(err, -ENOENT,
                          "%s is neither beside %s nor in ../lib of it\ntry: name it in "
                          "OFFHEAP_LIBRARY",
                          OH_RUN_LIBRARY, self);
    }
    return oh_run_check_library_path(path, err);
}

// 0, or why a file of some size cannot be made in the directory.
static int probe(const char *dir)
{
    char *const name = oh_str_printf("%s/.offheap.%d.probe", dir, (int)getpid());
    if (name == NULL) {
        return -ENOMEM;
    }
    int result = 0;
    const int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        result = -errno;
    } else {
        if (fallocate(fd, 0, 0, OH_RUN_PROBE_BYTES) != 0 && errno != EOPNOTSUPP) {
            result = -errno;
        }
        (void)unlink(name);
        (void)close(fd);
    }
    free(name);
    return result;
}

static const char *advice_for(int code)
{
    switch (code) {
    case -ENOSPC:
    case -EDQUOT: return "make room there, or another directory with --dir";
    case -EFBIG: return "a larger limit of files (ulimit -f)";
    default: return "a directory that exists and that you may write, with --dir";
    }
}

int oh_run_check_dir(const char *dir, struct oh_err *err)
{
    const char *dirs[OH_PATH_RECORDING_DIRS] = {dir};
    const size_t count = dir != NULL ? 1 : oh_path_recording_dirs(dirs);
    int result = -ENOENT;
    for (size_t i = 0; i < count && result < 0; i++) {
        result = probe(dirs[i]);
    }
    if (result == 0) {
        return 0;
    }
    return oh_err_set(err, result, "no recording can be made in %s: %s\ntry: %s",
                      dir != NULL ? dir : "TMPDIR, /var/tmp or /tmp", strerror(-result),
                      advice_for(result));
}
