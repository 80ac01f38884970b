// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/status, oom_score and oom_score_adj.

#include "process/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"

enum { OH_STATUS_MAX_BYTES = 1 << 20, OH_STATUS_KIB = 1024 };

static int read_file(const char *root, pid_t pid, const char *name, char **text)
{
    char *const path = oh_str_printf("%s/proc/%d/%s", root, (int)pid, name);
    size_t length = 0;
    if (path == NULL) {
        return -ENOMEM;
    }
    const int result = oh_file_read(path, OH_STATUS_MAX_BYTES, text, &length);
    free(path);
    return result == -ENOENT ? -ESRCH : result;
}

static bool read_number(const char *root, pid_t pid, const char *name, long *number)
{
    char *text = NULL;
    char *end = NULL;
    if (read_file(root, pid, name, &text) < 0) {
        return false;
    }
    const long found = strtol(text, &end, 10);
    const bool is_read = end != text;
    if (is_read) {
        *number = found;
    }
    free(text);
    return is_read;
}

// "Key:   123 kB" of the line, when it has this key.
static bool parse_size(const char *line, const char *key, uint64_t *bytes)
{
    const size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ':') {
        return false;
    }
    *bytes = strtoull(line + length + 1, NULL, 10) * OH_STATUS_KIB;
    return true;
}

static void parse_line(const char *line, struct oh_status *status)
{
    static const char name[] = "Name:\t";
    if (strncmp(line, name, strlen(name)) == 0) {
        (void)strncpy(status->name, line + strlen(name), sizeof status->name - 1);
    } else if (parse_size(line, "VmRSS", &status->resident)) {
        status->has_sizes = true;
    } else if (!parse_size(line, "RssAnon", &status->anonymous) &&
               !parse_size(line, "RssFile", &status->file) &&
               !parse_size(line, "RssShmem", &status->shmem)) {
        (void)parse_size(line, "VmSwap", &status->swapped);
    }
}

int oh_status_read(const char *root, pid_t pid, struct oh_status *status)
{
    char *text = NULL;
    *status = (struct oh_status){.name = "?"};
    const int result = read_file(root, pid, "status", &text);
    if (result < 0) {
        return result;
    }
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        parse_line(line, status);
    }
    free(text);
    status->has_score = read_number(root, pid, "oom_score", &status->score) &&
                        read_number(root, pid, "oom_score_adj", &status->adjustment);
    return 0;
}
