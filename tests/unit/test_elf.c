// SPDX-License-Identifier: Apache-2.0
//
// The ELF view, on this very program and on an image that is built here and then broken.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/elf.h"

enum {
    BASE = 0x400000,
    TEXT_AT = 0x200, // In the image; its address is BASE + TEXT_AT.
    TEXT_BYTES = 0x100,
    IMAGE_MAX = 4096,
    SECTIONS = 8,
};

struct image {
    uint8_t bytes[IMAGE_MAX];
    size_t len;
};

struct own {
    void *base;
    size_t len;
    struct oh_elf elf;
    uint64_t bias;
    struct oh_elf_bytes loaded_id; // As the loader has mapped it.
};

static int look_at_own(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct own *own = arg;
    (void)size;
    own->bias = info->dlpi_addr;
    own->loaded_id = (struct oh_elf_bytes){NULL, 0};
    for (size_t i = 0; i < info->dlpi_phnum && own->loaded_id.data == NULL; i++) {
        const Elf64_Phdr *segment = &info->dlpi_phdr[i];
        struct oh_elf_bytes notes = {(const uint8_t *)(own->bias + segment->p_vaddr),
                                     segment->p_memsz};
        if (segment->p_type == PT_NOTE)
            own->loaded_id = oh_elf_find_note(notes, segment->p_align, "GNU", NT_GNU_BUILD_ID);
    }
    return 1; // The program itself comes first.
}

static void open_own(struct own *own)
{
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    own->len = (size_t)st.st_size;
    own->base = mmap(NULL, own->len, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(own->base != MAP_FAILED);
    (void)close(fd);
    assert_int_equal(oh_elf_open(&own->elf, own->base, own->len), 0);
    (void)dl_iterate_phdr(look_at_own, own);
}

static void close_own(struct own *own)
{
    (void)munmap(own->base, own->len);
}

static void put_section(struct image *image, size_t i, const Elf64_Shdr *section)
{
    Elf64_Ehdr header;
    memcpy(&header, image->bytes, sizeof header);
    memcpy(image->bytes + header.e_shoff + i * sizeof *section, section, sizeof *section);
}

static void put_symbol(struct image *image, size_t at, uint32_t name, unsigned bind, unsigned type,
                       uint64_t offset, uint64_t size)
{
    const Elf64_Sym symbol = {
        .st_name = name,
        .st_info = (unsigned char)ELF64_ST_INFO(bind, type),
        .st_shndx = 1,
        .st_value = BASE + TEXT_AT + offset,
        .st_size = size,
    };
    memcpy(image->bytes + at, &symbol, sizeof symbol);
}

static const char section_names[] =
    "\0.text\0.symtab\0.strtab\0.shstrtab\0.gnu_debuglink\0.note.gnu.build-id\0.note.go.buildid";
static const char symbol_names[] = "\0plain\0_alias\0asm_one\0asm_two\0big\0inner\0old@@V1\0.L1\0";

enum { // Offsets into symbol_names.
    PLAIN = 1,
    ALIAS = 7,
    ASM_ONE = 14,
    ASM_TWO = 22,
    BIG = 30,
    INNER = 34,
    OLD = 40,
    LABEL = 48,
};

enum { // Places in the image.
    SYMBOLS_AT = 0x400,
    STRINGS_AT = 0x600,
    NAMES_AT = 0x680,
    LINK_AT = 0x700,
    NOTE_AT = 0x720,
    GO_NOTE_AT = 0x760,
    HEADERS_AT = 0x800,
};

static void put_symbols(struct image *image)
{
    size_t at = SYMBOLS_AT;
    const size_t step = sizeof(Elf64_Sym);
    put_symbol(image, at += step, ALIAS, STB_GLOBAL, STT_FUNC, 0x00, 0x10);
    put_symbol(image, at += step, PLAIN, STB_WEAK, STT_FUNC, 0x00, 0x10);
    put_symbol(image, at += step, ASM_TWO, STB_LOCAL, STT_NOTYPE, 0x40, 0);
    put_symbol(image, at += step, ASM_ONE, STB_LOCAL, STT_FUNC, 0x20, 0);
    put_symbol(image, at += step, LABEL, STB_LOCAL, STT_NOTYPE, 0x30, 0);
    put_symbol(image, at += step, BIG, STB_GLOBAL, STT_FUNC, 0x80, 0x40);
    put_symbol(image, at += step, INNER, STB_LOCAL, STT_FUNC, 0x90, 0x08);
    put_symbol(image, at += step, OLD, STB_GLOBAL, STT_GNU_IFUNC, 0xd0, 0x08);
    put_symbol(image, at += step, PLAIN, STB_GLOBAL, STT_OBJECT, 0xe0, 0x08);
}

static void put_notes(struct image *image)
{
    static const Elf64_Nhdr gnu = {4, 4, NT_GNU_BUILD_ID};
    static const Elf64_Nhdr go = {4, 6, 4};
    static const uint32_t crc = 0x12345678;
    memcpy(image->bytes + LINK_AT, "a.debug", 8);
    memcpy(image->bytes + LINK_AT + 8, &crc, sizeof crc);
    memcpy(image->bytes + NOTE_AT, &gnu, sizeof gnu);
    memcpy(image->bytes + NOTE_AT + sizeof gnu, "GNU\0\xde\xad\xbe\xef", 8);
    memcpy(image->bytes + GO_NOTE_AT, &go, sizeof go);
    memcpy(image->bytes + GO_NOTE_AT + sizeof go, "Go\0\0ab/cde\0", 12);
}

static void build(struct image *image)
{
    *image = (struct image){.len = HEADERS_AT + SECTIONS * sizeof(Elf64_Shdr)};
    Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_phoff = sizeof header,
        .e_shoff = HEADERS_AT,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 1,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTIONS,
        .e_shstrndx = 4,
    };
    const Elf64_Phdr load = {
        .p_type = PT_LOAD,
        .p_flags = PF_R | PF_X,
        .p_vaddr = BASE,
        .p_filesz = HEADERS_AT,
        .p_memsz = HEADERS_AT,
    };
    memcpy(image->bytes, &header, sizeof header);
    memcpy(image->bytes + sizeof header, &load, sizeof load);
    memcpy(image->bytes + STRINGS_AT, symbol_names, sizeof symbol_names);
    memcpy(image->bytes + NAMES_AT, section_names, sizeof section_names);
    put_symbols(image);
    put_notes(image);
    const Elf64_Shdr sections[SECTIONS] = {
        [1] = {1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, BASE + TEXT_AT, TEXT_AT, TEXT_BYTES},
        [2] = {7, SHT_SYMTAB, 0, 0, SYMBOLS_AT, 10 * sizeof(Elf64_Sym), 3, 0, 8, sizeof(Elf64_Sym)},
        [3] = {15, SHT_STRTAB, 0, 0, STRINGS_AT, sizeof symbol_names},
        [4] = {23, SHT_STRTAB, 0, 0, NAMES_AT, sizeof section_names},
        [5] = {33, SHT_PROGBITS, 0, 0, LINK_AT, 12},
        [6] = {48, SHT_NOTE, 0, 0, NOTE_AT, 20, 0, 0, 4, 0},
        [7] = {67, SHT_NOTE, 0, 0, GO_NOTE_AT, 24, 0, 0, 4, 0},
    };
    for (size_t i = 0; i < SECTIONS; i++)
        put_section(image, i, &sections[i]);
}

