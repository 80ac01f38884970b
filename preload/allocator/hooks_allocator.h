// SPDX-License-Identifier: Apache-2.0
//
// The hooks of functions that are redirected (patch/redirect) instead of interposed: one for each
// shape and number of arguments, whatever the function's name.

#ifndef OH_ALLOCATOR_HOOKS_ALLOCATOR_H
#define OH_ALLOCATOR_HOOKS_ALLOCATOR_H

#include "profile/allocator.h"

// What stands for a function of these facts; NULL: there is no such hook.
const void *oh_allocator_hook(const struct oh_allocator_facts *facts);

#endif
