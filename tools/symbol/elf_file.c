// SPDX-License-Identifier: Apache-2.0
//
// Mapping ELF files.

#include "symbol/elf_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/path.h"

static int map(struct oh_elf_file *file, int fd)
{
    if (file->st.st_size <= 0)
        return -ENOEXEC;
    file->len = (size_t)file->st.st_size;
    void *base = mmap(NULL, file->len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    file->base = base;
    return oh_elf_open(&file->elf, base, file->len);
}

int oh_elf_file_open(struct oh_elf_file *file, const char *path)
{
    *file = (struct oh_elf_file){0};
    int fd = oh_file_open_regular(path, &file->st);
    if (fd < 0) {
        oh_elf_file_close(file);
        return fd;
    }
    int rc = map(file, fd);
    (void)close(fd);
    if (rc != 0)
        oh_elf_file_close(file);
    return rc;
}

void oh_elf_file_close(struct oh_elf_file *file)
{
    if (file->base != NULL)
        (void)munmap(file->base, file->len);
    *file = (struct oh_elf_file){0};
}

size_t oh_elf_file_go_id(const struct oh_elf_file *file, uint8_t id[OH_ELF_BUILD_ID_MAX])
{
    struct oh_elf_bytes text = oh_elf_go_build_id(&file->elf);
    size_t len = text.len < OH_ELF_BUILD_ID_MAX ? text.len : OH_ELF_BUILD_ID_MAX;
    if (len != 0)
        memcpy(id, text.data + text.len - len, len);
    return len;
}

bool oh_elf_file_has_id(const struct oh_elf_file *file, const uint8_t *id, size_t id_len)
{
    uint8_t own[OH_ELF_BUILD_ID_MAX];
    size_t own_len = oh_elf_build_id(&file->elf, own);
    if (own_len != 0 && own_len == id_len && memcmp(own, id, id_len) == 0)
        return true;
    own_len = oh_elf_file_go_id(file, own);
    return own_len != 0 && own_len == id_len && memcmp(own, id, id_len) == 0;
}

bool oh_elf_file_has_code(const struct oh_elf_file *file)
{
    Elf64_Shdr section;
    for (size_t i = 1; oh_elf_section(&file->elf, i, &section); i++) {
        if (section.sh_type == SHT_PROGBITS && (section.sh_flags & SHF_EXECINSTR) != 0)
            return true;
    }
    Elf64_Phdr segment;
    bool has_sections = file->elf.section_count != 0;
    for (size_t i = 0; !has_sections && oh_elf_segment(&file->elf, i, &segment); i++) {
        if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0)
            return true;
    }
    return false;
}