static void test_open_of_own_program_knows_what_the_loader_knows(void **state)
{
    (void)state;
    struct own own;
    uint8_t id[OH_ELF_BUILD_ID_MAX];
    open_own(&own);
    size_t id_len = oh_elf_build_id(&own.elf, id);
    assert_true(id_len > 0);
    assert_int_equal(id_len, own.loaded_id.len);
    assert_memory_equal(id, own.loaded_id.data, id_len);
    assert_non_null(strstr(oh_elf_interpreter(&own.elf), "ld-linux"));
    assert_true(oh_elf_has_needed(&own.elf));
    assert_null(oh_elf_go_build_id(&own.elf).data);
    close_own(&own);
}

// Of the program's own exports; what it only imports is none of them.
static void test_export_is_found_and_an_import_is_not(void **state)
{
    (void)state;
    struct own own;
    uint64_t address = 1;
    Dl_info libc;
    struct oh_elf elf;
    open_own(&own);
    assert_false(oh_elf_find_export(&own.elf, "malloc", &address));
    assert_false(oh_elf_find_export(&own.elf, "no_such_name", &address));
    assert_int_equal(address, 1);
    close_own(&own);
    assert_int_not_equal(dladdr((void *)(uintptr_t)&getpid, &libc), 0);
    int fd = open(libc.dli_fname, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    (void)close(fd);
    assert_int_equal(oh_elf_open(&elf, bytes, (size_t)info.st_size), 0);
    assert_true(oh_elf_find_export(&elf, "getpid", &address));
    assert_int_equal(address + (uint64_t)(uintptr_t)libc.dli_fbase, (uint64_t)(uintptr_t)&getpid);
    (void)munmap(bytes, (size_t)info.st_size);
}

static const struct oh_elf_span everything = {0}; // Nothing is left out.

static void test_symbols_of_own_program_name_static_functions(void **state)
{
    (void)state;
    struct own own;
    struct oh_arena arena;
    struct oh_elf_symbols symbols;
    struct oh_elf_symbol symbol;
    open_own(&own);
    (void)oh_arena_init(&arena, 64 << 20);
    assert_int_equal(oh_elf_symbols_open(&symbols, &own.elf, everything, &arena), 0);
    uint64_t address = (uint64_t)(uintptr_t)put_section - own.bias;
    assert_true(oh_elf_symbols_find(&symbols, address + 1, &symbol));
    assert_int_equal(symbol.name_len, strlen("put_section"));
    assert_memory_equal(symbol.name, "put_section", symbol.name_len);
    assert_int_equal(symbol.begin, address);
    assert_memory_equal(oh_elf_at_address(&own.elf, address).data,
                        (const void *)(uintptr_t)(address + own.bias), 8);
    oh_arena_fini(&arena);
    close_own(&own);
}

static void expect_symbol(const struct oh_elf_symbols *symbols, uint64_t offset, const char *name)
{
    struct oh_elf_symbol symbol;
    bool is_found = oh_elf_symbols_find(symbols, BASE + TEXT_AT + offset, &symbol);
    assert_int_equal(is_found, name != NULL);
    if (name == NULL)
        return;
    assert_int_equal(symbol.name_len, strlen(name));
    assert_memory_equal(symbol.name, name, symbol.name_len);
}

static void test_symbols_find_prefers_plain_names_and_respects_sizes(void **state)
{
    (void)state;
    struct image image;
    struct oh_elf elf;
    struct oh_arena arena;
    struct oh_elf_symbols symbols;
    build(&image);
    (void)oh_arena_init(&arena, 1 << 20);
    assert_int_equal(oh_elf_open(&elf, image.bytes, image.len), 0);
    assert_int_equal(oh_elf_symbols_open(&symbols, &elf, everything, &arena), 0);
    expect_symbol(&symbols, 0x0f, "plain"); // Not the alias with the underscore.
    expect_symbol(&symbols, 0x10, NULL);    // Behind its size.
    expect_symbol(&symbols, 0x3f, "asm_one");
    expect_symbol(&symbols, 0x7f, "asm_two"); // To the next symbol.
    expect_symbol(&symbols, 0x94, "inner");
    expect_symbol(&symbols, 0x9c, "big"); // Around the inner one.
    expect_symbol(&symbols, 0xc0, NULL);
    expect_symbol(&symbols, 0xd1, "old"); // Without its version.
    expect_symbol(&symbols, 0xe1, NULL);  // Data.
    const struct oh_elf_span named = {BASE + TEXT_AT + 0x20, BASE + TEXT_AT + 0x90};
    assert_int_equal(oh_elf_symbols_open(&symbols, &elf, named, &arena), 0);
    expect_symbol(&symbols, 0x0f, "plain");
    expect_symbol(&symbols, 0x3f, NULL); // Left out.
    expect_symbol(&symbols, 0x94, "inner");
    assert_false(oh_elf_symbols_find(&symbols, 0, &(struct oh_elf_symbol){0}));
    oh_arena_fini(&arena);
}

static void test_symbols_open_without_room_fails(void **state)
{
    (void)state;
    struct image image;
    struct oh_elf elf;
    struct oh_arena arena = {0};
    struct oh_elf_symbols symbols;
    build(&image);
    assert_int_equal(oh_elf_open(&elf, image.bytes, image.len), 0);
    assert_int_equal(oh_elf_symbols_open(&symbols, &elf, everything, &arena), -ENOMEM);
    elf.section_count = 0;
    assert_int_equal(oh_elf_symbols_open(&symbols, &elf, everything, &arena), -ENOENT);
}

static void test_notes_and_debug_link_are_read(void **state)
{
    (void)state;
    struct image image;
    struct oh_elf elf;
    uint8_t id[OH_ELF_BUILD_ID_MAX];
    uint32_t crc = 0;
    build(&image);
    assert_int_equal(oh_elf_open(&elf, image.bytes, image.len), 0);
    assert_int_equal(oh_elf_build_id(&elf, id), 4);
    assert_memory_equal(id, "\xde\xad\xbe\xef", 4);
    struct oh_elf_bytes go = oh_elf_go_build_id(&elf);
    assert_int_equal(go.len, 6);
    assert_memory_equal(go.data, "ab/cde", 6);
    assert_string_equal(oh_elf_debug_link(&elf, &crc), "a.debug");
    assert_int_equal(crc, 0x12345678);
    assert_false(oh_elf_has_dwarf(&elf));
    assert_false(oh_elf_has_needed(&elf));
    assert_null(oh_elf_interpreter(&elf));
}

static void test_open_of_something_else_says_what_it_is(void **state)
{
    (void)state;
    struct image image;
    struct oh_elf elf;
    struct oh_elf_ident ident;
    build(&image);
    assert_int_equal(oh_elf_open(&elf, NULL, 0), -ENOEXEC);
    assert_int_equal(oh_elf_open(&elf, image.bytes, sizeof(Elf64_Ehdr) - 1), -ENOEXEC);
    assert_int_equal(oh_elf_open(&elf, "#!/bin/sh\necho of some length\n", 30), -ENOEXEC);
    image.bytes[EI_CLASS] = ELFCLASS32;
    assert_int_equal(oh_elf_open(&elf, image.bytes, image.len), -ENOTSUP);
    assert_int_equal(oh_elf_identify(image.bytes, image.len, &ident), 0);
    assert_int_equal(ident.class, ELFCLASS32);
    assert_int_equal(ident.machine, EM_X86_64);
    build(&image);
    image.bytes[EI_DATA] = ELFDATA2MSB;
    assert_int_equal(oh_elf_open(&elf, image.bytes, image.len), -ENOTSUP);
}

// Asks everything that can be asked of exactly these bytes; only that it returns matters.
static void ask_all(const uint8_t *bytes, size_t len)
{
    struct oh_elf elf;
    struct oh_arena arena;
    struct oh_elf_symbols symbols;
    struct oh_elf_symbol symbol;
    uint8_t id[OH_ELF_BUILD_ID_MAX];
    uint32_t crc = 0;
    uint64_t address = 0;
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, bytes, len);
    if (oh_elf_open(&elf, copy, len) == 0) {
        (void)oh_arena_init(&arena, 1 << 20);
        (void)oh_elf_build_id(&elf, id);
        (void)oh_elf_go_build_id(&elf);
        (void)oh_elf_debug_link(&elf, &crc);
        (void)oh_elf_interpreter(&elf);
        (void)oh_elf_has_needed(&elf);
        (void)oh_elf_has_dwarf(&elf);
        (void)oh_elf_find_export(&elf, "malloc", &address);
        (void)oh_elf_at_address(&elf, BASE + TEXT_AT);
        if (oh_elf_symbols_open(&symbols, &elf, everything, &arena) == 0) {
            for (uint64_t at = 0; at < TEXT_BYTES; at += 7)
                (void)oh_elf_symbols_find(&symbols, BASE + TEXT_AT + at, &symbol);
        }
        oh_arena_fini(&arena);
    }
    free(copy);
}

