// SPDX-License-Identifier: Apache-2.0
//
// A recording made by hand on its way to a profile: the view of it, its names, the model. For tests,
// which it fails when a step fails that is not theirs.

#ifndef OH_SUPPORT_PROFILING_H
#define OH_SUPPORT_PROFILING_H

#include "profile/arena.h"
#include "profile/symbols.h"
#include "profile/view.h"
#include "profile/writer.h"
#include "support/synthetic.h"

struct oh_profiling {
    struct oh_synthetic recording; // The test's to fill.
    struct oh_arena arena;         // Opened by oh_profiling_begin.
    struct oh_view view;
    struct oh_symbols symbols;
    struct oh_profile profile;
};

void oh_profiling_begin(struct oh_profiling *p);

// Opens the view and the names, and returns what oh_writer_build does.
int oh_profiling_build(struct oh_profiling *p, const struct oh_symbol_source *source,
                       const struct oh_writer_options *options);

// Releases what was opened.
void oh_profiling_end(struct oh_profiling *p);

const char *oh_profiling_text(const struct oh_profiling *p, uint32_t string);

// For a struct oh_symbol_source: every file is missing.
const char *oh_profiling_no_file(void *self, struct oh_symbol_module *module,
                                 enum oh_symbol_verdict *verdict);

#endif
