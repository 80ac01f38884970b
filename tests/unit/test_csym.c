// SPDX-License-Identifier: Apache-2.0
//
// Names of C code at return addresses that the code itself reports, from files made by cc, strip
// and objcopy in every form that DWARF and symbol tables come in.

#include "support/cmocka.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/compile.h"
#include "support/scratch.h"
#include "symbol/csym.h"

static const char source[] = "void (*note)(void);\n"
                             "static int sum;\n"
                             "static inline __attribute__((always_inline)) int inlined(int k)\n"
                             "{\n"
                             "    note();\n"
                             "    return k + sum++;\n"
                             "}\n"
                             "static __attribute__((noinline)) int cloned(int a, int k)\n"
                             "{\n"
                             "    return inlined(a * k) + 1;\n"
                             "}\n"
                             "int entry(int a)\n"
                             "{\n"
                             "    return cloned(a, 3) + cloned(a + 1, 3);\n"
                             "}\n";

static const struct oh_elf_span no_go = {0};

static const char program[] = "#include <stdio.h>\n"
                              "extern void (*note)(void);\n"
                              "int entry(int a);\n"
                              "static void *at;\n"
                              "static void keep(void) { at = __builtin_return_address(0); }\n"
                              "int main(void) { note = keep; entry(1); printf(\"%p\\n\", at); }\n";

static const char with_dwarf[] = "inlined [inlined] s.c:5 inlined\n"
                                 "cloned [cloned.constprop.0] s.c:10\n";
static const char with_symbols[] = "cloned [cloned.constprop.0] -:0\n";

static char dir[OH_SCRATCH_BYTES];
static uint64_t address; // Of the call in libs.so, as csym wants it.

static void *returned_to;

static void keep(void)
{
    returned_to = __builtin_return_address(0);
}

// Loads the library for the true address, which every form of it shares.
static void learn_address(void)
{
    void *library = dlopen(oh_compile_path(dir, "libs.so"), RTLD_NOW);
    assert_non_null(library);
    void (**note)(void) = NULL;
    int (*entry)(int) = NULL;
    *(void **)&note = dlsym(library, "note");
    *(void **)&entry = dlsym(library, "entry");
    assert_non_null(note);
    *note = keep;
    (void)entry(1);
    Dl_info info;
    assert_int_not_equal(dladdr(returned_to, &info), 0);
    address = (uint64_t)((uintptr_t)returned_to - 1 - (uintptr_t)info.dli_fbase);
}

static int set_up(void **state)
{
    (void)state;
    oh_scratch_make(dir, NULL);
    oh_compile_write(dir, "s.c", source);
    oh_compile_write(dir, "m.c", program);
    oh_compile_run(dir, "cc -O2 -g -fPIC -shared -Wl,--build-id s.c -o libs.so");
    oh_compile_run(dir, "objcopy --only-keep-debug libs.so libs.debug");
    oh_compile_run(dir, "strip -g -o symbols.so libs.so && strip -o bare.so libs.so");
    oh_compile_run(dir, "objcopy --compress-debug-sections=zlib libs.so packed.so");
    oh_compile_run(dir, "cc -O2 -g -no-pie s.c m.c -o fixed");
    learn_address();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    oh_scratch_remove(dir);
    return 0;
}

static int append_frame(void *arg, const struct oh_csym_frame *frame)
{
    char *text = arg;
    size_t len = strlen(text);
    const char *slash = frame->file == NULL ? NULL : strrchr(frame->file, '/');
    (void)snprintf(text + len, 1024 - len, "%s [%s] %s:%u%s\n", frame->name, frame->system_name,
                   frame->file == NULL ? "-"
                   : slash == NULL     ? frame->file
                                       : slash + 1,
                   frame->line, frame->is_inlined ? " inlined" : "");
    return 0;
}

// binary and debug are names in the directory, or NULL.
static void expect_frames(const char *binary, const char *debug, uint64_t at, const char *expected)
{
    struct oh_csym *csym = NULL;
    struct oh_err err = {""};
    char text[1024] = "";
    const char *binary_path = binary == NULL ? NULL : oh_compile_path(dir, binary);
    const char *debug_path = debug == NULL ? NULL : oh_compile_path(dir, debug);
    assert_int_equal(oh_csym_create(binary_path, debug_path, no_go, &csym, &err), 0);
    int count = oh_csym_frames(csym, at, append_frame, text);
    assert_string_equal(text, expected);
    int lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n' ? 1 : 0;
    assert_int_equal(count, lines);
    oh_csym_destroy(csym);
}

