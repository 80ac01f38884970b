// SPDX-License-Identifier: Apache-2.0
//
// An ELF file on disk, mapped read-only and opened as an oh_elf. Only regular files; opening never
// blocks.

#ifndef OH_SYMBOL_ELF_FILE_H
#define OH_SYMBOL_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "profile/elf.h"

struct oh_elf_file {
    void *base; // NULL: not open.
    size_t len;
    struct stat st;
    struct oh_elf elf; // Points into the mapping; its address must not change while in use.
};

// 0 or a negative errno (-ENOEXEC: no ELF file, -EISDIR or -EINVAL: not a regular file, and what
// open and mmap give). A failed file is as a zeroed one.
int oh_elf_file_open(struct oh_elf_file *file, const char *path);
void oh_elf_file_close(struct oh_elf_file *file);

// Go's build id as a recording keeps it: the last OH_ELF_BUILD_ID_MAX bytes; 0: none.
size_t oh_elf_file_go_id(const struct oh_elf_file *file, uint8_t id[OH_ELF_BUILD_ID_MAX]);
// Whether this is the file's GNU build id, or its Go build id as above.
bool oh_elf_file_has_id(const struct oh_elf_file *file, const uint8_t *id, size_t id_len);
// Whether machine code is in the file; it is not in a separated debug file.
bool oh_elf_file_has_code(const struct oh_elf_file *file);

#endif
