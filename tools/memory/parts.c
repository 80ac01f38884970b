// SPDX-License-Identifier: Apache-2.0
//
// Words of the parts.

#include "memory/parts.h"

struct oh_part_words {
    const char *key;
    const char *title;
    const char *hint;
};

static const struct oh_part_words words[OH_PART_COUNT] = {
#define OH_MEMORY_PART(id, key, title, hint) {key, title, hint},
#include "memory/parts.def"
#undef OH_MEMORY_PART
};

const char *oh_part_key(enum oh_memory_part part)
{
    return words[part].key;
}

const char *oh_part_title(enum oh_memory_part part)
{
    return words[part].title;
}

const char *oh_part_hint(enum oh_memory_part part)
{
    return words[part].hint;
}
