// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people write and read them: sizes (read by offheap/bytes.h), counts, ages. Pure
// functions, any thread.

#ifndef OH_BASE_HUMAN_H
#define OH_BASE_HUMAN_H

#include <stdint.h>

// Room for every text that this module writes.
enum { OH_HUMAN_BYTES = 32 };

// "0 B", "512 B", "1.50 KiB", "12.3 MiB", "-3.00 GiB".
void oh_human_format_bytes(double bytes, char out[OH_HUMAN_BYTES]);

// The same as a value: several may be arguments of one call.
struct oh_human_size {
    char text[OH_HUMAN_BYTES];
};
struct oh_human_size oh_human_size(double bytes);

// "0", "950", "12,345", "-7".
void oh_human_format_count(double count, char out[OH_HUMAN_BYTES]);

// "5s", "3m12s", "4h07m", "12d03h".
void oh_human_format_age(uint64_t seconds, char out[OH_HUMAN_BYTES]);

#endif
