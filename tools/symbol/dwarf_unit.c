// SPDX-License-Identifier: Apache-2.0
//
// See dwarf_unit.h.

#include "symbol/dwarf_unit.h"

#include <string.h>

enum {
    TAG_COMPILE_UNIT = 0x11,
    AT_STMT_LIST = 0x10,
    AT_LANGUAGE = 0x13,
    LANG_GO = 0x16,
    UNIT_COMPILE = 1,
    UNIT_TYPE = 2,
    FORM_IMPLICIT_CONST = 0x21,
    VERSION_MIN = 2,
    VERSION_TYPED = 5, // From here on units have a type.
    LENGTH_BYTES_32 = 4,
    LENGTH_BYTES_64 = 12,
};

static const uint64_t length_escape = 0xffffffff; // A length of 64 bits follows.
static const uint64_t length_reserved = 0xfffffff0;

// Bytes that are read one after the other. Behind their end everything is 0 and failed.
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static bool has(struct cursor *c, uint64_t bytes)
{
    if ((uint64_t)(c->end - c->at) < bytes)
        c->failed = true;
    return !c->failed;
}

static void skip(struct cursor *c, uint64_t bytes)
{
    if (has(c, bytes))
        c->at += bytes;
}

// A number of up to eight bytes, the low one first.
static uint64_t number(struct cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    if (!has(c, bytes))
        return 0;
    memcpy(&value, c->at, bytes);
    c->at += bytes;
    return value;
}

static uint64_t uleb(struct cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; has(c, 1); shift += 7) {
        uint8_t byte = *c->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    return 0;
}

static void skip_text(struct cursor *c)
{
    while (has(c, 1) && *c->at != 0)
        c->at++;
    skip(c, 1);
}

// How the numbers of a unit are written.
struct shape {
    unsigned offset_bytes;
    unsigned address_bytes;
    unsigned version;
};

// The value of an attribute in one of the forms that are a number or an offset; others are passed
// over and give 0. A form that is not known fails: where its value ends is not known either.
static uint64_t form_value(struct cursor *c, uint64_t form, const struct shape *shape)
{
    switch (form) {
    case 0x01: return number(c, shape->address_bytes); // addr
    case 0x03: skip(c, number(c, 2)); return 0;        // block2
    case 0x04: skip(c, number(c, 4)); return 0;        // block4
    case 0x05:
    case 0x12:
    case 0x26:
    case 0x2a: return number(c, 2); // data2 ref2 strx2 addrx2
    case 0x06:
    case 0x13:
    case 0x1c:
    case 0x28:
    case 0x2c: return number(c, 4); // data4 and alike
    case 0x07:
    case 0x14:
    case 0x20:
    case 0x24: return number(c, 8);    // data8 ref8 ref_sig8
    case 0x08: skip_text(c); return 0; // string
    case 0x09:
    case 0x18: skip(c, uleb(c)); return 0;      // block exprloc
    case 0x0a: skip(c, number(c, 1)); return 0; // block1
    case 0x0b:
    case 0x0c:
    case 0x11:
    case 0x25:
    case 0x29: return number(c, 1); // data1 and alike
    case 0x0d:
    case 0x0f:
    case 0x15:
    case 0x1a:
    case 0x1b:
    case 0x22:
    case 0x23:          // sdata udata
        return uleb(c); // and all that is indexed
    case 0x0e:
    case 0x17:
    case 0x1d:
    case 0x1f: return number(c, shape->offset_bytes); // offsets
    case 0x10:                                        // ref_addr
        return number(c, shape->version == 2 ? shape->address_bytes : shape->offset_bytes);
    case 0x19: return 0;              // flag_present
    case 0x1e: skip(c, 16); return 0; // data16
    case 0x27:
    case 0x2b: return number(c, 3); // strx3 addrx3
    default: c->failed = true; return 0;
    }
}

