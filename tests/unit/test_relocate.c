// SPDX-License-Identifier: Apache-2.0
//
// The functions that libraries of this machine export, moved without being run: each moved
// instruction is held against the one that it stands for. (Run are those of test_redirect.c.)

#include "patch/relocate.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "patch/decode.h"
#include "profile/image.h"
#include "support/cmocka.h"

enum { SKEW = 0x12340, LANDING_BYTES = 4, FUNCTIONS_LEAST = 1000 };

static struct {
    unsigned moved, refused[OH_REFUSED_COUNT];
    unsigned branches, operands;
} seen;

// The instruction that was moved to where `moved` stands must do what it did, and refer to what it
// referred to.
static void compare(const struct oh_function *function, size_t at, const struct oh_relocated *out,
                    uint64_t to, size_t *moved_at)
{
    struct oh_instruction was, is;
    uint64_t address = function->address + at, moved = to + *moved_at;
    const uint8_t *code = function->code + at, *copy = out->code + *moved_at;
    assert_true(oh_decode(code, function->size - at, address, &was));
    assert_true(oh_decode(copy, out->code_bytes - *moved_at, moved, &is));
    *moved_at += is.length;
    if (was.direct) {
        seen.branches++;
        assert_true(is.direct);
        if (was.flow == OH_FLOW_LOOP) { // Around a short jump, to a long one.
            assert_int_equal(is.target, moved + 4);
            assert_true(oh_decode(copy + 4, 5, moved + 4, &is));
            *moved_at += 7;
        }
        assert_int_equal(is.target, was.target);
        return;
    }
    assert_int_equal(is.length, was.length);
    for (int i = 0; i < was.length; i++) {
        bool adjusted = was.rip_offset != 0 && i >= was.rip_offset && i < was.rip_offset + 4;
        assert_true(adjusted || copy[i] == code[i]);
    }
    if (was.rip_offset != 0) {
        seen.operands++;
        assert_int_equal(moved + is.length + (uint64_t)(int64_t)is.rip_displacement,
                         address + was.length + (uint64_t)(int64_t)was.rip_displacement);
    }
}

static bool is_end(const struct oh_function *function, size_t at)
{
    struct oh_instruction instruction;
    return oh_decode(function->code + at, function->size - at, function->address + at,
                     &instruction) &&
           (instruction.flow == OH_FLOW_JUMP || instruction.flow == OH_FLOW_END);
}

static void move_one(const struct oh_function *function)
{
    struct oh_relocated out;
    struct oh_instruction instruction;
    uint64_t to = ((function->address - (UINT64_C(1) << 30)) & ~UINT64_C(15)) + SKEW;
    enum oh_refusal refusal = oh_relocate(function, to, &out);
    seen.refused[refusal]++;
    if (refusal != OH_REFUSED_none)
        return;
    seen.moved++;
    size_t at = out.jump_at, moved_at = LANDING_BYTES;
    bool ended = false;
    while (at < out.jump_at + OH_RELOCATE_JUMP_BYTES && !ended) {
        ended = is_end(function, at);
        compare(function, at, &out, to, &moved_at);
        assert_true(oh_decode(function->code + at, function->size - at, 0, &instruction));
        at += instruction.length;
    }
    if (!ended) {
        assert_true(
            oh_decode(out.code + moved_at, out.code_bytes - moved_at, to + moved_at, &instruction));
        assert_int_equal(instruction.target, function->address + at);
        moved_at += instruction.length;
    }
    assert_int_equal(moved_at, out.code_bytes);
}

// Every function of the file's dynamic symbols, at the addresses that the file gives.
static void move_all(const char *path)
{
    struct oh_image image;
    Elf64_Shdr section;
    Elf64_Sym symbol;
    if (oh_image_open(&image, path, NULL) != 0)
        return;
    assert_true(oh_elf_find_section(&image.elf, ".dynsym", &section));
    struct oh_elf_bytes symbols = oh_elf_section_bytes(&image.elf, &section);
    for (size_t at = 0; at + sizeof symbol <= symbols.len; at += sizeof symbol) {
        memcpy(&symbol, symbols.data + at, sizeof symbol);
        struct oh_elf_bytes code = oh_elf_at_address(&image.elf, symbol.st_value);
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
            symbol.st_size == 0 || code.len < symbol.st_size)
            continue;
        size_t room = (symbol.st_size + 15) & ~(size_t)15;
        const struct oh_function function = {code.data, symbol.st_value + (UINT64_C(1) << 40),
                                             symbol.st_size, room < code.len ? room : code.len};
        move_one(&function);
    }
    oh_image_close(&image);
}

static void test_what_libraries_export_is_moved_without_a_change_of_meaning(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6",
        "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        move_all(paths[i]);
    if (seen.moved == 0)
        skip();
    print_message("%u moved with %u branches and %u operands;", seen.moved, seen.branches,
                  seen.operands);
    for (int i = 1; i < OH_REFUSED_COUNT; i++)
        print_message(" %u", seen.refused[i]);
    print_message(" refused\n");
    assert_true(seen.moved > FUNCTIONS_LEAST && seen.branches > 0 && seen.operands > 0);
    assert_int_equal(seen.refused[OH_REFUSED_unknown_code], 0);
    assert_int_equal(seen.refused[OH_REFUSED_out_of_reach], 0);
}

static void test_what_is_out_of_reach_is_refused(void **state)
{
    (void)state;
    static const uint8_t load[] = {0x48, 0x8b, 0x05, 0, 0, 0, 0, 0xc3};
    static const uint8_t branch[] = {0x74, 0x20, 0x90, 0x90, 0x90, 0xc3};
    static const uint8_t *const codes[] = {load, branch};
    static const size_t sizes[] = {sizeof load, sizeof branch};
    uint8_t jump[OH_RELOCATE_JUMP_BYTES];
    for (int i = 0; i < 2; i++) {
        struct oh_relocated out;
        const struct oh_function function = {codes[i], UINT64_C(1) << 40, sizes[i], sizes[i]};
        assert_int_equal(oh_relocate(&function, UINT64_C(1) << 41, &out), OH_REFUSED_out_of_reach);
        assert_int_equal(oh_relocate(&function, (UINT64_C(1) << 40) + (1 << 30), &out),
                         OH_REFUSED_none);
    }
    assert_int_equal(oh_relocate_jump(0, UINT64_C(1) << 32, jump), OH_REFUSED_out_of_reach);
    assert_int_equal(oh_relocate_jump(0x1000, 0x1005, jump), OH_REFUSED_none);
    assert_memory_equal(jump, "\xe9\0\0\0\0", sizeof jump);
}

static void test_a_function_without_a_size_is_refused(void **state)
{
    (void)state;
    static const uint8_t code[] = {0x90, 0x90, 0x90, 0x90, 0x90, 0xc3};
    struct oh_relocated out;
    const struct oh_function function = {code, 0x1000, 0, sizeof code};
    assert_int_equal(oh_relocate(&function, 0x2000, &out), OH_REFUSED_too_short);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_libraries_export_is_moved_without_a_change_of_meaning),
        cmocka_unit_test(test_what_is_out_of_reach_is_refused),
        cmocka_unit_test(test_a_function_without_a_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
