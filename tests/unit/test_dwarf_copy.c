// SPDX-License-Identifier: Apache-2.0

#include "symbol/dwarf_copy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/compile.h"
#include "support/scratch.h"
#include "symbol/csym.h"
#include "symbol/dwarf_unit.h"
#include "symbol/elf_file.h"
#include "symbol/names.h"

// A unit of Go before that of C, as the linker puts them.
static const char go_unit[] = ".section .debug_abbrev,\"\",@progbits\n"
                              "abbrev: .byte 1, 0x11, 0, 0x13, 0x0b, 0x10, 0x17, 0, 0, 0\n"
                              ".section .debug_line,\"\",@progbits\n"
                              "line: .long 12\n .fill 12, 1, 0xdd\n"
                              ".section .debug_info,\"\",@progbits\n"
                              " .long 2f - 1f\n"
                              "1: .value 4\n .long abbrev\n .byte 8, 1, 0x16\n .long line\n"
                              " .byte 0\n .fill 69999, 1, 0x55\n2:\n .section .note.GNU-stack\n";
static const char c_source[] = "int entry(int a)\n{\n    return a * 3;\n}\n";

enum { GO_BYTES = 4 + 2 + 4 + 3 + 4 + 70000 };

static char dir[OH_SCRATCH_BYTES];

static int set_up(void **state)
{
    (void)state;
    oh_scratch_make(dir, NULL);
    oh_compile_write(dir, "go.s", go_unit);
    oh_compile_write(dir, "c.c", c_source);
    oh_compile_run(dir, "cc -c go.s -o go.o && cc -c -g -fPIC c.c -o c.o");
    oh_compile_run(dir, "cc -shared go.o c.o -o mixed.so && cc -shared c.o -o plain.so");
    oh_compile_run(dir, "objcopy --compress-debug-sections=zlib mixed.so packed.so");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    oh_scratch_remove(dir);
    return 0;
}

struct file {
    struct oh_elf elf;
    void *bytes;
    size_t len;
};

static void open_copy(struct file *copy, int fd)
{
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    copy->len = (size_t)info.st_size;
    copy->bytes = mmap(NULL, copy->len, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(copy->bytes, MAP_FAILED);
    assert_int_equal(oh_elf_open(&copy->elf, copy->bytes, copy->len), 0);
    (void)close(fd);
}

static struct oh_elf_bytes section_of(const struct oh_elf *elf, const char *name)
{
    Elf64_Shdr section;
    assert_true(oh_elf_find_section(elf, name, &section));
    return oh_elf_section_bytes(elf, &section);
}

static void expect_same(const struct oh_elf *a, const struct oh_elf *b, const char *name,
                        size_t from)
{
    struct oh_elf_bytes x = section_of(a, name);
    struct oh_elf_bytes y = section_of(b, name);
    assert_int_equal(x.len, y.len);
    assert_true(from < x.len);
    assert_memory_equal(x.data + from, y.data + from, x.len - from);
}

static void test_copy_without_go_has_holes_and_the_same_offsets(void **state)
{
    (void)state;
    static const char *const forms[] = {"mixed.so", "packed.so"};
    struct oh_elf_file original;
    assert_int_equal(oh_elf_file_open(&original, oh_compile_path(dir, "mixed.so")), 0);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct oh_elf_file file;
        struct file copy;
        struct stat info;
        int fd = -1;
        assert_int_equal(oh_elf_file_open(&file, oh_compile_path(dir, forms[i])), 0);
        assert_int_equal(oh_dwarf_copy(&file.elf, true, &fd), 0);
        assert_int_equal(fstat(fd, &info), 0);
        assert_true((uint64_t)info.st_blocks * 512 < GO_BYTES);
        open_copy(&copy, fd);
        struct oh_elf_bytes units = section_of(&copy.elf, ".debug_info");
        static const uint8_t blank[] = {5, 0, 2};
        assert_memory_equal(units.data + 4, blank, sizeof blank);
        for (size_t at = 4 + sizeof blank; at < GO_BYTES; at++)
            assert_int_equal(units.data[at], 0);
        expect_same(&original.elf, &copy.elf, ".debug_info", GO_BYTES);
        expect_same(&original.elf, &copy.elf, ".debug_line", 16);
        assert_int_equal(section_of(&copy.elf, ".debug_line").data[4], 0);
        expect_same(&original.elf, &copy.elf, ".debug_abbrev", 0);
        expect_same(&original.elf, &copy.elf, ".debug_str", 0);
        (void)munmap(copy.bytes, copy.len);
        oh_elf_file_close(&file);
    }
    oh_elf_file_close(&original);
}

static void test_copy_with_go_has_everything(void **state)
{
    (void)state;
    struct oh_elf_file original;
    struct oh_elf_file packed;
    struct file copy;
    int fd = -1;
    assert_int_equal(oh_elf_file_open(&original, oh_compile_path(dir, "mixed.so")), 0);
    assert_int_equal(oh_elf_file_open(&packed, oh_compile_path(dir, "packed.so")), 0);
    assert_int_equal(oh_dwarf_copy(&packed.elf, false, &fd), 0);
    open_copy(&copy, fd);
    expect_same(&original.elf, &copy.elf, ".debug_info", 0);
    expect_same(&original.elf, &copy.elf, ".debug_line", 0);
    (void)munmap(copy.bytes, copy.len);
    oh_elf_file_close(&packed);
    oh_elf_file_close(&original);
}

