// SPDX-License-Identifier: Apache-2.0
//
// Suffixes of compiler-made copies: cut from the end, one after the other, nothing else.

#include <string.h>

#include "profile/clone.h"
#include "support/cmocka.h"

static void test_base_length_cuts_what_compilers_append(void **state)
{
    static const struct {
        const char *symbol, *base;
    } pairs[] = {
        {"f.constprop.0", "f"},
        {"f.part.0.isra.12.cold", "f"},
        {"f.lto_priv.3", "f"},
        {"f.localalias", "f"},
        {"_ZN1A1fEv.llvm.1234", "_ZN1A1fEv"},
        {"f.part.x", "f.part.x"},
        {"f.cold.x.part.0", "f.cold.x"},
        {"f.partial", "f.partial"},
        {"f.0", "f.0"},
        {"f.", "f."},
        {".part.0", ".part.0"},
        {"7", "7"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *symbol = pairs[i].symbol;
        assert_int_equal(oh_clone_base_length(symbol, strlen(symbol)), strlen(pairs[i].base));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_length_cuts_what_compilers_append),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
