// SPDX-License-Identifier: Apache-2.0
//
// A small shared object for test_modules, built several times: alike in its layout, different in
// what PROBE says, so that one can take the other's place in memory.

enum { PAGE_BYTES = 4096 };

// Some pages of the file's data, for a host that takes one of them away.
char probe_data[3 * PAGE_BYTES] = {PROBE};

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
