// SPDX-License-Identifier: Apache-2.0
//
// The file of a profile that the library writes at the end of its process: its name, so that no
// two processes of one run ever write to the same, and how it comes there: beside its name first,
// then under it in one step.
//
// Who has the plain name. Children inherit OFFHEAP_PROFILE. The first process that finds it claims
// it: it rewrites the name of the variable in place to OFFHEAP_P and six characters that stand for
// its own identity (pid and start time). (In place, because Go reads the initial environment, not
// libc's.) Who finds such a name with its own identity is the same process after an exec and has
// the plain name, too; anybody else is a child and puts its pid into the name.
//
// Two processes that were both started with the plain name are kept apart when they write: a file
// that is newer than the writer's own start is another's and is left alone; an older one is of an
// earlier run and is replaced.
//
// One thread at a time. Host-safe.

#ifndef OH_PROFILE_OUTFILE_H
#define OH_PROFILE_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OH_OUTFILE_PATH_BYTES = 4096, OH_OUTFILE_ID_CHARS = 6 };

// Tells processes apart, pids that were reused included; the same before and after an exec.
struct oh_outfile_identity {
    uint64_t pid;
    uint64_t start_ticks;
};

void oh_outfile_id(const struct oh_outfile_identity *identity, char id[OH_OUTFILE_ID_CHARS + 1]);

// entry is "OFFHEAP_PROFILE=..." or a claimed one, and writable; it is claimed if nobody has. True
// when this process has the plain name.
bool oh_outfile_claim(char *entry, const struct oh_outfile_identity *identity);

// Writes the name: %p replaced by the pid, a relative pattern put behind dir, and (with_pid, unless
// %p is there already) the pid before the suffix: p.pb.gz, p.4711.pb.gz. 0, -EINVAL (empty, or ends
// in a slash) or -ENAMETOOLONG.
int oh_outfile_name(const char *pattern, const char *dir, uint64_t pid, bool with_pid,
                    char name[OH_OUTFILE_PATH_BYTES]);

struct oh_outfile {
    int fd;
    uint64_t written;
    uint64_t limit;                   // RLIMIT_FSIZE, which would end the process by SIGXFSZ.
    char part[OH_OUTFILE_PATH_BYTES]; // The name while it is being written.
};

// Makes an empty file beside `name`, 0600. 0, -EINVAL when something that is not a file has the
// name, or the system's error.
int oh_outfile_begin(struct oh_outfile *file, const char *name,
                     const struct oh_outfile_identity *identity);
// An oh_sink_fn; arg is the file.
int oh_outfile_write(void *file, const void *data, size_t size);
// Puts the file under the first of the names that is free, or has an older file than started_ns
// (CLOCK_REALTIME_COARSE, which is what file times are taken from). 0 with the index of the name;
// -EEXIST when none is. The file is closed in any case, and gone when it failed.
int oh_outfile_commit(struct oh_outfile *file, const char *const *names, size_t count,
                      uint64_t started_ns, size_t *used);
void oh_outfile_abort(struct oh_outfile *file);

#endif
