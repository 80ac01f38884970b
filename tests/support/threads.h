// SPDX-License-Identifier: Apache-2.0
//
// Threads that begin at the same moment.

#ifndef OH_SUPPORT_THREADS_H
#define OH_SUPPORT_THREADS_H

#include <stdint.h>

typedef void oh_threads_fn(uint32_t number, void *arg);

// Runs fn(0 .. count - 1, arg), each in a thread of its own, from a common barrier on, and waits for
// all of them.
void oh_threads_run(uint32_t count, oh_threads_fn *fn, void *arg);

#endif
