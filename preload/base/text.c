// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <string.h>

void oh_text_init(struct oh_text *text, char *buf, size_t capacity)
{
    text->buf = buf;
    text->capacity = capacity;
    text->length = 0;
    text->cut = false;
    buf[0] = '\0';
}

void oh_text_add_bytes(struct oh_text *text, const char *bytes, size_t length)
{
    size_t room = text->capacity - 1 - text->length;
    if (length > room) {
        length = room;
        text->cut = true;
    }
    memcpy(text->buf + text->length, bytes, length);
    text->length += length;
    text->buf[text->length] = '\0';
}

void oh_text_add(struct oh_text *text, const char *string)
{
    oh_text_add_bytes(text, string, strlen(string));
}

void oh_text_add_u64(struct oh_text *text, uint64_t value)
{
    char digits[20];
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    oh_text_add_bytes(text, digits + first, sizeof digits - first);
}

bool oh_text_parse_u64(const char *string, uint64_t *value)
{
    uint64_t sum = 0;
    if (*string == '\0')
        return false;
    for (; *string != '\0'; string++) {
        if (*string < '0' || *string > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*string - '0'), &sum))
            return false;
    }
    *value = sum;
    return true;
}
