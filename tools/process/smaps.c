// SPDX-License-Identifier: Apache-2.0
//
// /proc/PID/smaps and smaps_rollup.

#include "process/smaps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/proc.h"

// A map takes less than 1 KiB of text, and the kernel allows 65,530 of them unless told otherwise.
static const size_t smaps_max_bytes = (size_t)1 << 30;

enum { OH_SMAPS_FIRST = 256, OH_KIB = 1024 };

static int read_text(const char *root, pid_t pid, const char *file, char **text, size_t *length)
{
    char *const path = oh_str_printf("%s/proc/%d/%s", root, (int)pid, file);
    if (path == NULL) {
        return -ENOMEM;
    }
    const int result = oh_file_read(path, smaps_max_bytes, text, length);
    free(path);
    return result;
}

static uint8_t parse_permissions(const char *text)
{
    return (uint8_t)((text[0] == 'r' ? OH_SMAP_READ : 0) | (text[1] == 'w' ? OH_SMAP_WRITE : 0) |
                     (text[2] == 'x' ? OH_SMAP_EXECUTE : 0) |
                     (text[3] == 's' ? OH_SMAP_SHARED : 0));
}

// The line is cut into the map's name.
static bool parse_first_line(char *line, struct oh_smap *map)
{
    struct oh_proc_map found;
    if (!oh_proc_parse_map(line, &found) || found.start >= found.end) {
        return false;
    }
    *map = (struct oh_smap){.start = found.start,
                            .end = found.end,
                            .offset = found.offset,
                            .inode = found.inode,
                            .device = found.device,
                            .name = found.path,
                            .is_deleted = found.is_deleted,
                            .permissions = parse_permissions(found.permissions)};
    return true;
}

// "Key:   123 kB": true and the bytes when the line has this key.
static bool parse_size(const char *line, const char *key, uint64_t *bytes)
{
    const size_t length = strlen(key);
    if (strncmp(line, key, length) != 0 || line[length] != ':') {
        return false;
    }
    *bytes = strtoull(line + length + 1, NULL, 10) * OH_KIB;
    return true;
}

static void parse_field(const char *line, struct oh_smap *map, struct oh_smaps *smaps)
{
    uint64_t huge = 0;
    if (strncmp(line, "VmFlags:", strlen("VmFlags:")) == 0) {
        map->is_stack = strstr(line, " nh") != NULL;
    } else if (parse_size(line, "Private_Hugetlb", &huge) ||
               parse_size(line, "Shared_Hugetlb", &huge)) {
        smaps->huge_bytes += huge;
    } else if (!parse_size(line, "Rss", &map->resident) &&
               !parse_size(line, "Anonymous", &map->anonymous)) {
        (void)parse_size(line, "Swap", &map->swapped);
    }
}

// Fields begin with a capital letter, first lines with a digit or a small one.
static bool is_field(const char *line)
{
    return line[0] >= 'A' && line[0] <= 'Z';
}

static int add_map(struct oh_smaps *smaps, size_t *room, const struct oh_smap *map)
{
    if (smaps->count == *room) {
        *room = *room == 0 ? OH_SMAPS_FIRST : *room * 2;
        struct oh_smap *const larger = realloc(smaps->maps, *room * sizeof larger[0]);
        if (larger == NULL) {
            return -ENOMEM;
        }
        smaps->maps = larger;
    }
    smaps->maps[smaps->count++] = *map;
    return 0;
}

static int parse(struct oh_smaps *smaps)
{
    size_t room = 0;
    int result = 0;
    char *rest = smaps->text;
    for (char *line = strsep(&rest, "\n"); line != NULL && result == 0;
         line = strsep(&rest, "\n")) {
        struct oh_smap map;
        if (is_field(line)) {
            if (smaps->count > 0) {
                parse_field(line, &smaps->maps[smaps->count - 1], smaps);
            }
        } else if (parse_first_line(line, &map)) {
            result = add_map(smaps, &room, &map);
        }
    }
    for (size_t i = 0; i < smaps->count; i++) {
        smaps->sum += smaps->maps[i].resident;
        smaps->swapped += smaps->maps[i].swapped;
    }
    smaps->resident = smaps->sum;
    return result;
}

// Kernels before 4.14 have no rollup: what was summed stands.
static int read_rollup(const char *root, pid_t pid, struct oh_smaps *smaps)
{
    char *text = NULL;
    size_t length = 0;
    const int result = read_text(root, pid, "smaps_rollup", &text, &length);
    if (result < 0) {
        return result == -ENOENT && smaps->count > 0 ? 0 : result;
    }
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (!parse_size(line, "Rss", &smaps->resident)) {
            (void)parse_size(line, "Swap", &smaps->swapped);
        }
    }
    free(text);
    return 0;
}

static bool is_kernel_thread(const char *root, pid_t pid)
{
    char *text = NULL;
    size_t length = 0;
    struct oh_proc proc = {0};
    if (read_text(root, pid, "stat", &text, &length) < 0) {
        return false;
    }
    const int result = oh_proc_parse_stat(text, &proc);
    free(text);
    return result == 0 && proc.is_kernel;
}

int oh_smaps_read(const char *root, pid_t pid, struct oh_smaps *smaps)
{
    struct oh_smaps found = {0};
    size_t length = 0;
    int result = read_text(root, pid, "smaps", &found.text, &length);
    if (result < 0) {
        return result == -ENOENT ? -ESRCH : result;
    }
    result = parse(&found);
    if (result == 0 && found.count == 0) { // One that is ending has none any more.
        result = is_kernel_thread(root, pid) ? -ENODATA : -ESRCH;
    }
    if (result == 0) {
        result = read_rollup(root, pid, &found);
    }
    if (result < 0) {
        oh_smaps_fini(&found);
        return result;
    }
    *smaps = found;
    return 0;
}

void oh_smaps_fini(struct oh_smaps *smaps)
{
    free(smaps->maps);
    free(smaps->text);
    *smaps = (struct oh_smaps){0};
}

size_t oh_smaps_after(const struct oh_smaps *smaps, uint64_t address)
{
    size_t low = 0;
    size_t high = smaps->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (smaps->maps[middle].end <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct oh_smap *oh_smaps_find(const struct oh_smaps *smaps, uint64_t address)
{
    const size_t at = oh_smaps_after(smaps, address);
    return at < smaps->count && smaps->maps[at].start <= address ? &smaps->maps[at] : NULL;
}
