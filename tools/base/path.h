// SPDX-License-Identifier: Apache-2.0
//
// Paths and small strings. What is returned as char * is the caller's to free, and NULL only when
// there is no memory.

#ifndef OH_BASE_PATH_H
#define OH_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

// printf into fresh memory.
__attribute__((format(printf, 1, 2))) char *oh_str_printf(const char *fmt, ...);

bool oh_str_ends_with(const char *text, const char *end);

// Whether a word is one of a list "a,b,c".
bool oh_str_in_list(const char *list, const char *word);

// A whole decimal number, digits only.
bool oh_str_parse_u64(const char *text, uint64_t *value);

// The last component, inside `path`.
const char *oh_path_base(const char *path);

// Everything before the last component: "." when there is none, "/" for the root.
char *oh_path_dir(const char *path);

char *oh_path_join(const char *dir, const char *name);

// The same name for another process: "p.pb.gz" -> "p.<pid>.pb.gz", "p" -> "p.<pid>".
char *oh_path_with_pid(const char *path, pid_t pid);

// Where recordings may lie: OFFHEAP_DIR, TMPDIR, /var/tmp, /tmp, each once and only those set.
// The strings belong to the environment or are constants.
enum { OH_PATH_RECORDING_DIRS = 4 };
size_t oh_path_recording_dirs(const char *dirs[OH_PATH_RECORDING_DIRS]);

// Opens a regular file for reading; what is none is not opened, not even for a moment: opening some
// devices does something. *info is the file's. A descriptor, -EISDIR, -EINVAL (not a regular file)
// or why it cannot be opened.
int oh_file_open_regular(const char *path, struct stat *info);

// Reads a whole small file (files of /proc have no size). *data has a NUL behind its end.
// 0 or a negative errno; -EFBIG past max_bytes.
int oh_file_read(const char *path, size_t max_bytes, char **data, size_t *len);

#endif
