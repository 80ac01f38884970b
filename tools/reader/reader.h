// SPDX-License-Identifier: Apache-2.0
//
// Opens what the user names, a recording's file or a process, and gives a checked view of a copy
// of it. Owns the words for everything that can be wrong with it.
//
// Elsewhere: finding (locate), copying (snapshot), checking (profile/view), names (pprof/).

#ifndef OH_READER_READER_H
#define OH_READER_READER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "profile/view.h"
#include "reader/owner.h"
#include "reader/snapshot.h"

struct oh_reader {
    struct oh_view view;
    struct oh_snapshot snapshot;
    char *path; // Where the recording lies, as its process or the user names it.
    pid_t pid;  // The live process that writes it; 0 when it is gone or cannot be told.
    enum oh_owner owner;
};

// What a word on the command line means.
enum oh_reader_target {
    OH_TARGET_FILE,
    OH_TARGET_PID,
};

// A number is a PID, unless a file of that name exists: "./123" is always the file.
enum oh_reader_target oh_reader_target(const char *what, pid_t *pid);

// what: a file or a PID. On failure nothing is held.
int oh_reader_open(struct oh_reader *reader, const char *what, struct oh_err *err);
int oh_reader_open_file(struct oh_reader *reader, const char *path, struct oh_err *err);
// A live process, or the recording that a dead one of this number left.
int oh_reader_open_pid(struct oh_reader *reader, pid_t pid, struct oh_err *err);
void oh_reader_close(struct oh_reader *reader);

// Only the header of a recording's file, for looking through many. 0, or a negative errno:
// -EINVAL: not a recording of ours.
int oh_reader_peek(const char *path, struct oh_format_header *header);

// The moment whose numbers the recording shows, CLOCK_REALTIME: when it ended or was switched off;
// for a live process, when it was copied; for one that was killed, the newest step of its time line,
// which is up to a second before its death, or more when it allocated nothing at the end; without a
// time line the file's mtime, which the kernel moves when a page is written for the first time since
// it was last written back (up to half a minute off), and who copies the file, too.
uint64_t oh_reader_time_ns(const struct oh_reader *reader);

// "recording", "off: the disk is full (No space left on device)", "ended", "killed", "replaced by
// exec", ...
int oh_reader_describe_state(const struct oh_format_header *header, enum oh_owner owner, char *out,
                             size_t size);

// One sentence for each thing that makes the numbers less than complete: state, counters that
// moved, notes that the library left, damaged entries.
int oh_reader_collect_warnings(const struct oh_reader *reader, struct oh_list *warnings);

#endif
