// SPDX-License-Identifier: Apache-2.0
//
// Bounded text without stdio, locale or allocation: appends to a caller's buffer, always
// NUL-terminated, and remembers when something had to be cut. Any thread (no shared state).

#ifndef OH_BASE_TEXT_H
#define OH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oh_text {
    char *buf;
    size_t capacity; // At least 1.
    size_t length;
    bool cut;
};

void oh_text_init(struct oh_text *text, char *buf, size_t capacity);
void oh_text_add(struct oh_text *text, const char *string);
void oh_text_add_bytes(struct oh_text *text, const char *bytes, size_t length);
void oh_text_add_u64(struct oh_text *text, uint64_t value);

// The whole of `string` as a decimal number: false when it is empty, has another character, or
// exceeds 64 bits; *value is then untouched.
bool oh_text_parse_u64(const char *string, uint64_t *value);

#endif