static void test_frames_from_dwarf_have_inlines_and_clone(void **state)
{
    (void)state;
    expect_frames("libs.so", NULL, address, with_dwarf);
    expect_frames("packed.so", NULL, address, with_dwarf);
}

static void test_frames_from_debug_file_are_the_same(void **state)
{
    (void)state;
    expect_frames("bare.so", "libs.debug", address, with_dwarf);
    expect_frames("symbols.so", "libs.debug", address, with_dwarf);
    expect_frames(NULL, "libs.debug", address, with_dwarf);
}

static void test_frames_without_dwarf_are_symbols(void **state)
{
    (void)state;
    expect_frames("symbols.so", NULL, address, with_symbols);
    expect_frames("symbols.so", "absent.debug", address, with_symbols);
}

static void test_frames_without_anything_are_none(void **state)
{
    (void)state;
    expect_frames("bare.so", NULL, address, "");
    expect_frames("libs.so", NULL, 0x10, "");
    expect_frames("libs.so", NULL, UINT64_MAX, "");
}

static void test_frames_of_program_at_fixed_address(void **state)
{
    (void)state;
    char line[64] = "";
    oh_compile_run(dir, "./fixed > out");
    FILE *out = fopen(oh_compile_path(dir, "out"), "r");
    assert_non_null(out);
    assert_non_null(fgets(line, sizeof line, out));
    (void)fclose(out);
    expect_frames("fixed", NULL, strtoull(line, NULL, 16) - 1, with_dwarf);
}

static void test_frames_of_several_modules_do_not_mix(void **state)
{
    (void)state;
    struct oh_csym *own = NULL;
    struct oh_csym *library = NULL;
    char text[1024] = "";
    assert_int_equal(oh_csym_create("/proc/self/exe", NULL, no_go, &own, NULL), 0);
    assert_int_equal(oh_csym_create(oh_compile_path(dir, "libs.so"), NULL, no_go, &library, NULL),
                     0);
    Dl_info info;
    assert_int_not_equal(dladdr((void *)(uintptr_t)keep, &info), 0);
    uint64_t at = (uint64_t)((uintptr_t)keep - (uintptr_t)info.dli_fbase) + 4;
    (void)oh_csym_frames(library, address, append_frame, text);
    assert_string_equal(text, with_dwarf);
    text[0] = '\0';
    assert_int_equal(oh_csym_frames(own, at, append_frame, text), 1);
    assert_memory_equal(text, "keep [keep] test_csym.c:", strlen("keep [keep] test_csym.c:"));
    text[0] = '\0';
    (void)oh_csym_frames(library, address, append_frame, text);
    assert_string_equal(text, with_dwarf);
    oh_csym_destroy(library);
    oh_csym_destroy(own);
}

static int stop_at_once(void *arg, const struct oh_csym_frame *frame)
{
    (void)frame;
    ++*(int *)arg;
    return 1;
}

static void test_frames_stop_when_told(void **state)
{
    (void)state;
    struct oh_csym *csym = NULL;
    int calls = 0;
    assert_int_equal(oh_csym_create(oh_compile_path(dir, "libs.so"), NULL, no_go, &csym, NULL), 0);
    assert_int_equal(oh_csym_frames(csym, address, stop_at_once, &calls), 1);
    assert_int_equal(calls, 1);
    oh_csym_destroy(csym);
}

static void test_create_on_no_elf_file_says_which(void **state)
{
    (void)state;
    struct oh_csym *csym = NULL;
    struct oh_err err = {""};
    assert_true(oh_csym_create(oh_compile_path(dir, "s.c"), NULL, no_go, &csym, &err) < 0);
    assert_non_null(strstr(err.text, "s.c"));
    assert_true(oh_csym_create(oh_compile_path(dir, "absent"), NULL, no_go, &csym, &err) < 0);
    assert_non_null(strstr(err.text, "absent"));
    assert_true(oh_csym_create(dir, NULL, no_go, &csym, &err) < 0);
    assert_true(oh_csym_create(NULL, NULL, no_go, &csym, &err) < 0);
    assert_null(csym);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_from_dwarf_have_inlines_and_clone),
        cmocka_unit_test(test_frames_from_debug_file_are_the_same),
        cmocka_unit_test(test_frames_without_dwarf_are_symbols),
        cmocka_unit_test(test_frames_without_anything_are_none),
        cmocka_unit_test(test_frames_of_program_at_fixed_address),
        cmocka_unit_test(test_frames_of_several_modules_do_not_mix),
        cmocka_unit_test(test_frames_stop_when_told),
        cmocka_unit_test(test_create_on_no_elf_file_says_which),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
