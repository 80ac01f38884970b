// SPDX-License-Identifier: Apache-2.0
//
// See clone.h.

#include "profile/clone.h"

#include <string.h>

static const char *const words[] = {
    "constprop", "isra", "part", "cold", "lto_priv", "localalias", "llvm",
};

// The length without ".N" at the end; length when there is none.
static size_t cut_number(const char *symbol, size_t length)
{
    size_t at = length;
    while (at > 0 && symbol[at - 1] >= '0' && symbol[at - 1] <= '9')
        at--;
    return at < length && at > 0 && symbol[at - 1] == '.' ? at - 1 : length;
}

// The length without the last suffix, ".word" or ".word.N"; length when there is none.
static size_t cut_suffix(const char *symbol, size_t length)
{
    size_t end = cut_number(symbol, length);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t word = strlen(words[i]);
        if (end > word + 1 && symbol[end - word - 1] == '.' &&
            memcmp(symbol + end - word, words[i], word) == 0)
            return end - word - 1;
    }
    return length;
}

size_t oh_clone_base_length(const char *symbol, size_t length)
{
    for (;;) {
        size_t shorter = cut_suffix(symbol, length);
        if (shorter == length)
            return length;
        length = shorter;
    }
}
