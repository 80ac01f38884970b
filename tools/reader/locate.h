// SPDX-License-Identifier: Apache-2.0
//
// Finds recordings: the one that a live process has mapped, and those that lie in the recording
// directories. Opens nothing but directories and what is asked for; reads no recording.

#ifndef OH_READER_LOCATE_H
#define OH_READER_LOCATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "offheap/format.h"

#define OH_LOCATE_SUFFIX ".offheap"

// The recording that a process has mapped.
struct oh_mapped_recording {
    char *path;     // As the process itself names it.
    uint64_t start; // The mapping, for /proc/PID/map_files.
    uint64_t end;
    uint64_t inode;
    dev_t device;
};

// 0; -ENOENT: it maps none; else why its maps cannot be read. No text: callers know the words.
int oh_locate_mapped(pid_t pid, struct oh_mapped_recording *found);
void oh_mapped_recording_fini(struct oh_mapped_recording *found);

// Opens it for reading, also when its name is gone or lies in another mount namespace. A file
// descriptor or a negative errno.
int oh_locate_open_mapped(pid_t pid, const struct oh_mapped_recording *found);

// A name "<exe>.<pid>.<start>.offheap" taken apart.
struct oh_recording_name {
    int exe_len; // The first exe_len bytes are <exe>.
    pid_t pid;
    uint64_t start;
};
bool oh_locate_parse_name(const char *name, struct oh_recording_name *parsed);
// Whether this is the name that the recording with this header was given.
bool oh_locate_is_named(const struct oh_recording_name *name,
                        const struct oh_format_header *header);

// Every *.offheap file of a directory, sorted by name. A directory that cannot be read is its
// negative errno. Not 0 from fn ends the walk and is returned.
typedef int oh_locate_fn(void *arg, const char *path);
int oh_locate_each_file(const char *dir, oh_locate_fn *fn, void *arg);

#endif
