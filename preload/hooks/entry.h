// SPDX-License-Identifier: Apache-2.0
//
// When the program's own main begins, which ends the phase "init": for a C program the call of main
// by libc (we stand before __libc_start_main), for a Go program main.main (hooks/go_entry). Any
// thread may ask at any time.

#ifndef OH_HOOKS_ENTRY_H
#define OH_HOOKS_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

// Once, before anything is recorded. `go`: the executable is a Go program, so that C's main does
// not count.
void oh_entry_init(bool go);

uint8_t oh_entry_phase(void); // enum oh_stack_phase.

#endif
