// SPDX-License-Identifier: Apache-2.0
//
// The memory report as text. Elsewhere: the same as JSON (json), which stacks grew (report/diff).

#ifndef OH_MEMORY_TABLE_H
#define OH_MEMORY_TABLE_H

#include <stdio.h>

#include "base/list.h"
#include "memory/advice.h"
#include "memory/look.h"
#include "memory/past.h"
#include "memory/verdict.h"
#include "process/cgroup.h"
#include "process/gostats.h"
#include "process/status.h"

// A stack whose live bytes changed between the first and the last look.
struct oh_memory_stack {
    double older;
    double newer;
    double error;          // Of the difference.
    struct oh_list frames; // Names, the innermost first.
};

// Everything that one report shows; what is NULL is not shown.
struct oh_memory_report {
    const char *title;
    const char *what; // As it was named on the command line, for the hints.
    const struct oh_look *look;
    const struct oh_status *status; // What anybody may read.
    const struct oh_cgroup *group;
    const struct oh_gostats *stats;
    const struct oh_past *past; // Of a process that is gone, instead of a look.
    const struct oh_verdict *verdict;
    const struct oh_memory_stack *stacks; // In JSON; as text they follow the report.
    size_t stack_count;
    const struct oh_advice *advice;
    const char *trimmed;         // What was given back.
    const char *error;           // Why it is not all that was asked for.
    const struct oh_list *notes; // What makes the numbers less than complete.
};

// Without a look: what anybody may read.
void oh_table_print(FILE *out, const struct oh_memory_report *report);

// What a process that is gone held, by kind.
void oh_table_print_held(FILE *out, const struct oh_past *past);

// The head alone: title and notes.
void oh_table_print_head(FILE *out, const struct oh_memory_report *report);

void oh_table_print_verdict(FILE *out, const struct oh_memory_report *report);

#endif
