// SPDX-License-Identifier: Apache-2.0
//
// What a report can be made of: a profile's file, a recording, a live process. All become the same
// model.

#ifndef OH_CLI_INPUT_H
#define OH_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "pprof/export.h"
#include "report/render.h"

struct oh_input {
    struct oh_export made; // The profile and its memory.
    struct oh_list warnings;
    char *title;
};

// what: a FILE.pb.gz, a RECORDING or a PID. dirs: the --binary directories, for the latter two.
int oh_input_open(struct oh_input *input, const char *what, const char *const *dirs,
                  size_t dir_count, struct oh_err *err);
void oh_input_close(struct oh_input *input);

// The same with what is resident of it: a live process only, by its PID or its recording.
int oh_input_open_resident(struct oh_input *input, const char *what, const char *const *dirs,
                           size_t dir_count, struct oh_err *err);

// Whether it names a profile's file.
bool oh_input_is_profile(const char *what);

// Of a recording that is open, at one moment of it.
int oh_input_from_reader(struct oh_input *input, struct oh_reader *reader, const char *const *dirs,
                         size_t dir_count, const struct oh_export_moment *moment,
                         struct oh_err *err);

// As the renderer takes it; valid while the input is open.
struct oh_report_input oh_input_for_report(const struct oh_input *input);

#endif
