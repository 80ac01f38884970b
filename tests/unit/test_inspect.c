// SPDX-License-Identifier: Apache-2.0
//
// What a program's file tells before it is started. The programs are made by the machine's own
// compiler, or byte by byte.

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/inspect.h"
#include "support/cmocka.h"
#include "support/compile.h"
#include "support/scratch.h"

static char scratch[OH_SCRATCH_BYTES];

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(scratch, NULL);
    oh_compile_write(scratch, "p.c", "int main(void) { return 0; }\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(scratch);
    return 0;
}

static enum oh_inspect_verdict verdict_of(const char *path)
{
    struct oh_inspect found;
    struct oh_err err;
    oh_inspect_file(path, true, &found);
    const int result = oh_inspect_explain(&found, &err);
    assert_int_equal(result, found.verdict == OH_INSPECT_OK ? 0 : -ENOEXEC);
    // Every refusal says which file and what to try.
    if (result < 0) {
        assert_non_null(strstr(err.text, found.program));
        assert_non_null(strstr(err.text, "\ntry: "));
        assert_null(strstr(err.text, "%"));
    }
    assert_true(oh_inspect_word(found.verdict)[0] != '\0');
    return found.verdict;
}

static const char *write_executable(const char *name, const char *text)
{
    oh_compile_write(scratch, name, text);
    const char *const path = oh_compile_path(scratch, name);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void test_inspect_dynamic_program_is_fine(void **state)
{
    (void)state;
    oh_compile_run(scratch, "cc -o dynamic p.c");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "dynamic")), OH_INSPECT_OK);
    oh_compile_run(scratch, "cc -no-pie -s -o stripped p.c");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "stripped")), OH_INSPECT_OK);
}

static void test_inspect_static_program_is_refused(void **state)
{
    (void)state;
    oh_compile_run(scratch, "cc -static -o static p.c && cc -static-pie -o static_pie p.c");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "static")), OH_INSPECT_STATIC);
    assert_int_equal(verdict_of(oh_compile_path(scratch, "static_pie")), OH_INSPECT_STATIC);
}

// A section of Go's is enough for the words; the linker's own flags make the rest.
static void test_inspect_static_go_program_is_told_apart(void **state)
{
    (void)state;
    oh_compile_write(scratch, "go.c",
                     "__attribute__((section(\".go.buildinfo\"), used)) static char info[16] = "
                     "\"x\";\nint main(void) { return info[1]; }\n");
    oh_compile_run(scratch, "cc -static -o static_go go.c");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "static_go")), OH_INSPECT_STATIC_GO);
}

static void test_inspect_without_a_library_is_refused(void **state)
{
    (void)state;
    oh_compile_write(scratch, "n.c", "void _start(void) { for (;;) { } }\n");
    oh_compile_run(scratch,
                   "cc -nostdlib -pie -fPIE -Wl,-I/lib64/ld-linux-x86-64.so.2 -o bare n.c");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "bare")), OH_INSPECT_NO_LIBC);
}

static void test_inspect_musl_program_is_refused(void **state)
{
    (void)state;
    oh_compile_run(scratch, "cc -Wl,-I/lib/ld-musl-x86_64.so.1 -o musl p.c");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "musl")), OH_INSPECT_MUSL);
}

