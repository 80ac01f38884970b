// SPDX-License-Identifier: Apache-2.0
//
// Paths and small strings.

#include "base/path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *oh_str_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    const int len = vasprintf(&text, fmt, args);
    va_end(args);
    return len < 0 ? NULL : text;
}

bool oh_str_ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text);
    const size_t end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

bool oh_str_in_list(const char *list, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = list; len > 0 && at != NULL; at = strchr(at, ',')) {
        at += at != list || *at == ',';
        if (strncmp(at, word, len) == 0 && (at[len] == ',' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

bool oh_str_parse_u64(const char *text, uint64_t *value)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0') {
        return false;
    }
    errno = 0;
    const unsigned long long number = strtoull(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *value = number;
    return true;
}

const char *oh_path_base(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

char *oh_path_dir(const char *path)
{
    const char *const slash = strrchr(path, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

char *oh_path_join(const char *dir, const char *name)
{
    return oh_str_printf("%s%s%s", dir, oh_str_ends_with(dir, "/") ? "" : "/", name);
}

char *oh_path_with_pid(const char *path, pid_t pid)
{
    static const char *const ends[] = {".pb.gz", ".pprof.gz", ".pb", ".pprof", ".gz"};
    const char *const base = oh_path_base(path);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (oh_str_ends_with(base, ends[i])) {
            const size_t stem = strlen(path) - strlen(ends[i]);
            return oh_str_printf("%.*s.%d%s", (int)stem, path, (int)pid, ends[i]);
        }
    }
    return oh_str_printf("%s.%d", path, (int)pid);
}

size_t oh_path_recording_dirs(const char *dirs[OH_PATH_RECORDING_DIRS])
{
    const char *const candidates[OH_PATH_RECORDING_DIRS] = {getenv("OFFHEAP_DIR"), getenv("TMPDIR"),
                                                            "/var/tmp", "/tmp"};
    size_t count = 0;
    for (size_t i = 0; i < OH_PATH_RECORDING_DIRS; i++) {
        bool wanted = candidates[i] != NULL && candidates[i][0] != '\0';
        for (size_t k = 0; wanted && k < count; k++) {
            wanted = strcmp(dirs[k], candidates[i]) != 0;
        }
        if (wanted) {
            dirs[count++] = candidates[i];
        }
    }
    return count;
}

int oh_file_open_regular(const char *path, struct stat *info)
{
    const int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0) {
        return -errno;
    }
    int result = 0;
    if (fstat(place, info) != 0) {
        result = -errno;
    } else if (!S_ISREG(info->st_mode)) {
        result = S_ISDIR(info->st_mode) ? -EISDIR : -EINVAL;
    } else {
        char link[64];
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", place);
        result = open(link, O_RDONLY | O_CLOEXEC);
        result = result < 0 ? -errno : result;
    }
    (void)close(place);
    return result;
}

static int read_all(int fd, size_t max_bytes, char **data, size_t *len)
{
    char *buffer = NULL;
    size_t room = 0;
    size_t used = 0;
    for (;;) {
        if (room - used < 2) {
            room = room == 0 ? 4096 : room * 2;
            char *const larger = realloc(buffer, room);
            if (larger == NULL) {
                free(buffer);
                return -ENOMEM;
            }
            buffer = larger;
        }
        const ssize_t got = read(fd, buffer + used, room - used - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || used + (size_t)got > max_bytes) {
            const int result = got < 0 ? -errno : got == 0 ? 0 : -EFBIG;
            if (result < 0) {
                free(buffer);
                return result;
            }
            break;
        }
        used += (size_t)got;
    }
    buffer[used] = '\0';
    *data = buffer;
    *len = used;
    return 0;
}

int oh_file_read(const char *path, size_t max_bytes, char **data, size_t *len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const int result = read_all(fd, max_bytes, data, len);
    (void)close(fd);
    return result;
}
