// SPDX-License-Identifier: Apache-2.0
//
// What several commands say and name alike: profile files and the line that opens them.

#ifndef OH_CLI_WORDS_H
#define OH_CLI_WORDS_H

#include "cli/cli.h"
#include "profile/model.h"
#include "reader/reader.h"

// "offheap.<exe>.<pid>.pb.gz", to be freed; NULL without memory. The pid is the one that we see,
// which in a container is another than the recording's.
char *oh_words_default_profile(const struct oh_reader *reader);

// The name of the recording's program, inside the recording; never empty.
const char *oh_words_exe(const struct oh_view *view);

// A word as a shell reads it back; to be freed.
char *oh_words_quote(const char *word);

// "1.50 MiB in use in 12 objects", or why it is empty; to be freed.
char *oh_words_totals(const struct oh_profile *profile);

// 0 when `kinds` is a list of kinds as --kind takes it, else -1: the error was told.
int oh_words_check_kinds(const struct oh_cli_command *command, const char *kinds);

// Says on the standard error that the profile was written, what it holds and how to open it.
void oh_words_tell_profile(const char *path, const struct oh_profile *profile,
                           size_t warning_count);

#endif