static const char *write_elf(const char *name, unsigned char class, uint16_t machine)
{
    Elf64_Ehdr header = {.e_type = ET_EXEC, .e_machine = machine, .e_version = EV_CURRENT};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = class;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    const char *const path = oh_compile_path(scratch, name);
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(&header, sizeof header, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void test_inspect_other_machines_are_refused(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(write_elf("i386", ELFCLASS32, EM_386)), OH_INSPECT_OTHER_CLASS);
    assert_int_equal(verdict_of(write_elf("riscv", ELFCLASS64, EM_RISCV)),
                     OH_INSPECT_OTHER_MACHINE);
}

static void test_inspect_script_is_its_interpreter(void **state)
{
    (void)state;
    char text[OH_SCRATCH_BYTES + 32];
    struct oh_inspect found;
    oh_inspect_file(write_executable("ok.sh", "#!/bin/sh -e\n"), true, &found);
    assert_int_equal(found.verdict, OH_INSPECT_OK);
    assert_true(found.is_script);
    assert_string_equal(found.program, "/bin/sh");
    oh_compile_run(scratch, "cc -static -o interpreter p.c");
    (void)snprintf(text, sizeof text, "#! %s/interpreter\n", scratch);
    assert_int_equal(verdict_of(write_executable("s.sh", text)), OH_INSPECT_STATIC);
    (void)snprintf(text, sizeof text, "#!%s/s.sh\n", scratch);
    assert_int_equal(verdict_of(write_executable("t.sh", text)), OH_INSPECT_STATIC);
    assert_int_equal(verdict_of(write_executable("none.sh", "#!/nonexistent\n")),
                     OH_INSPECT_NO_INTERPRETER);
    (void)snprintf(text, sizeof text, "#!%s/loop.sh\n", scratch);
    assert_int_equal(verdict_of(write_executable("loop.sh", text)), OH_INSPECT_NOT_PROGRAM);
}

static void test_inspect_what_cannot_be_executed(void **state)
{
    (void)state;
    assert_int_equal(verdict_of("/nonexistent"), OH_INSPECT_MISSING);
    assert_int_equal(verdict_of(scratch), OH_INSPECT_DIRECTORY);
    assert_int_equal(verdict_of("/dev/null"), OH_INSPECT_NOT_PROGRAM);
    assert_int_equal(verdict_of(oh_compile_path(scratch, "p.c")), OH_INSPECT_NOT_EXECUTABLE);
    assert_int_equal(verdict_of(write_executable("text", "words\n")), OH_INSPECT_NOT_PROGRAM);
    assert_int_equal(verdict_of(write_executable("empty", "")), OH_INSPECT_NOT_PROGRAM);
    assert_int_equal(verdict_of(write_executable("cut", "\177ELF")), OH_INSPECT_NOT_PROGRAM);
}

static void test_inspect_setuid_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    oh_compile_run(scratch, "cc -o other p.c && chown 65534 other && chmod 4755 other");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "other")), OH_INSPECT_PRIVILEGED);
    // Setuid to who we are changes nothing.
    oh_compile_run(scratch, "cc -o own p.c && chmod 4755 own");
    assert_int_equal(verdict_of(oh_compile_path(scratch, "own")), OH_INSPECT_OK);
}

static void test_search_path_as_execvp(void **state)
{
    (void)state;
    char path[PATH_MAX];
    char list[OH_SCRATCH_BYTES * 2];
    assert_true(oh_inspect_search_path("./x/y", path));
    assert_string_equal(path, "./x/y");
    (void)write_executable("tool", "#!/bin/sh\n");
    oh_compile_write(scratch, "plain", "");
    (void)snprintf(list, sizeof list, "/nonexistent:%s", scratch);
    char *const before = strdup(getenv("PATH"));
    assert_int_equal(setenv("PATH", list, 1), 0);
    assert_true(oh_inspect_search_path("tool", path));
    assert_string_equal(path, oh_compile_path(scratch, "tool"));
    // Found, so that the reason can be told: it may not be executed.
    assert_true(oh_inspect_search_path("plain", path));
    assert_false(oh_inspect_search_path("no-such-tool", path));
    assert_false(oh_inspect_search_path("", path));
    assert_int_equal(setenv("PATH", before, 1), 0);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inspect_dynamic_program_is_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_static_program_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_static_go_program_is_told_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_inspect_without_a_library_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_musl_program_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_other_machines_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_script_is_its_interpreter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_what_cannot_be_executed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_inspect_setuid_of_another_user_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_search_path_as_execvp, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