static void test_any_broken_byte_or_length_is_survived(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x04, 0x7f, 0x80, 0xff};
    struct image good;
    build(&good);
    for (size_t at = 0; at < good.len; at++) {
        for (size_t v = 0; v < sizeof values; v++) {
            struct image broken = good;
            broken.bytes[at] = values[v];
            ask_all(broken.bytes, broken.len);
        }
        ask_all(good.bytes, at);
    }
}

static void test_own_program_cut_anywhere_is_survived(void **state)
{
    (void)state;
    struct own own;
    open_own(&own);
    for (size_t len = 0; len < own.len; len += own.len / 40 + 1)
        ask_all(own.base, len);
    close_own(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_of_own_program_knows_what_the_loader_knows),
        cmocka_unit_test(test_export_is_found_and_an_import_is_not),
        cmocka_unit_test(test_symbols_of_own_program_name_static_functions),
        cmocka_unit_test(test_symbols_find_prefers_plain_names_and_respects_sizes),
        cmocka_unit_test(test_symbols_open_without_room_fails),
        cmocka_unit_test(test_notes_and_debug_link_are_read),
        cmocka_unit_test(test_open_of_something_else_says_what_it_is),
        cmocka_unit_test(test_any_broken_byte_or_length_is_survived),
        cmocka_unit_test(test_own_program_cut_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
