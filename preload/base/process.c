// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/sys.h"

enum { STAT_BYTES = 2048, FIELD_AFTER_NAME = 3, VARIABLES = 32 };

uint64_t oh_process_stat(enum oh_process_field field)
{
    char stat[STAT_BYTES + 1];
    uint64_t value = 0;
    long fd = oh_sys_open("/proc/self/stat", O_RDONLY, 0);
    if (fd < 0)
        return 0;
    long length = oh_sys_read_full((int)fd, stat, STAT_BYTES, 0);
    (void)oh_sys_close((int)fd);
    stat[length > 0 ? length : 0] = '\0';
    // The second field is the command's name in parentheses, which may hold any character.
    const char *at = strrchr(stat, ')');
    for (int i = FIELD_AFTER_NAME; i <= (int)field && at != NULL; i++)
        at = strchr(at + 1, ' ');
    for (at = at != NULL ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

static bool is_ours(const char *entry)
{
    return strncmp(entry, "OFFHEAP_", 8) == 0 || strncmp(entry, "TMPDIR=", 7) == 0;
}

char **oh_process_environment(char **fallback)
{
    static char *variables[VARIABLES + 1];
    char *at = (char *)oh_process_stat(OH_PROCESS_ENV_START);
    char *end = (char *)oh_process_stat(OH_PROCESS_ENV_END);
    size_t count = 0;
    if (at == NULL || end <= at)
        return fallback;
    while (at < end && count < VARIABLES) {
        size_t length = strnlen(at, (size_t)(end - at));
        if (at + length == end)
            break; // Not terminated: the block was overwritten.
        if (is_ours(at))
            variables[count++] = at;
        at += length + 1;
    }
    variables[count] = NULL;
    return variables;
}
