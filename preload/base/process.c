// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/sys.h"

enum {
    STAT_BYTES = 2048,
    VARIABLES = 32,
    // Fields of /proc/self/stat, numbered from 1 as in proc(5).
    FIELD_AFTER_NAME = 3,
    FIELD_START_TICKS = 22,
    FIELD_ARGS_BEGIN = 48,
    FIELD_ARGS_END = 49,
    FIELD_ENV_BEGIN = 50,
    FIELD_ENV_END = 51,
    FIELDS
};

static uint64_t number_at(const char *at)
{
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    return value;
}

// The second field is the command's name in parentheses, which may hold any character.
static void parse(const char *stat, uint64_t values[FIELDS])
{
    const char *at = strrchr(stat, ')');
    for (int field = FIELD_AFTER_NAME; field < FIELDS && at != NULL; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL)
            values[field] = number_at(at + 1);
    }
}

void oh_process_read(struct oh_process_facts *facts)
{
    char stat[STAT_BYTES + 1];
    uint64_t values[FIELDS] = {0};
    long fd = oh_sys_open("/proc/self/stat", O_RDONLY, 0);
    if (fd >= 0) {
        // Made whole at the first read: to look for an end would make it again.
        long length = oh_sys_pread((int)fd, stat, STAT_BYTES, 0);
        (void)oh_sys_close((int)fd);
        stat[length > 0 ? length : 0] = '\0';
        parse(stat, values);
    }
    *facts = (struct oh_process_facts){values[FIELD_START_TICKS], values[FIELD_ARGS_BEGIN],
                                       values[FIELD_ARGS_END], values[FIELD_ENV_BEGIN],
                                       values[FIELD_ENV_END]};
}

static bool is_ours(const char *entry)
{
    return strncmp(entry, "OFFHEAP_", 8) == 0 || strncmp(entry, "TMPDIR=", 7) == 0;
}

char **oh_process_environment(const struct oh_process_facts *facts, char **fallback)
{
    static char *variables[VARIABLES + 1];
    char *at = (char *)(uintptr_t)facts->env_begin;
    char *end = (char *)(uintptr_t)facts->env_end;
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
