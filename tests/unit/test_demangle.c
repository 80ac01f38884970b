// SPDX-License-Identifier: Apache-2.0
//
// Linker symbols as people write them. The C++ symbols were made by g++ 12, the Rust ones by rustc.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "symbol/demangle.h"

struct pair {
    const char *symbol;
    const char *name;
};

static void expect_names(const struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *name = oh_demangle(pairs[i].symbol);
        assert_string_equal(name, pairs[i].name);
        free(name);
    }
}

#define EXPECT_NAMES(pairs) expect_names(pairs, sizeof(pairs) / sizeof(pairs)[0])

static void test_demangle_cpp_cuts_parameters_and_template_arguments(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector::push_back"},
        {"_ZN1AC2Ev", "A::A"},
        {"_ZN1AD1Ev", "A::~A"},
        {"_ZN1A1sB5cxx11Ev", "A::s[abi:cxx11]"},
        {"_ZN1A4packILb1EJidSt6vectorIiSaIiEEEEEvDpT0_", "A::pack"},
        {"_ZN12_GLOBAL__N_14Anon1fEi", "(anonymous namespace)::Anon::f"},
        {"_Z2tfILi3EZ5outeriEUliE1_EDTclfp_T_EET0_", "tf"},
        {"_Z2pmIXadL_ZN1AixEiEEEiv", "pm"},
        {"_ZThn16_N1B1fEv", "non-virtual thunk to B::f"},
    };
    EXPECT_NAMES(pairs);
}

static void test_demangle_cpp_keeps_operators(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"_ZNK1AltERKS_", "A::operator<"},
        {"_ZNK1AltIiEEbT_", "A::operator<"},
        {"_ZNK1AlsEi", "A::operator<<"},
        {"_ZNK1AlsIiEEbOT_", "A::operator<<"},
        {"_ZNK1AgtEi", "A::operator>"},
        {"_ZN1AptEv", "A::operator->"},
        {"_ZN1ApmEi", "A::operator->*"},
        {"_ZNK1AclEi", "A::operator()"},
        {"_ZN1AixEi", "A::operator[]"},
        {"_ZN1AcmEi", "A::operator,"},
        {"_ZN1AnwEm", "A::operator new"},
        {"_ZN1AdaEPv", "A::operator delete[]"},
        {"_ZNK1AcvbEv", "A::operator bool"},
        {"_Znwm", "operator new"},
        {"_ZNK1AcvSt6vectorIiSaIiEEEv", "A::operator std::vector"},
    };
    EXPECT_NAMES(pairs);
}

static void test_demangle_cpp_keeps_lambdas_and_local_names(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"_ZZ5outeriEN1L2inEi", "outer::L::in"},
        {"_ZZ5outeriENKUliE_clEi", "outer::{lambda(int)#1}::operator()"},
        {"_ZZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE12_M_constructIPKcEEvT_S8_St20"
         "forward_iterator_tagEN6_GuardC1EPS4_",
         "std::__cxx11::basic_string::_M_construct::_Guard::_Guard"},
    };
    EXPECT_NAMES(pairs);
}

static void test_demangle_rust_drops_hash_and_generic_arguments(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"_ZN1r2cl17h8f280393d52bc553E", "r::cl"},
        {"_RINvCs2OpA4fNwd7R_1r2clNCNvB2_7r_entry0EB2_", "r::cl"},
        {"_RNvXCs2OpA4fNwd7R_1rINtB2_1SlENtB2_2Tr2goB2_", "<r::S<i32> as r::Tr>::go"},
    };
    EXPECT_NAMES(pairs);
}

static void test_demangle_plain_names_stay(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"main", "main"},
        {"", ""},
        {"_Zebra_is_not_mangled", "_Zebra_is_not_mangled"},
        {"_cgo_6725dca306da_Cfunc_c_alloc", "_cgo_6725dca306da_Cfunc_c_alloc"},
        {"inner.0", "inner.0"},
        {".cold", ".cold"},
        {"a<b", "a<b"},
    };
    EXPECT_NAMES(pairs);
}

static void test_demangle_clone_suffixes_are_cut(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"f.constprop.0", "f"},
        {"f.isra.12", "f"},
        {"f.part.0.isra.0.cold", "f"},
        {"f.constprop.0.cold.3", "f"},
        {"_ZN1A1fEv.part.0", "A::f"},
        {"f.partial", "f.partial"},
        {"f.0", "f.0"},
    };
    EXPECT_NAMES(pairs);
}

static void test_simplify_of_odd_text_leaves_it(void **state)
{
    (void)state;
    static const char *const texts[] = {"a<b", "a(b", "", "<", "()", "{", "operator<"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char name[32];
        strcpy(name, texts[i]);
        oh_demangle_simplify(name);
        assert_string_equal(name, texts[i]);
    }
}

static void test_simplify_sees_brackets_in_arguments(void **state)
{
    (void)state;
    static const struct pair pairs[] = {
        {"f<(1>2), &(A::operator<)>::g(int (*)(char)) const", "f::g"},
        {"void f<int>(int)::{lambda(A<int>)#1}::operator()(A<int>) const",
         "f::{lambda(A<int>)#1}::operator()"},
        {"A::operator unsigned long() const", "A::operator unsigned long"},
        {"A::operator-><int>(int) &&", "A::operator->"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char name[128];
        strcpy(name, pairs[i].symbol);
        oh_demangle_simplify(name);
        assert_string_equal(name, pairs[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demangle_cpp_cuts_parameters_and_template_arguments),
        cmocka_unit_test(test_demangle_cpp_keeps_operators),
        cmocka_unit_test(test_demangle_cpp_keeps_lambdas_and_local_names),
        cmocka_unit_test(test_demangle_rust_drops_hash_and_generic_arguments),
        cmocka_unit_test(test_demangle_plain_names_stay),
        cmocka_unit_test(test_demangle_clone_suffixes_are_cut),
        cmocka_unit_test(test_simplify_of_odd_text_leaves_it),
        cmocka_unit_test(test_simplify_sees_brackets_in_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
