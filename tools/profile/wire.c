// SPDX-License-Identifier: Apache-2.0
//
// Reads protobuf's wire format.

#include "profile/wire.h"

static bool fail(struct oh_wire *wire)
{
    wire->is_bad = true;
    wire->at = wire->end;
    return false;
}

bool oh_wire_next_varint(struct oh_wire *wire, uint64_t *value)
{
    if (wire->at == wire->end) {
        return false;
    }
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
        const uint8_t byte = *wire->at++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *value = number;
            return true;
        }
    }
    return fail(wire);
}

static bool next_fixed(struct oh_wire *wire, size_t size, uint64_t *value)
{
    if (oh_wire_left(wire) < size) {
        return fail(wire);
    }
    *value = 0;
    for (size_t i = 0; i < size; i++) {
        *value |= (uint64_t)wire->at[i] << (8 * i);
    }
    wire->at += size;
    return true;
}

bool oh_wire_next(struct oh_wire *wire, struct oh_wire_field *field)
{
    uint64_t tag = 0;
    if (!oh_wire_next_varint(wire, &tag)) {
        return false;
    }
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX) {
        return fail(wire);
    }
    *field = (struct oh_wire_field){.number = (uint32_t)(tag >> 3),
                                    .type = (enum oh_wire_type)(tag & 7)};
    uint64_t len = 0;
    switch (field->type) {
    case OH_WIRE_VARINT: return oh_wire_next_varint(wire, &field->value) || fail(wire);
    case OH_WIRE_FIXED64: return next_fixed(wire, 8, &field->value);
    case OH_WIRE_FIXED32: return next_fixed(wire, 4, &field->value);
    case OH_WIRE_BYTES:
        if (!oh_wire_next_varint(wire, &len) || len > oh_wire_left(wire)) {
            return fail(wire);
        }
        field->bytes = (struct oh_wire){.at = wire->at, .end = wire->at + len};
        wire->at += len;
        return true;
    }
    return fail(wire);
}