// The attributes of the abbreviation with this code; false when the table ends before it.
static bool find_abbrev(struct cursor *table, uint64_t code, uint64_t *tag)
{
    for (uint64_t found = uleb(table); found != 0 && !table->failed; found = uleb(table)) {
        *tag = uleb(table);
        skip(table, 1); // Whether it has children.
        if (found == code)
            return !table->failed;
        uint64_t attribute = 0;
        uint64_t form = 0;
        do {
            attribute = uleb(table);
            form = uleb(table);
            if (form == FORM_IMPLICIT_CONST)
                (void)uleb(table);
        } while ((attribute != 0 || form != 0) && !table->failed);
    }
    return false;
}

static bool read_root(struct cursor *die, struct cursor *abbrev, const struct shape *shape,
                      struct oh_dwarf_unit *unit)
{
    while (!die->failed && !abbrev->failed) {
        uint64_t attribute = uleb(abbrev);
        uint64_t form = uleb(abbrev);
        if (attribute == 0 && form == 0)
            break;
        uint64_t value = form == FORM_IMPLICIT_CONST ? uleb(abbrev) : form_value(die, form, shape);
        if (attribute == AT_LANGUAGE)
            unit->is_go = value == LANG_GO;
        if (attribute == AT_STMT_LIST) {
            unit->has_lines = true;
            unit->lines = value;
        }
    }
    return !die->failed && !abbrev->failed;
}

// Leaves the cursor behind the length; 0: there is none.
static uint64_t read_length(struct cursor *c, struct shape *shape)
{
    uint64_t length = number(c, 4);
    shape->offset_bytes = 4;
    if (length == length_escape) {
        length = number(c, 8);
        shape->offset_bytes = 8;
    } else if (length >= length_reserved) {
        return 0;
    }
    return c->failed ? 0 : length;
}

bool oh_dwarf_unit_length(const uint8_t *head, size_t len, uint64_t *bytes)
{
    struct cursor c = {head, head + len, false};
    struct shape shape;
    uint64_t length = read_length(&c, &shape);
    return length != 0 && !__builtin_add_overflow(length, (uint64_t)(c.at - head), bytes);
}

bool oh_dwarf_unit_read(const uint8_t *head, size_t len, struct oh_elf_bytes abbrev,
                        struct oh_dwarf_unit *unit)
{
    struct oh_dwarf_unit n = {0};
    struct shape shape;
    struct cursor c = {head, head + len, false};
    uint64_t tag = 0;
    if (!oh_dwarf_unit_length(head, len, &n.bytes))
        return false;
    (void)read_length(&c, &shape);
    shape.version = (unsigned)number(&c, 2);
    if (shape.version < VERSION_MIN || shape.version > VERSION_TYPED)
        return false;
    uint64_t type = UNIT_COMPILE;
    uint64_t table_at = 0;
    if (shape.version >= VERSION_TYPED) {
        type = number(&c, 1);
        shape.address_bytes = (unsigned)number(&c, 1);
        table_at = number(&c, shape.offset_bytes);
    } else {
        table_at = number(&c, shape.offset_bytes);
        shape.address_bytes = (unsigned)number(&c, 1);
    }
    if (c.failed || type != UNIT_COMPILE || shape.address_bytes > sizeof(uint64_t) ||
        table_at >= abbrev.len)
        return false;
    struct cursor table = {abbrev.data + table_at, abbrev.data + abbrev.len, false};
    uint64_t code = uleb(&c);
    if (!find_abbrev(&table, code, &tag) || tag != TAG_COMPILE_UNIT ||
        !read_root(&c, &table, &shape, &n))
        return false;
    *unit = n;
    return true;
}

size_t oh_dwarf_unit_blank(uint8_t *head, size_t len)
{
    struct cursor c = {head, head + len, false};
    struct shape shape;
    uint64_t length = read_length(&c, &shape);
    if (length < 3 || !has(&c, 3))
        return 0;
    size_t at = (size_t)(c.at - head);
    head[at] = VERSION_TYPED;
    head[at + 1] = 0;
    head[at + 2] = UNIT_TYPE;
    return at + 3;
}
