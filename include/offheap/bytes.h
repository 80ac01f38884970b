// SPDX-License-Identifier: Apache-2.0
//
// A number of bytes as a user writes it: "65536", "64K", "1GiB". The command's options and the
// library's environment must understand it alike. Pure functions, any thread.

#ifndef OFFHEAP_BYTES_H
#define OFFHEAP_BYTES_H

#include <errno.h>
#include <stdint.h>

static inline char oh_bytes_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

// The shift that a unit means, or -1. "", "B", "K", "KB", "KiB", ... in capitals or not.
static inline int oh_bytes_shift(const char *unit)
{
    const char letters[] = "kmgt";
    int shift = 0;
    for (int i = 0; letters[i] != '\0'; i++) {
        if (oh_bytes_lower(unit[0]) == letters[i])
            shift = 10 * (i + 1);
    }
    const char *rest = shift != 0 ? unit + 1 : unit;
    if (shift != 0 && oh_bytes_lower(rest[0]) == 'i' && oh_bytes_lower(rest[1]) == 'b')
        rest++;
    if (oh_bytes_lower(rest[0]) == 'b')
        rest++;
    return rest[0] == '\0' ? shift : -1;
}

// 0; -EINVAL when `text` is no number of bytes; -ERANGE when it is one of over 64 bits. *bytes is
// then untouched.
static inline int oh_bytes_parse(const char *text, uint64_t *bytes)
{
    uint64_t number = 0;
    const char *at = text;
    int result = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            result = -ERANGE;
    }
    int shift = oh_bytes_shift(at);
    if (at == text || shift < 0)
        return -EINVAL;
    if (result != 0 || number > UINT64_MAX >> shift)
        return -ERANGE;
    *bytes = number << shift;
    return 0;
}

#endif
