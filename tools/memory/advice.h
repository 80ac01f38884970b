// SPDX-License-Identifier: Apache-2.0
//
// GOMEMLIMIT: what is left of a control group's limit for Go, when what is not Go's is taken off.
// Pure.

#ifndef OH_MEMORY_ADVICE_H
#define OH_MEMORY_ADVICE_H

#include <stddef.h>
#include <stdint.h>

#include "memory/look.h"
#include "process/cgroup.h"
#include "process/gostats.h"

struct oh_advice_facts {
    const struct oh_look *look;
    const struct oh_cgroup *group;
    const struct oh_gostats *stats; // NULL: not asked.
    const char *gomemlimit; // From the environment that the process began with; NULL: unset.
    const char *gogc;       // The same.
};

struct oh_advice {
    uint64_t bytes; // 0: there is none.
    char text[600]; // Why, or why not; "" when the program is no Go program.
};

void oh_advice_find(const struct oh_advice_facts *facts, struct oh_advice *advice);

// "64MiB", "1500", "off" as Go reads them: 0 and the bytes, UINT64_MAX for off; -EINVAL.
int oh_advice_parse_limit(const char *text, uint64_t *bytes);

#endif
