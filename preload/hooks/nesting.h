// SPDX-License-Identifier: Apache-2.0
//
// Allocators whose calloc, realloc or aligned functions call malloc through the loader, and so
// through our hook: thin layers over libc that count or check. The inner call would take the same
// bytes off the distance to the next sample once more, and could be sampled itself. Found out once,
// by calling each function; those that do it are then called with the inner hooks told to pass.

#ifndef OH_HOOKS_NESTING_H
#define OH_HOOKS_NESTING_H

// Once, after the real functions were resolved and the unwinder is up, by the thread that brings
// the library up (its `busy` is set).
void oh_nesting_settle(void);

#endif
