// SPDX-License-Identifier: Apache-2.0
//
// Maps by their names.

#include "memory/map_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "reader/locate.h"
#include "reader/why.h"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static int compare_inodes(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int oh_map_names_init(struct oh_map_names *names, const struct oh_smaps *smaps, const char *exe)
{
    *names = (struct oh_map_names){.exe = exe};
    names->inodes = calloc(smaps->count + 1, sizeof names->inodes[0]);
    if (names->inodes == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < smaps->count; i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        if (map->inode != 0 && (map->permissions & OH_SMAP_EXECUTE) != 0) {
            names->inodes[names->count++] = map->inode;
            names->exe = names->exe == NULL ? map->name : names->exe;
        }
    }
    qsort(names->inodes, names->count, sizeof names->inodes[0], compare_inodes);
    return 0;
}

void oh_map_names_fini(struct oh_map_names *names)
{
    free(names->inodes);
    *names = (struct oh_map_names){0};
}

bool oh_map_names_is_recorder(const char *name)
{
    const char *const base = oh_path_base(name);
    return oh_str_ends_with(base, OH_LOCATE_SUFFIX) || strcmp(base, OH_WHY_LIBRARY) == 0;
}

bool oh_map_names_is_shm(const struct oh_smap *map)
{
    return map->inode != 0 && (begins(map->name, "/memfd:") || begins(map->name, "/SYSV") ||
                               begins(map->name, "/dev/shm/") || begins(map->name, "/dev/zero") ||
                               begins(map->name, "/i915") || begins(map->name, "/dev/dri"));
}

static bool is_code(const struct oh_map_names *names, const struct oh_smap *map)
{
    return bsearch(&map->inode, names->inodes, names->count, sizeof names->inodes[0],
                   compare_inodes) != NULL;
}

// Names that programs give to memory without a file: "[anon:...]", also "[anon_shmem:...]".
static enum oh_memory_part part_of_anon(const char *name)
{
    static const char *const heaps[] = {
        "glibc: malloc", "glibc: loader malloc", "jemalloc",   "scudo", "tcmalloc",
        "mimalloc",      "partition_alloc",      "libc_malloc"};
    const char *const what = strchr(name, ':') + 1;
    const char *const plain = what + strspn(what, " ");
    if (begins(plain, "Go: ")) {
        return OH_PART_GO;
    }
    if (strstr(plain, "pthread stack") != NULL || begins(plain, "stack_and_tls")) {
        return OH_PART_STACKS;
    }
    for (size_t i = 0; i < sizeof heaps / sizeof heaps[0]; i++) {
        if (begins(plain, heaps[i])) {
            return OH_PART_HEAP;
        }
    }
    return OH_PART_UNCLAIMED;
}

static enum oh_memory_part part_of_bracket(const char *name)
{
    if (strcmp(name, "[heap]") == 0) {
        return OH_PART_HEAP;
    }
    if (begins(name, "[stack")) {
        return OH_PART_STACKS;
    }
    if (begins(name, "[v") || begins(name, "[uprobes]")) {
        return OH_PART_LIBRARIES;
    }
    return begins(name, "[anon:") ? part_of_anon(name) : OH_PART_UNCLAIMED;
}

enum oh_memory_part oh_map_names_part(const struct oh_map_names *names, const struct oh_smap *map)
{
    if (oh_map_names_is_recorder(map->name)) {
        return OH_PART_RECORDER;
    }
    if (map->name[0] == '[') {
        return part_of_bracket(map->name);
    }
    if (map->inode == 0) {
        return OH_PART_UNCLAIMED;
    }
    // A program may lie in memory itself.
    if (names->exe != NULL && strcmp(names->exe, map->name) == 0) {
        return OH_PART_PROGRAM;
    }
    if (oh_map_names_is_shm(map)) {
        return OH_PART_SHM;
    }
    return is_code(names, map) ? OH_PART_LIBRARIES : OH_PART_FILES;
}

enum oh_allocator oh_map_names_allocator(const struct oh_smaps *smaps)
{
    static const char *const others[] = {"libtcmalloc", "libmimalloc", "libsnmalloc", "libhoard"};
    for (size_t i = 0; i < smaps->count; i++) {
        const char *const base = oh_path_base(smaps->maps[i].name);
        if (begins(base, "libjemalloc")) {
            return OH_ALLOCATOR_JEMALLOC;
        }
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++) {
            if (begins(base, others[k])) {
                return OH_ALLOCATOR_OTHER;
            }
        }
    }
    return OH_ALLOCATOR_GLIBC;
}

const char *oh_map_names_go(const struct oh_smap *map, size_t *length)
{
    static const char mark[] = "Go: ";
    const char *const at = begins(map->name, "[anon:") ? strstr(map->name, mark) : NULL;
    if (at == NULL) {
        return NULL;
    }
    const char *const what = at + strlen(mark);
    *length = strcspn(what, "]");
    return what;
}
