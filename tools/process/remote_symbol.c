// SPDX-License-Identifier: Apache-2.0
//
// A function's address by its library's dynamic symbols.

#include "process/remote_symbol.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "profile/elf.h"

// What is added to the file's addresses, from the map of its first bytes.
static bool find_bias(const struct oh_elf *elf, const struct oh_smap *map, uint64_t *bias)
{
    for (size_t i = 0; i < elf->segment_count; i++) {
        Elf64_Phdr segment;
        if (oh_elf_segment(elf, i, &segment) && segment.p_type == PT_LOAD) {
            const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
            *bias = map->start - map->offset - (segment.p_vaddr - segment.p_offset) / page * page;
            return true;
        }
    }
    return false;
}

static int find_in_map(const char *path, const struct oh_smap *map, const char *function,
                       uint64_t *address)
{
    struct stat info;
    struct oh_elf elf;
    const int fd = oh_file_open_regular(path, &info);
    if (fd < 0) {
        return fd;
    }
    // Another file may lie at the path now.
    int result = info.st_ino == map->inode && info.st_size > 0 ? 0 : -ENOENT;
    void *bytes = MAP_FAILED;
    if (result == 0) {
        bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        result = bytes == MAP_FAILED ? -errno : 0;
    }
    if (result == 0) {
        uint64_t bias = 0;
        uint64_t value = 0;
        result = oh_elf_open(&elf, bytes, (size_t)info.st_size);
        if (result == 0) {
            result = oh_elf_find_export(&elf, function, &value) && find_bias(&elf, map, &bias)
                         ? 0
                         : -ENOENT;
        }
        if (result == 0) {
            *address = value + bias;
        }
        (void)munmap(bytes, (size_t)info.st_size);
    }
    (void)close(fd);
    return result;
}

int oh_remote_symbol_find(const char *root, pid_t pid, const struct oh_smaps *smaps,
                          const char *library, const char *function, uint64_t *address)
{
    for (size_t i = 0; i < smaps->count; i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        if (map->offset != 0 || map->inode == 0 ||
            strncmp(oh_path_base(map->name), library, strlen(library)) != 0) {
            continue;
        }
        char *const path = oh_str_printf("%s/proc/%d/root%s", root, (int)pid, map->name);
        const int result = path != NULL ? find_in_map(path, map, function, address) : -ENOMEM;
        free(path);
        return result;
    }
    return -ENOENT;
}
