// SPDX-License-Identifier: Apache-2.0
//
// What a Go program says of its own memory: runtime.MemStats as net/http/pprof prints it under
// /debug/pprof/heap?debug=1.

#ifndef OH_PROCESS_GOSTATS_H
#define OH_PROCESS_GOSTATS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Bytes, as in runtime.MemStats.
struct oh_gostats {
    uint64_t sys;
    uint64_t heap_alloc;
    uint64_t heap_sys;
    uint64_t heap_idle;
    uint64_t heap_inuse;
    uint64_t heap_released;
    uint64_t stack_sys;
    uint64_t next_gc;
    uint64_t metadata; // MSpan, MCache, BuckHash, GC and Other, each its Sys.
};

// 0; -EINVAL: the text has no such statistics. Reads text up to its NUL.
int oh_gostats_parse(const char *text, struct oh_gostats *stats);

// Asks the program. url: http://HOST[:PORT][/PATH]; without a path, pprof's own. Waits for seconds
// at most. 0 or a negative errno with err.
int oh_gostats_fetch(const char *url, struct oh_gostats *stats, struct oh_err *err);

// What the runtime has of the system and has not given back: what can be resident.
uint64_t oh_gostats_held(const struct oh_gostats *stats);

#endif
