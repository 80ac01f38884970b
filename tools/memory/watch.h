// SPDX-License-Identifier: Apache-2.0
//
// Looks at a process once, or several times at equal distances, each time together with what its
// recording says at that moment. The recordings of the first and the last look are kept, so that
// their stacks can be compared.

#ifndef OH_MEMORY_WATCH_H
#define OH_MEMORY_WATCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "memory/look.h"
#include "memory/verdict.h"
#include "reader/reader.h"

struct oh_watch {
    struct oh_look looks[OH_VERDICT_LOOKS];
    pid_t pid;
    uint64_t start_ticks; // With the pid and the stack: what was looked at first.
    uint64_t stack_start;
    const char *recording; // As given; the caller's.
    size_t count;          // Looks taken; 0: not one could be.
    struct oh_reader first;
    struct oh_reader last;
    bool has_first;         // The process was recorded at the first look,
    bool has_last;          // and at the last one.
    char not_recorded[512]; // Why it was not, at the first look.
};

struct oh_watch_request {
    pid_t pid;
    const char *recording; // Its path, when it is known; NULL: the one that the process maps.
    uint64_t duration_ns;  // 0: one look.
    const volatile sig_atomic_t *is_over; // Not 0: a last look, and that is it. May be NULL.
};

// Looks that take longer than the time between two are fewer. Returns 0; a process that ends or
// becomes another program meanwhile, or may not be looked into, is told in err with a negative errno,
// and the looks until then stand.
int oh_watch_take(const struct oh_watch_request *request, struct oh_watch *watch,
                  struct oh_err *err);

// One more look, in the place of the last one. 0 or a negative errno with err: the last one stays.
int oh_watch_look_again(struct oh_watch *watch, struct oh_err *err);
void oh_watch_fini(struct oh_watch *watch);

// The look that the table shows: the last one.
struct oh_look *oh_watch_last(struct oh_watch *watch);

// One sentence for each thing that makes the last look less than complete. 0 or -ENOMEM.
int oh_watch_collect_notes(const struct oh_watch *watch, struct oh_list *notes);

// "30s", "5m", "2h", "90": 0 and the time; -EINVAL, -ERANGE (0, or more than a week).
int oh_watch_parse_duration(const char *text, uint64_t *duration_ns);

#endif
