// SPDX-License-Identifier: Apache-2.0
//
// What a process runs.

#include "memory/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/proc.h"
#include "profile/arena.h"
#include "profile/elf.h"
#include "profile/ranges.h"

// What the ranges of a recording may take in memory.
static const size_t ranges_max_bytes = (size_t)1 << 30;

// The version that Go's linker left (runtime/debug.BuildInfo): since Go 1.18 as a text behind its
// length, before by a pointer, which is not followed. "go1.26.8", also "devel go1.27-...".
static unsigned find_go_minor(const struct oh_elf *elf)
{
    enum { MAGIC = 14, FLAGS = 15, INLINE = 2, LENGTH = 32 };
    static const char magic[] = "\xff Go buildinf:";
    static const char name[] = "go1.";
    Elf64_Shdr section;
    if (!oh_elf_find_section(elf, ".go.buildinfo", &section)) {
        return 0;
    }
    const struct oh_elf_bytes bytes = oh_elf_section_bytes(elf, &section);
    char text[64] = "";
    if (bytes.len <= LENGTH || memcmp(bytes.data, magic, MAGIC) != 0) {
        return 0;
    }
    if ((bytes.data[FLAGS] & INLINE) == 0) {
        return 1; // Of long ago.
    }
    const size_t length = bytes.data[LENGTH];
    if (length >= sizeof text || bytes.len - LENGTH - 1 < length) {
        return 0;
    }
    memcpy(text, bytes.data + LENGTH + 1, length);
    const char *const at = strstr(text, name);
    return at != NULL ? (unsigned)strtoul(at + strlen(name), NULL, 10) : 0;
}

// *has_c: code that Go's linker did not make is linked in. A static program has no library to tell it.
static bool examine(const struct oh_elf *elf, bool *has_c, unsigned *go_minor)
{
    Elf64_Shdr section;
    *go_minor = find_go_minor(elf);
    *has_c = oh_elf_find_section(elf, ".init_array", &section) ||
             oh_elf_find_section(elf, ".eh_frame", &section);
    return oh_elf_go_build_id(elf).data != NULL;
}

// Go's linker leaves its build id in a note, in stripped programs too.
static bool is_go_file(const char *path, bool *has_c, unsigned *go_minor)
{
    struct stat info;
    struct oh_elf elf;
    bool is_go = false;
    const int fd = oh_file_open_regular(path, &info);
    if (fd < 0) {
        return false;
    }
    void *const bytes = info.st_size > 0
                            ? mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                            : MAP_FAILED;
    if (bytes != MAP_FAILED) {
        is_go =
            oh_elf_open(&elf, bytes, (size_t)info.st_size) == 0 && examine(&elf, has_c, go_minor);
        (void)munmap(bytes, (size_t)info.st_size);
    }
    (void)close(fd);
    return is_go;
}

static bool has_library(const struct oh_smaps *smaps, const char *const *names, size_t count)
{
    for (size_t i = 0; i < smaps->count; i++) {
        const char *const base = oh_path_base(smaps->maps[i].name);
        for (size_t k = 0; k < count; k++) {
            if (strncmp(base, names[k], strlen(names[k])) == 0) {
                return true;
            }
        }
    }
    return false;
}

// A library may hold a Go runtime (c-shared).
static bool has_go_library(const char *root, pid_t pid, const struct oh_smaps *smaps,
                           unsigned *go_minor)
{
    bool has_c = false;
    bool is_go = false;
    for (size_t i = 0; i < smaps->count && !is_go; i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        if ((map->permissions & OH_SMAP_EXECUTE) != 0 && map->inode != 0 && !map->is_deleted) {
            char *const path = oh_str_printf("%s/proc/%d/root%s", root, (int)pid, map->name);
            is_go = path != NULL && is_go_file(path, &has_c, go_minor);
            free(path);
        }
    }
    return is_go;
}

static int find_go_module(void *arg, const struct oh_format_module *module, uint32_t number)
{
    (void)number;
    bool *const is_go = arg;
    *is_go = *is_go || (module->flags & OH_MODULE_GO) != 0;
    return 0;
}

int oh_program_get(const char *root, pid_t pid, const struct oh_smaps *smaps, struct oh_view *view,
                   struct oh_program *program)
{
    static const char *const libcs[] = {"libc.so", "libc-2.", "ld-musl"};
    struct oh_program found = {0};
    char *const link = oh_str_printf("%s/proc/%d/exe", root, (int)pid);
    if (link == NULL) {
        return -ENOMEM;
    }
    found.exe = oh_proc_read_link(link);
    bool has_c = false;
    found.is_go = is_go_file(link, &has_c, &found.go_minor);
    free(link);
    if (view != NULL) {
        (void)oh_view_each_module(view, find_go_module, &found.is_go);
    } else if (!found.is_go) {
        found.is_go = has_go_library(root, pid, smaps, &found.go_minor);
        has_c = true;
    }
    found.has_libc =
        !found.is_go || has_c || has_library(smaps, libcs, sizeof libcs / sizeof libcs[0]);
    *program = found;
    return 0;
}

void oh_program_fini(struct oh_program *program)
{
    free(program->exe);
    *program = (struct oh_program){0};
}

// OH_PART_UNCLAIMED for a kind that we do not know.
static enum oh_memory_part part_of_kind(uint8_t kind)
{
    switch (kind) {
    case OH_KIND_MMAP: return OH_PART_MMAP;
    case OH_KIND_RESERVE: return OH_PART_RESERVE;
    case OH_KIND_SHM: return OH_PART_SHM;
    case OH_KIND_FILE: return OH_PART_FILES;
    case OH_KIND_GO_RUNTIME: return OH_PART_GO;
    case OH_KIND_ALLOCATOR: return OH_PART_HEAP;
    default: return OH_PART_UNCLAIMED;
    }
}

static int copy_ranges(const struct oh_view_ranges *known, struct oh_mapped_range **ranges,
                       size_t *count)
{
    struct oh_mapped_range *const copied = calloc((size_t)known->count + 1, sizeof copied[0]);
    if (copied == NULL) {
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < known->count; i++) {
        const enum oh_memory_part part = part_of_kind(known->ranges[i].kind);
        if (part != OH_PART_UNCLAIMED) {
            copied[(*count)++] =
                (struct oh_mapped_range){known->ranges[i].begin, known->ranges[i].end, part};
        }
    }
    *ranges = copied;
    return 0;
}

int oh_mapped_read(struct oh_view *view, struct oh_mapped_range **ranges, size_t *count,
                   bool *has_mapped)
{
    struct oh_arena arena;
    struct oh_view_ranges known;
    *ranges = NULL;
    *count = 0;
    *has_mapped = view != NULL && oh_ranges_recorded(view);
    if (!*has_mapped) {
        return 0;
    }
    int result = oh_arena_init(&arena, ranges_max_bytes);
    if (result == 0) {
        result = oh_ranges_read(view, &arena, &known);
        if (result == 0) {
            result = copy_ranges(&known, ranges, count);
        }
        oh_arena_fini(&arena);
    }
    return result;
}
