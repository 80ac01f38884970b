// SPDX-License-Identifier: Apache-2.0
//
// The end of the process, as far as it lets itself be seen: C's exit handlers and Go's redirected
// runtime.exit. Writes the profile that OFFHEAP_PROFILE asks for, and marks the recording as ended.

#ifndef OH_HOOKS_END_H
#define OH_HOOKS_END_H

#include "base/config.h"

// Once, after the recording was made; `config` stays valid for ever. Claims the profile's name.
void oh_end_init(const struct oh_config *config);

// The process is about to end with this code. Does its work once and in bounded time; a second
// caller waits for the first, bounded, too. Never in a forked child (the caller checks).
void oh_end_run(int code);

#endif
