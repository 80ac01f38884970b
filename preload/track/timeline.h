// SPDX-License-Identifier: Apache-2.0
//
// Makes the steps of the time line: once a second at most, on the slow path of a hook, in the
// thread that happens to come by (a sample, a recorded allocation, a call of the mmap family). No
// thread, no timer: a process that does none of these writes nothing.
//
// What is in use is counted nowhere: a free costs nothing here. A step adds up the live blocks and
// the mapped ranges by stack, in memory of this process, then goes through the stacks: it brings up
// the steps of each (tables/steps), adds up what they allocated, and at the end asks the system
// (base/usage) and enters the step. So a value of it is of some moment between its begin and its
// end, as in a copy of the recording, and a block that lives all this time is in it once.
//
// A look at a table with much in it is cut into visits: 8,192 entries and at most eight times as
// many when nobody came by for a while, but no further page after 0.1 ms; then nothing for 10 ms.
// That bounds what one hook has to wait, and a step of a process with a million live blocks takes some
// seconds. Ranges are looked at in one go, and not when there are more than 8,192. Pages of the
// tables that were never written are not read: that would make them resident. A page that was
// written, and that the system took out of the memory before a step looked at it, is taken for such
// a one until the process uses it again: under memory pressure a step may show less than there is.
// Where /proc/self/pagemap may not be read (chroot, setuid) all pages are read.
//
// Threads: any; who gets the word `next_ns` (compare-and-swap) is the one that visits, the others
// go on. All signals are blocked for the visit, so that no handler leaves it by a jump. Progress:
// no waiting. A writer that dies leaves what tables/steps.h says. A thread that ends within a
// visit, which nothing but the end of its process brings about, would end the time line: its
// readers see that as a gap.
//
// The system is not asked any more when the process has confined itself (base/sandbox). A process
// that was confined when it began is looked at by system calls that the start makes as well: what
// passes there passes later.
//
// This is also the one place for what else is to be done once a second at most.

#ifndef OH_TRACK_TIMELINE_H
#define OH_TRACK_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/usage.h"
#include "offheap/format.h"

// Seams for tests; NULL: the system's.
struct oh_timeline_ops {
    void (*usage)(struct oh_usage_source *source, bool look, struct oh_usage *usage);
    uint64_t (*clock_ns)(void); // How long a visit takes.
};

// Once, when the tables are there, before oh_track_start. Without steps there is only what is done
// each second.
void oh_timeline_start(const struct oh_format_header *header, bool with_steps,
                       const struct oh_timeline_ops *ops);

// Has `call` run once a second at most, on the slow path of an allocation that was just recorded, with
// that one's stack; hooks that are entered meanwhile record nothing. One caller, by a thread alone.
void oh_timeline_each_second(void (*call)(uint32_t stack));

// Whether a visit is due at this time of the recording: one load and one comparison.
bool oh_timeline_due(uint64_t now_ns);

// Does a part of a step, if no other thread does. The stack is that of the allocation that was
// just recorded, 0 when it was something else. errno is not changed.
void oh_timeline_visit(uint64_t now_ns, uint32_t stack);

#endif
