// SPDX-License-Identifier: Apache-2.0
//
// A small shared object for test_modules, built several times: alike in its layout, different in
// what PROBE says, so that one can take the other's place in memory.

int probe_value(void);
void probe_call(void (*function)(void));

int probe_value(void)
{
    return PROBE;
}

// Puts a frame of this library under the function's.
void probe_call(void (*function)(void))
{
    function();
    __asm__ volatile("" : : : "memory"); // No tail call.
}
