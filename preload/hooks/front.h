// SPDX-License-Identifier: Apache-2.0
//
// A library that was preloaded before this one and has functions of the mmap family of its own: its
// are called, and ours are not. gperftools' tcmalloc is one, whose functions make the system call
// themselves; they are redirected to ours (patch/redirect), all or none. Of any other library nothing
// is touched (it may need to see every call, as a sanitizer does), and a note says what may be missing.
//
// Once, by the thread that brings the library up, after oh_allocators_init. Not when other threads run
// already. No state.

#ifndef OH_HOOKS_FRONT_H
#define OH_HOOKS_FRONT_H

void oh_front_init(void);

#endif
