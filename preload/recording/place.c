// SPDX-License-Identifier: Apache-2.0
#include "recording/place.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>

#include "base/sys.h"
#include "base/text.h"

enum { EXE_NAME_BYTES = 64, CANDIDATES = 3 };

static bool is_in_memory(long file_system)
{
    return file_system == TMPFS_MAGIC || file_system == RAMFS_MAGIC;
}

const char *oh_place_dir(const struct oh_config *config)
{
    const char *candidates[CANDIDATES] = {config->tmp_dir, "/var/tmp", "/tmp"};
    const char *in_memory = NULL;
    if (config->dir != NULL)
        return config->dir;
    for (int i = 0; i < CANDIDATES; i++) {
        if (candidates[i] == NULL || oh_sys_access_write(candidates[i]) < 0)
            continue;
        if (!is_in_memory(oh_sys_statfs_type(candidates[i])))
            return candidates[i];
        if (in_memory == NULL)
            in_memory = candidates[i];
    }
    return in_memory;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

int oh_place_path(char *path, const char *dir, const char *exe, uint64_t pid, uint64_t start_ms)
{
    struct oh_text text;
    oh_text_init(&text, path, OH_PLACE_PATH_BYTES);
    oh_text_add(&text, dir);
    oh_text_add(&text, "/");
    const char *slash = strrchr(exe, '/');
    const char *name = slash != NULL ? slash + 1 : exe;
    if (*name == '\0')
        name = "unknown";
    for (size_t i = 0; name[i] != '\0' && i < EXE_NAME_BYTES; i++) {
        char c = is_plain(name[i]) ? name[i] : '_';
        oh_text_add_bytes(&text, &c, 1);
    }
    oh_text_add(&text, ".");
    oh_text_add_u64(&text, pid);
    oh_text_add(&text, ".");
    oh_text_add_u64(&text, start_ms);
    oh_text_add(&text, ".offheap");
    return text.cut ? -ENAMETOOLONG : 0;
}