static void test_copy_of_what_is_well_as_it_is_is_refused(void **state)
{
    (void)state;
    struct oh_elf_file file;
    int fd = -1;
    assert_int_equal(oh_elf_file_open(&file, oh_compile_path(dir, "plain.so")), 0);
    assert_int_equal(oh_dwarf_copy(&file.elf, true, &fd), -ENOTSUP);
    oh_elf_file_close(&file);
    assert_int_equal(oh_elf_file_open(&file, oh_compile_path(dir, "mixed.so")), 0);
    assert_int_equal(oh_dwarf_copy(&file.elf, false, &fd), -ENOTSUP);
    assert_int_equal(fd, -1);
    oh_elf_file_close(&file);
}

static int note_line(void *arg, const struct oh_csym_frame *frame)
{
    *(uint32_t *)arg = strcmp(frame->name, "entry") == 0 ? frame->line : 0;
    return 0;
}

static void expect_entry(const char *name, struct oh_elf_span go)
{
    struct oh_elf_file file;
    struct oh_elf_symbols symbols;
    struct oh_elf_symbol symbol = {0};
    struct oh_arena arena;
    struct oh_csym *csym = NULL;
    uint32_t line = 0;
    assert_int_equal(oh_arena_init(&arena, 1 << 20), 0);
    assert_int_equal(oh_elf_file_open(&file, oh_compile_path(dir, name)), 0);
    assert_int_equal(oh_elf_symbols_open(&symbols, &file.elf, go, &arena), 0);
    uint64_t at = 0;
    while (at < file.len && (!oh_elf_symbols_find(&symbols, at, &symbol) ||
                             strncmp(symbol.name, "entry", symbol.name_len) != 0))
        at++;
    assert_true(at < file.len);
    assert_int_equal(oh_csym_create(oh_compile_path(dir, name), NULL, go, &csym, NULL), 0);
    assert_int_equal(oh_csym_frames(csym, at, note_line, &line), 1);
    assert_int_equal(line, 2);
    oh_csym_destroy(csym);
    oh_elf_file_close(&file);
    oh_arena_fini(&arena);
}

static void test_frames_of_c_beside_go_are_found(void **state)
{
    (void)state;
    const struct oh_elf_span nowhere = {UINT64_MAX - 1, UINT64_MAX};
    expect_entry("mixed.so", nowhere);
    expect_entry("packed.so", nowhere);
    expect_entry("packed.so", (struct oh_elf_span){0});
}

// Every part of the file is damaged in turn: a copy or an error, and never a byte from outside.
static void test_copy_of_damaged_file_is_bounded(void **state)
{
    (void)state;
    struct oh_elf_file file;
    struct oh_elf elf;
    assert_int_equal(oh_elf_file_open(&file, oh_compile_path(dir, "packed.so")), 0);
    uint8_t *bytes = test_malloc(file.len);
    size_t made = 0;
    for (size_t at = 64; at < file.len; at += 23) {
        memcpy(bytes, file.base, file.len);
        memset(bytes + at, 0xff, 3);
        int fd = -1;
        if (oh_elf_open(&elf, bytes, file.len) != 0 || oh_dwarf_copy(&elf, true, &fd) != 0)
            continue;
        made++;
        (void)close(fd);
    }
    assert_true(made > 0);
    test_free(bytes);
    oh_elf_file_close(&file);
}

static void test_unit_that_is_cut_is_not_read(void **state)
{
    (void)state;
    static const uint8_t table[] = {1, 0x11, 0, 0x13, 0x0b, 0x10, 0x17, 0, 0, 0};
    static const uint8_t unit[] = {13, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1, 0x16, 7, 0, 0, 0};
    const struct oh_elf_bytes abbrev = {table, sizeof table};
    struct oh_dwarf_unit read;
    assert_true(oh_dwarf_unit_read(unit, sizeof unit, abbrev, &read));
    assert_true(read.is_go);
    assert_true(read.has_lines);
    assert_int_equal(read.lines, 7);
    assert_int_equal(read.bytes, sizeof unit);
    for (size_t len = 0; len < sizeof unit; len++)
        assert_false(oh_dwarf_unit_read(unit, len, abbrev, &read));
    for (size_t len = 0; len < 9; len++)
        assert_false(
            oh_dwarf_unit_read(unit, sizeof unit, (struct oh_elf_bytes){table, len}, &read));
}

static void test_names_are_made_once_and_stay(void **state)
{
    (void)state;
    struct oh_names names = {0};
    char symbol[64];
    const char *first = oh_names_get(&names, "_ZN1a1bEi");
    assert_string_equal(first, "a::b");
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(symbol, sizeof symbol, "plain_%d", i);
        assert_string_equal(oh_names_get(&names, symbol), symbol);
    }
    assert_ptr_equal(oh_names_get(&names, "_ZN1a1bEi"), first);
    assert_int_equal(names.count, 1001);
    oh_names_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_without_go_has_holes_and_the_same_offsets),
        cmocka_unit_test(test_copy_with_go_has_everything),
        cmocka_unit_test(test_copy_of_what_is_well_as_it_is_is_refused),
        cmocka_unit_test(test_frames_of_c_beside_go_are_found),
        cmocka_unit_test(test_copy_of_damaged_file_is_bounded),
        cmocka_unit_test(test_unit_that_is_cut_is_not_read),
        cmocka_unit_test(test_names_are_made_once_and_stay),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
