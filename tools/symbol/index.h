// SPDX-License-Identifier: Apache-2.0
//
// The ELF files below the --binary directories by build id. The directories are walked at the first
// question, to a fixed depth and number of files; links to directories are not followed.

#ifndef OH_SYMBOL_INDEX_H
#define OH_SYMBOL_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct oh_index_entry;

struct oh_index {
    char **dirs; // Directories or single files.
    size_t dir_count;
    struct oh_index_entry *entries;
    size_t count;
    size_t room;
    size_t seen; // Files looked at, ELF or not.
    bool is_filled;
};

// What a file is wanted for: a file has code, DWARF, or both.
enum oh_index_want { OH_INDEX_CODE, OH_INDEX_DWARF };

// Copies the names. -ENOENT and the like with a message when one of them is not there.
int oh_index_init(struct oh_index *index, const char *const *dirs, size_t dir_count,
                  struct oh_err *err);
void oh_index_fini(struct oh_index *index);

// The path of a file with this build id, GNU's or Go's; NULL when there is none. Lives as long as
// the index. A file that is whole (code and DWARF) is preferred.
const char *oh_index_find_id(struct oh_index *index, const uint8_t *id, size_t id_len,
                             enum oh_index_want want);

// The path of a file with code of this name, size and modification time.
const char *oh_index_find_stat(struct oh_index *index, const char *name, uint64_t size,
                               uint64_t mtime_ns);

#endif
