// SPDX-License-Identifier: Apache-2.0
//
// See index.h. A file that cannot be read is passed over: the directories are the user's.

#include "symbol/index.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "symbol/elf_file.h"

enum {
    DEPTH_MAX = 16,
    FILES_MAX = 1000000,
};

struct oh_index_entry {
    char *path;
    uint8_t id[OH_ELF_BUILD_ID_MAX];
    size_t id_len; // 0: none.
    uint8_t go_id[OH_ELF_BUILD_ID_MAX];
    size_t go_id_len;
    uint64_t size;
    uint64_t mtime_ns;
    bool has_code;
    bool has_dwarf;
};

int oh_index_init(struct oh_index *index, const char *const *dirs, size_t dir_count,
                  struct oh_err *err)
{
    struct oh_index n = {.dirs = calloc(dir_count + 1, sizeof *n.dirs)};
    int rc = n.dirs == NULL ? oh_err_no_memory(err) : 0;
    for (size_t i = 0; i < dir_count && rc == 0; i++) {
        struct stat st;
        if (stat(dirs[i], &st) != 0) {
            rc = -errno;
            (void)oh_err_set(err, rc, "cannot look for binaries in %s: %s", dirs[i], strerror(-rc));
            break;
        }
        n.dirs[i] = strdup(dirs[i]);
        if (n.dirs[i] == NULL)
            rc = oh_err_no_memory(err);
        n.dir_count++;
    }
    if (rc != 0)
        oh_index_fini(&n);
    else
        *index = n;
    return rc;
}

void oh_index_fini(struct oh_index *index)
{
    for (size_t i = 0; i < index->dir_count; i++)
        free(index->dirs[i]);
    for (size_t i = 0; i < index->count; i++)
        free(index->entries[i].path);
    free(index->dirs);
    free(index->entries);
    *index = (struct oh_index){0};
}

static struct oh_index_entry *append(struct oh_index *index)
{
    if (index->count == index->room) {
        size_t room = index->room == 0 ? 64 : 2 * index->room;
        struct oh_index_entry *entries = reallocarray(index->entries, room, sizeof *index->entries);
        if (entries == NULL)
            return NULL;
        index->entries = entries;
        index->room = room;
    }
    struct oh_index_entry *entry = &index->entries[index->count];
    *entry = (struct oh_index_entry){0};
    return entry;
}

static void add_file(struct oh_index *index, const char *path)
{
    struct oh_elf_file file;
    index->seen++;
    if (oh_elf_file_open(&file, path) != 0)
        return;
    struct oh_index_entry *entry = append(index);
    if (entry != NULL && (entry->path = strdup(path)) != NULL) {
        entry->id_len = oh_elf_build_id(&file.elf, entry->id);
        entry->go_id_len = oh_elf_file_go_id(&file, entry->go_id);
        entry->size = (uint64_t)file.st.st_size;
        entry->mtime_ns =
            (uint64_t)file.st.st_mtim.tv_sec * 1000000000U + (uint64_t)file.st.st_mtim.tv_nsec;
        entry->has_code = oh_elf_file_has_code(&file);
        entry->has_dwarf = oh_elf_has_dwarf(&file.elf);
        index->count++;
    }
    oh_elf_file_close(&file);
}

static void add_dir(struct oh_index *index, const char *path, int depth);

static void add_any(struct oh_index *index, const char *path, int depth)
{
    struct stat st;
    bool is_top = depth == 0;
    if ((is_top ? stat(path, &st) : lstat(path, &st)) != 0)
        return;
    if (S_ISDIR(st.st_mode))
        add_dir(index, path, depth);
    else if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
        add_file(index, path);
}

// Recursion is bounded by the depth.
static void add_dir(struct oh_index *index, const char *path, int depth)
{
    DIR *dir = depth == DEPTH_MAX ? NULL : opendir(path);
    if (dir == NULL)
        return;
    for (struct dirent *d = readdir(dir); d != NULL && index->seen < FILES_MAX; d = readdir(dir)) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        char *child = oh_path_join(path, d->d_name);
        if (child != NULL)
            add_any(index, child, depth + 1);
        free(child);
    }
    (void)closedir(dir);
}

static void fill(struct oh_index *index)
{
    if (index->is_filled)
        return;
    index->is_filled = true;
    for (size_t i = 0; i < index->dir_count; i++)
        add_any(index, index->dirs[i], 0);
}

static bool has_id(const struct oh_index_entry *entry, const uint8_t *id, size_t id_len)
{
    return (entry->id_len == id_len && memcmp(entry->id, id, id_len) == 0) ||
           (entry->go_id_len == id_len && memcmp(entry->go_id, id, id_len) == 0);
}

const char *oh_index_find_id(struct oh_index *index, const uint8_t *id, size_t id_len,
                             enum oh_index_want want)
{
    const char *found = NULL;
    fill(index);
    for (size_t i = 0; i < index->count && id_len != 0; i++) {
        const struct oh_index_entry *entry = &index->entries[i];
        bool is_wanted = want == OH_INDEX_CODE ? entry->has_code : entry->has_dwarf;
        if (!is_wanted || !has_id(entry, id, id_len))
            continue;
        if (entry->has_code && entry->has_dwarf)
            return entry->path;
        if (found == NULL)
            found = entry->path;
    }
    return found;
}

const char *oh_index_find_stat(struct oh_index *index, const char *name, uint64_t size,
                               uint64_t mtime_ns)
{
    fill(index);
    for (size_t i = 0; i < index->count; i++) {
        const struct oh_index_entry *entry = &index->entries[i];
        if (entry->has_code && entry->size == size && entry->mtime_ns == mtime_ns &&
            strcmp(oh_path_base(entry->path), name) == 0)
            return entry->path;
    }
    return NULL;
}
