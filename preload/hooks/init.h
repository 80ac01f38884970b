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

// The same from a hook of an allocation. That may be inside a function of an allocator that comes
// before us, and that holds a lock of its own meanwhile: none of its functions is called then.
void oh_init_run_in_hook(void);

#endif
