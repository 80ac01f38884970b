// SPDX-License-Identifier: Apache-2.0
//
// Gives us a moment when a Go program ends. Go leaves by a raw exit_group in runtime.exit; we
// write a jump over its twelve known bytes to a stub that leaves by hooks/leave instead.
//
// oh_go_exit_install: once, from our constructor, before any Go code runs; never in a child.

#ifndef OH_HOOKS_GO_EXIT_H
#define OH_HOOKS_GO_EXIT_H

#include "capture/go_runtime.h"

// at_end: see oh_leave_arm.
// 0, or -ENOENT no runtime.exit, -EILSEQ its bytes are not the known ones, -EALREADY, or the
// error of the write; nothing is changed then.
int oh_go_exit_install(const struct oh_go_runtime *runtime, void (*at_end)(int code));

#endif
