// SPDX-License-Identifier: Apache-2.0
//
// Reads protobuf's wire format: a row of (field number, value), where a value is a number or some
// bytes. The bytes are not trusted: what does not fit marks the row as bad and ends it.

#ifndef OH_PROFILE_WIRE_H
#define OH_PROFILE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oh_wire {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

enum oh_wire_type {
    OH_WIRE_VARINT = 0,
    OH_WIRE_FIXED64 = 1,
    OH_WIRE_BYTES = 2,
    OH_WIRE_FIXED32 = 5
};

struct oh_wire_field {
    uint32_t number;
    enum oh_wire_type type;
    uint64_t value;       // Of a number.
    struct oh_wire bytes; // Of OH_WIRE_BYTES: a message, a text, or packed numbers.
};

static inline size_t oh_wire_left(const struct oh_wire *wire)
{
    return (size_t)(wire->end - wire->at);
}

// The next field; false at the end, or when the bytes are bad.
bool oh_wire_next(struct oh_wire *wire, struct oh_wire_field *field);

// The next number of a packed list; false at the end, or when the bytes are bad.
bool oh_wire_next_varint(struct oh_wire *wire, uint64_t *value);

#endif
