// SPDX-License-Identifier: Apache-2.0
//
// Bringing the library up: at its constructor, or before it at the first hooked call, whichever
// comes first (libraries that the program needs are initialised, and allocate, before us). Taking
// it down belongs to hooks/end.

#ifndef OH_HOOKS_INIT_H
#define OH_HOOKS_INIT_H

// Does the work once; any thread, any number of times. A second caller returns at once, also while
// the first is at work. errno is kept.
void oh_init_run(void);

#endif
