// SPDX-License-Identifier: Apache-2.0
//
// Keeps the time that is spent on samples under a share of the process's processor time
// (OFFHEAP_MAX_OVERHEAD): measures both, and moves the sampling mean on its ladder. What a change
// of the mean means for the numbers is capture/sampler's; SAMPLING.md has the proof and the rule of
// control.
//
// Nothing here runs by itself. track.c calls oh_budget_begin and oh_budget_end around its work, and
// one of those calls in 100 ms (in 10, when far too much was spent) makes a step of the controller,
// with one system call. So a process that allocates nothing writes nothing. None of it is called
// without a budget, nor in a forked child.
//
// What is counted: recording a sample, from the stack's capture to the tables; looking for a block
// that is freed (one look in sixteen of a thread is timed, and stands for sixteen); a flat time for
// what lies outside of the clock's two readings. The clock is one of real time, because only such a
// one is read without entering the kernel; a single event therefore counts with 50 us at most (a
// free with 4 us): a thread that was put to sleep in a sample has not used the processor. What is
// lost by that is the surplus of a few first visits to unknown code.
//
// Shared words and the controller's own:
//   states      `next_ns` holds the time of the next step, or, while one is made, "never".
//   writers     `spent_ns` and `vain_ns`: every thread adds. `early_spent_ns`: who holds the step,
//               read by all. `next_ns`: who takes the step stores "never" by a compare-and-swap,
//               and the next time when it is done. Everything else is touched by the one who holds
//               the step.
//   publication oh_store_release of `next_ns` at the end of a step pairs with oh_cas_acq_rel at the
//               begin of the next. The numbers in the header are stored relaxed, each for itself: a
//               reader may see those of two neighbouring steps.
//   progress    no loop waits; who fails to take the step goes on.
//   dead writer a thread that never comes back from a step (a signal handler that jumps out of a
//               hook) leaves the mean where it is, for good. Estimates stay right.

#ifndef OH_CAPTURE_BUDGET_H
#define OH_CAPTURE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "offheap/format.h"

// Where the time comes from; tests have their own.
struct oh_budget_clocks {
    uint64_t (*now_ns)(void);       // Never goes back, and is read without a system call.
    uint64_t (*processor_ns)(void); // What all threads of the process have used. Once a step.
};

// Makes the ladder in the header of a recording with a budget, and the first mean the sampler's.
// NULL: the system's clocks.
void oh_budget_init(struct oh_format_header *header, const struct oh_budget_clocks *clocks);

// The ladder: half octaves through `first`, from at most 64 KiB (or `first`, when that is less)
// upwards. Returns the place of `first`.
uint32_t oh_budget_make_ladder(uint64_t first, uint64_t means[OH_FORMAT_MEANS]);

// Around the recording of one sample: end takes what begin returned.
uint64_t oh_budget_begin(void);
void oh_budget_end(uint64_t began);
// A visit at the sampler that recorded nothing.
void oh_budget_visit(void);
// Around a look for a recorded block by the calling thread. begin_free may return 0: this one is
// not timed.
uint64_t oh_budget_begin_free(struct oh_thread *thread);
void oh_budget_end_free(uint64_t began, bool recorded);

#endif
