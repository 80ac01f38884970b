// SPDX-License-Identifier: Apache-2.0
//
// Which file on this machine holds the code, and which the debug information, of a module that a
// recording names: never one whose build id differs. Only looks; opening them for names is csym's
// and the Go reader's work.

#ifndef OH_SYMBOL_FIND_H
#define OH_SYMBOL_FIND_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// What the recording knows of a module. Without a build id (build_id_len 0) the file is known by
// size, inode and mtime; fields that are 0 are not compared.
struct oh_find_module {
    const char *path;
    const uint8_t *build_id;
    size_t build_id_len;
    uint64_t size;
    uint64_t inode;
    uint64_t mtime_ns;
};

enum oh_find_verdict {
    OH_FIND_OK,       // binary is the recorded file.
    OH_FIND_REPLACED, // A file is at the path, but another one; none of that id was found.
    OH_FIND_MISSING,  // No file at the path, none of that id was found.
    OH_FIND_VERDICT_COUNT
};

struct oh_find_result {
    enum oh_find_verdict verdict; // Of the binary; debug may be found all the same.
    char *binary;                 // Path to open, NULL unless OH_FIND_OK.
    char *debug; // A separate debug file, NULL when there is none or the binary has its own DWARF.
};

struct oh_find; // Caches the build ids in the --binary directories.

// dirs: the --binary directories (or single files). root: prefix of the recorded process' file system, as
// /proc/PID/root, tried before the path itself; NULL: none. Both are copied.
int oh_find_create(const char *const *dirs, size_t dir_count, const char *root,
                   struct oh_find **find, struct oh_err *err);
void oh_find_destroy(struct oh_find *find);

// 0 with a result in every case of the verdict; negative only without memory.
int oh_find_module(struct oh_find *find, const struct oh_find_module *module,
                   struct oh_find_result *result, struct oh_err *err);
void oh_find_result_fini(struct oh_find_result *result);

#endif
