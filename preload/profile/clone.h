// SPDX-License-Identifier: Apache-2.0
//
// What compilers append to the linker symbol of a function that they copied or cut up:
// `.constprop.0`, `.isra.0`, `.part.0`, `.cold`. Used by the built-in names and by the command's.
// No state; any thread. Host-safe.

#ifndef OH_PROFILE_CLONE_H
#define OH_PROFILE_CLONE_H

#include <stddef.h>

// Length of a linker symbol without such suffixes.
size_t oh_clone_base_length(const char *symbol, size_t length);

#endif
