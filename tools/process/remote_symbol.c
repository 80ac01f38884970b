// SPDX-License-Identifier: Apache-2.0
//
// A function's address by the symbols of its file.

#include "process/remote_symbol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "profile/elf.h"

// Of a function that is not exported, as a program's are not.
static bool find_in_symtab(const struct oh_elf *elf, const char *function, uint64_t *address)
{
    Elf64_Shdr symbols;
    Elf64_Shdr strings;
    if (!oh_elf_find_section(elf, ".symtab", &symbols) ||
        !oh_elf_find_section(elf, ".strtab", &strings)) {
        return false;
    }
    const struct oh_elf_bytes table = oh_elf_section_bytes(elf, &symbols);
    const struct oh_elf_bytes names = oh_elf_section_bytes(elf, &strings);
    const size_t length = strlen(function);
    for (size_t at = 0; at + sizeof(Elf64_Sym) <= table.len; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        memcpy(&symbol, table.data + at, sizeof symbol);
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
            symbol.st_name < names.len && names.len - symbol.st_name > length &&
            memcmp(names.data + symbol.st_name, function, length + 1) == 0) {
            *address = symbol.st_value;
            return true;
        }
    }
    return false;
}

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
            const bool is_there = oh_elf_find_export(&elf, function, &value) ||
                                  find_in_symtab(&elf, function, &value);
            result = is_there && find_bias(&elf, map, &bias) ? 0 : -ENOENT;
        }
        if (result == 0) {
            *address = value + bias;
        }
        (void)munmap(bytes, (size_t)info.st_size);
    }
    (void)close(fd);
    return result;
}

static int find_in_process(const char *root, pid_t pid, const struct oh_smap *map,
                           const char *function, uint64_t *address)
{
    char *const path = oh_str_printf("%s/proc/%d/root%s", root, (int)pid, map->name);
    const int result = path != NULL ? find_in_map(path, map, function, address) : -ENOMEM;
    free(path);
    return result;
}

int oh_remote_symbol_find(const char *root, pid_t pid, const struct oh_smaps *smaps,
                          const char *library, const char *function, uint64_t *address)
{
    for (size_t i = 0; i < smaps->count; i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        if (map->offset == 0 && map->inode != 0 &&
            strncmp(oh_path_base(map->name), library, strlen(library)) == 0) {
            return find_in_process(root, pid, map, function, address);
        }
    }
    return -ENOENT;
}

int oh_remote_symbol_find_inside(const char *root, pid_t pid, const struct oh_smaps *smaps,
                                 const char *path, const char *function, uint64_t *address)
{
    for (size_t i = 0; i < smaps->count; i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        if (map->offset == 0 && map->inode != 0 && strcmp(map->name, path) == 0) {
            return find_in_process(root, pid, map, function, address);
        }
    }
    return -ENOENT;
}

// Looks for the bytes in a map's memory. -ENOENT.
static int find_bytes(int memory, const struct oh_smap *map, const uint8_t *bytes, size_t count,
                      uint64_t *address)
{
    const size_t size = (size_t)(map->end - map->start);
    uint8_t *const code = malloc(size);
    if (code == NULL) {
        return -ENOMEM;
    }
    const ssize_t got = pread(memory, code, size, (off_t)map->start);
    const uint8_t *const at = got > 0 ? memmem(code, (size_t)got, bytes, count) : NULL;
    if (at != NULL) {
        *address = map->start + (uint64_t)(at - code);
    }
    free(code);
    return at != NULL ? 0 : -ENOENT;
}

int oh_remote_symbol_find_sigreturn(const char *root, pid_t pid, const struct oh_smaps *smaps,
                                    uint64_t *address)
{
    // mov $15,%rax; syscall (glibc and musl; 15 is rt_sigreturn).
    static const uint8_t code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    static const char *const libraries[] = {"libc.so", "libc-2.", "ld-musl"};
    char *const path = oh_str_printf("%s/proc/%d/mem", root, (int)pid);
    const int memory = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    int result = path == NULL ? -ENOMEM : memory < 0 ? -errno : -ENOENT;
    free(path);
    for (size_t i = 0; i < smaps->count && memory >= 0 && result == -ENOENT; i++) {
        const struct oh_smap *const map = &smaps->maps[i];
        const char *const base = oh_path_base(map->name);
        for (size_t k = 0; k < sizeof libraries / sizeof libraries[0]; k++) {
            if ((map->permissions & OH_SMAP_EXECUTE) != 0 && map->inode != 0 &&
                strncmp(base, libraries[k], strlen(libraries[k])) == 0) {
                result = find_bytes(memory, map, code, sizeof code, address);
            }
        }
    }
    if (memory >= 0) {
        (void)close(memory);
    }
    return result;
}
