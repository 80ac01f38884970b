// SPDX-License-Identifier: Apache-2.0
//
// Finding a Go runtime in a module's memory, and patching one: on a module that is built here.
// (Real Go programs are in the integration tests.)

#include "capture/go_runtime.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "hooks/go_entry.h"
#include "hooks/go_exit.h"
#include "patch/code.h"
#include "support/child.h"
#include "support/cmocka.h"

enum {
    PAGE = 4096,
    // The module: a page of code, two of tables, one of data.
    CODE_AT = 0,
    TABLES_AT = PAGE,
    TABLES_BYTES = 2 * PAGE,
    DATA_AT = 3 * PAGE,
    MODULE_BYTES = 4 * PAGE,
    MODULEDATA_AT = DATA_AT + 64,
    FUNCVAL_AT = TABLES_AT + TABLES_BYTES - 64,
    GOFUNC_AT = TABLES_AT + PAGE + 512,
    FUNCTION_BYTES = 64,
    RECORD_BYTES = 44,
    WORD_BYTES = 8,
    NAMES_AT = 72,
    UNITS_AT = NAMES_AT + 512,
    FILES_AT = UNITS_AT + 8,
    PCTAB_AT = FILES_AT + 8,
    FUNCTAB_AT = PCTAB_AT + 8,
    // Words of moduledata.
    MD_HEADER = 0,
    MD_NAMES = 1,
    MD_UNITS = 4,
    MD_FUNCTIONS = 13,
    MD_FUNCTIONS_LENGTH = 14,
    MD_TEXT = 22,
    MD_ETEXT = 23,
    MD_GOFUNC = 40
};

static const char *const functions[] = {
    "runtime.asmcgocall", "crosscall2",         "runtime.exit",  "runtime.goexit", "runtime.main",
    "main.main",          "runtime.asmcgocall", "runtime.mcall", "main.mainly",    "runtime.exit",
};

enum {
    FUNCTION_COUNT = sizeof(functions) / sizeof(functions[0]),
    EXIT_INDEX = 2,
    MAIN_INDEX = 4,
    MAIN_MAIN_INDEX = 5
};

static uint8_t *module;
static Elf64_Phdr phdrs[4];

static uint64_t address(size_t at)
{
    return (uint64_t)(uintptr_t)(module + at);
}

static void put32(size_t at, uint32_t value)
{
    memcpy(module + at, &value, sizeof value);
}

static void put64(size_t at, uint64_t value)
{
    memcpy(module + at, &value, sizeof value);
}

static void put_table(void)
{
    static const uint8_t start[] = {0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8};
    static const size_t parts[] = {NAMES_AT, UNITS_AT, FILES_AT, PCTAB_AT, FUNCTAB_AT};
    memcpy(module + TABLES_AT, start, sizeof start);
    put64(TABLES_AT + 8, FUNCTION_COUNT);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        put64(TABLES_AT + 32 + i * WORD_BYTES, parts[i]);
    size_t name = 1;
    size_t record = (FUNCTION_COUNT + 1) * 8;
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        put32(TABLES_AT + FUNCTAB_AT + i * 8, (uint32_t)(i * FUNCTION_BYTES));
        put32(TABLES_AT + FUNCTAB_AT + i * 8 + 4, (uint32_t)record);
        put32(TABLES_AT + FUNCTAB_AT + record, (uint32_t)(i * FUNCTION_BYTES));
        put32(TABLES_AT + FUNCTAB_AT + record + 4, (uint32_t)name);
        memcpy(module + TABLES_AT + NAMES_AT + name, functions[i], strlen(functions[i]) + 1);
        name += strlen(functions[i]) + 1;
        record += RECORD_BYTES;
    }
    put32(TABLES_AT + FUNCTAB_AT + FUNCTION_COUNT * 8, FUNCTION_COUNT * FUNCTION_BYTES);
}

static void put_moduledata(void)
{
    put64(MODULEDATA_AT + MD_HEADER * WORD_BYTES, address(TABLES_AT));
    put64(MODULEDATA_AT + MD_NAMES * WORD_BYTES, address(TABLES_AT + NAMES_AT));
    put64(MODULEDATA_AT + MD_UNITS * WORD_BYTES, address(TABLES_AT + UNITS_AT));
    put64(MODULEDATA_AT + MD_FUNCTIONS * WORD_BYTES, address(TABLES_AT + FUNCTAB_AT));
    put64(MODULEDATA_AT + MD_FUNCTIONS_LENGTH * WORD_BYTES, 1024);
    put64(MODULEDATA_AT + MD_TEXT * WORD_BYTES, address(CODE_AT));
    put64(MODULEDATA_AT + MD_ETEXT * WORD_BYTES,
          address(CODE_AT) + (uint64_t)FUNCTION_COUNT * FUNCTION_BYTES);
    put64(MODULEDATA_AT + MD_GOFUNC * WORD_BYTES, address(GOFUNC_AT));
}

static void put_code(void)
{
    static const uint8_t asmcgocall[] = {0x55, 0x48, 0x89, 0xe5, 0x90, 0x48, 0x83, 0xec, 0x10,
                                         0x48, 0x83, 0xe4, 0xf0, 0x48, 0x89, 0x7c, 0x24, 0x08};
    static const uint8_t exit_code[] = {0x8b, 0x7c, 0x24, 0x08, 0xb8, 0xe7,
                                        0x00, 0x00, 0x00, 0x0f, 0x05, 0xc3};
    memset(module + CODE_AT, 0xcc, (size_t)FUNCTION_COUNT * FUNCTION_BYTES);
    memcpy(module + CODE_AT, asmcgocall, sizeof asmcgocall);
    memcpy(module + CODE_AT + EXIT_INDEX * FUNCTION_BYTES, exit_code, sizeof exit_code);
    // "mov FUNCVAL(%rip),%rax" in runtime.main.
    size_t at = CODE_AT + MAIN_INDEX * FUNCTION_BYTES + 5;
    static const uint8_t load[] = {0x48, 0x8b, 0x05};
    memcpy(module + at, load, sizeof load);
    put32(at + sizeof load, (uint32_t)(FUNCVAL_AT - (at + sizeof load + 4)));
    put64(FUNCVAL_AT, address(CODE_AT + MAIN_MAIN_INDEX * FUNCTION_BYTES));
}

static Elf64_Phdr segment(uint32_t flags, size_t at, size_t size)
{
    return (Elf64_Phdr){
        .p_type = PT_LOAD, .p_flags = flags, .p_vaddr = at, .p_filesz = size, .p_memsz = size};
}

static int set_up(void **state)
{
    (void)state;
    module = mmap(NULL, MODULE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (module == MAP_FAILED)
        return -1;
    put_table();
    put_moduledata();
    put_code();
    phdrs[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_filesz = UINT64_MAX};
    phdrs[1] = segment(PF_R | PF_X, CODE_AT, PAGE);
    phdrs[2] = segment(PF_R, TABLES_AT, TABLES_BYTES);
    phdrs[3] = segment(PF_R | PF_W, DATA_AT, PAGE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(module, MODULE_BYTES);
}

static int find(struct oh_go_runtime *runtime)
{
    return oh_go_runtime_find(address(0), phdrs, 4, runtime);
}

static uint64_t entry(size_t index)
{
    return address(CODE_AT + index * FUNCTION_BYTES);
}

static void test_find_reads_the_module(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    assert_int_equal(find(&runtime), 0);
    assert_int_equal(runtime.text, address(CODE_AT));
    assert_int_equal(runtime.pclntab, address(TABLES_AT));
    assert_int_equal(runtime.pclntab_end, address(TABLES_AT + FUNCTAB_AT + 1024));
    assert_int_equal(runtime.moduledata, address(MODULEDATA_AT));
    assert_int_equal(runtime.gofunc, address(GOFUNC_AT));
    assert_int_equal(runtime.gofunc_end, address(TABLES_AT + TABLES_BYTES));
    assert_int_equal(runtime.tables, OH_GO_TABLES_1_20);
    assert_int_equal(runtime.function[OH_GO_ASMCGOCALL][0].begin, entry(0));
    assert_int_equal(runtime.function[OH_GO_ASMCGOCALL][0].end, entry(1));
    assert_int_equal(runtime.function[OH_GO_ASMCGOCALL][1].begin, entry(6));
    assert_int_equal(runtime.function[OH_GO_MAIN_MAIN][0].begin, entry(MAIN_MAIN_INDEX));
    assert_int_equal(runtime.function[OH_GO_MAIN_MAIN][1].begin, 0);
    assert_int_equal(runtime.function[OH_GO_SYSTEMSTACK][0].begin, 0);
    assert_int_equal(runtime.special_begin, entry(3));
    assert_int_equal(runtime.special_end, entry(8));
    assert_true(runtime.asmcgocall_known && runtime.asmcgocall_frame);
    assert_int_equal(runtime.asmcgocall_g, 8);
    assert_int_equal(runtime.asmcgocall_depth, 0);
}

static void test_in_tells_a_return_address_by_the_call_before_it(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    assert_int_equal(find(&runtime), 0);
    assert_false(oh_go_runtime_in(&runtime, OH_GO_ASMCGOCALL, entry(0)));
    assert_true(oh_go_runtime_in(&runtime, OH_GO_ASMCGOCALL, entry(0) + 1));
    assert_true(oh_go_runtime_in(&runtime, OH_GO_ASMCGOCALL, entry(1)));
    assert_false(oh_go_runtime_in(&runtime, OH_GO_ASMCGOCALL, entry(1) + 1));
    assert_true(oh_go_runtime_in(&runtime, OH_GO_ASMCGOCALL, entry(6) + 9));
    assert_false(oh_go_runtime_in(&runtime, OH_GO_SYSTEMSTACK, 0));
    assert_false(oh_go_runtime_in(&runtime, OH_GO_SYSTEMSTACK, 1));
}

static void test_module_without_go_is_not_found(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    memset(module + TABLES_AT, 0, 8);
    assert_int_equal(find(&runtime), -ENOENT);
    assert_int_equal(oh_go_runtime_find(address(0), phdrs, 0, &runtime), -ENOENT);
}

static void test_contradicting_tables_are_refused(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    // etext outside of the module.
    put64(MODULEDATA_AT + MD_ETEXT * WORD_BYTES, address(MODULE_BYTES));
    assert_int_equal(find(&runtime), -EINVAL);
    put_moduledata();
    put64(MODULEDATA_AT + MD_ETEXT * WORD_BYTES, address(CODE_AT));
    assert_int_equal(find(&runtime), -EINVAL);
    put_moduledata();
    // More functions than the table can hold.
    put64(TABLES_AT + 8, UINT64_C(1) << 40);
    assert_int_equal(find(&runtime), -EINVAL);
}

static void test_every_changed_byte_is_survived(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    static const struct {
        size_t begin;
        size_t end;
    } parts[] = {{MODULEDATA_AT, MODULEDATA_AT + 328}, {TABLES_AT, TABLES_AT + FUNCTAB_AT + 700}};
    for (size_t p = 0; p < 2; p++)
        for (size_t at = parts[p].begin; at < parts[p].end; at++)
            for (unsigned value = 0x7f; value <= 0xff; value += 0x80) {
                uint8_t before = module[at];
                module[at] = (uint8_t)value;
                (void)find(&runtime);
                module[at] = before;
            }
    assert_int_equal(find(&runtime), 0);
}

static void test_segment_that_is_not_mapped_is_passed_over(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    phdrs[3].p_vaddr = UINT64_C(1) << 50;
    assert_int_equal(find(&runtime), -ENOENT);
    phdrs[3].p_vaddr = UINT64_MAX - PAGE;
    assert_int_equal(find(&runtime), -ENOENT);
}

static void test_add_makes_it_known_once(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    assert_int_equal(find(&runtime), 0);
    assert_null(oh_go_runtime_at(entry(1)));
    assert_int_equal(oh_go_runtime_add(&runtime), 0);
    assert_int_equal(oh_go_runtime_add(&runtime), -EEXIST);
    assert_non_null(oh_go_runtime_at(entry(1)));
    assert_ptr_equal(oh_go_runtime_at(entry(1)), oh_go_runtime_get(0));
    assert_null(oh_go_runtime_at(runtime.etext));
    assert_null(oh_go_runtime_at(runtime.text - 1));
    assert_null(oh_go_runtime_get(1));
    // And so on until the list is full.
    for (unsigned i = 1; i < OH_GO_RUNTIME_MAX; i++) {
        runtime.moduledata += WORD_BYTES;
        assert_int_equal(oh_go_runtime_add(&runtime), 0);
    }
    runtime.moduledata += WORD_BYTES;
    assert_int_equal(oh_go_runtime_add(&runtime), -ENOSPC);
    assert_null(oh_go_runtime_get(OH_GO_RUNTIME_MAX));
}

static void test_patch_writes_read_only_memory_and_only_over_what_is_expected(void **state)
{
    (void)state;
    assert_int_equal(mprotect(module, PAGE, PROT_READ), 0);
    assert_int_equal(oh_code_write(entry(1), "\xcc\xcc\xcd", "abc", 3), -EILSEQ);
    assert_int_equal(oh_code_write(entry(1), "\xcc\xcc\xcc", "abc", 3), 0);
    assert_memory_equal(module + CODE_AT + FUNCTION_BYTES, "abc\xcc", 4);
}

static void test_entry_install_redirects_the_word_that_runtime_main_names(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    assert_int_equal(find(&runtime), 0);
    assert_int_equal(oh_go_entry_state(), OH_GO_ENTRY_UNKNOWN);
    // Another word in the code's reach that holds the same entry: which one is it?
    size_t at = CODE_AT + MAIN_INDEX * FUNCTION_BYTES + 30;
    put32(at, (uint32_t)(FUNCVAL_AT + 8 - (at + 4)));
    put64(FUNCVAL_AT + 8, entry(MAIN_MAIN_INDEX));
    assert_int_equal(oh_go_entry_install(&runtime, address(0), phdrs, 4), -EMLINK);
    put64(FUNCVAL_AT + 8, 0);
    put64(FUNCVAL_AT, 0);
    assert_int_equal(oh_go_entry_install(&runtime, address(0), phdrs, 4), -ENOENT);
    assert_int_equal(oh_go_entry_state(), OH_GO_ENTRY_UNKNOWN);
    put64(FUNCVAL_AT, entry(MAIN_MAIN_INDEX));
    assert_int_equal(oh_go_entry_install(&runtime, address(0), phdrs, 4), 0);
    assert_int_equal(oh_go_entry_state(), OH_GO_ENTRY_BEFORE);
    assert_int_equal(oh_go_entry_install(&runtime, address(0), phdrs, 4), -EALREADY);
    // What runtime.main would now call: main.main is a return instruction here.
    module[CODE_AT + MAIN_MAIN_INDEX * FUNCTION_BYTES] = 0xc3;
    assert_int_equal(mprotect(module, PAGE, PROT_READ | PROT_EXEC), 0);
    void (*call)(void);
    memcpy(&call, module + FUNCVAL_AT, sizeof call);
    call();
    assert_int_equal(oh_go_entry_state(), OH_GO_ENTRY_BEGAN);
}

static int *told_code;

static void at_end(int code)
{
    *told_code = code;
}

// Calls the code at entry as Go does: the exit code above the return address.
static void call_exit(uint64_t exit_entry, int code)
{
    __asm__ volatile("subq $16, %%rsp\n\t"
                     "movl %1, (%%rsp)\n\t"
                     "call *%0"
                     :
                     : "r"(exit_entry), "r"(code)
                     : "memory");
}

static void exit_through_the_patch(void *argument)
{
    uint64_t exit_entry = *(uint64_t *)argument;
    call_exit(exit_entry, 41);
}

static void install_and_exit(void *argument)
{
    struct oh_go_runtime *runtime = argument;
    uint64_t exit_entry = runtime->function[OH_GO_RUNTIME_EXIT][0].begin;
    oh_require_equal(oh_go_exit_install(runtime, at_end), 0);
    oh_require_equal(oh_go_exit_install(runtime, at_end), -EALREADY);
    oh_require_equal(mprotect(module, PAGE, PROT_READ | PROT_EXEC), 0);
    // A forked child's exit is its own: nobody is told.
    oh_require_equal(oh_child_run(exit_through_the_patch, &exit_entry), 41);
    oh_require_equal(*told_code, 0);
    call_exit(exit_entry, 42);
}

static void test_exit_install_tells_the_end_and_keeps_the_code(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    told_code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told_code != MAP_FAILED);
    assert_int_equal(find(&runtime), 0);
    assert_int_equal(oh_child_run(install_and_exit, &runtime), 42);
    assert_int_equal(*told_code, 42);
    munmap(told_code, PAGE);
}

static void test_exit_install_leaves_unknown_code_alone(void **state)
{
    (void)state;
    struct oh_go_runtime runtime;
    assert_int_equal(find(&runtime), 0);
    module[CODE_AT + EXIT_INDEX * FUNCTION_BYTES + 4] ^= 1;
    assert_int_equal(oh_go_exit_install(&runtime, at_end), -EILSEQ);
    memset(runtime.function, 0, sizeof runtime.function);
    assert_int_equal(oh_go_exit_install(&runtime, at_end), -ENOENT);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_find_reads_the_module),
        CASE(test_in_tells_a_return_address_by_the_call_before_it),
        CASE(test_module_without_go_is_not_found),
        CASE(test_contradicting_tables_are_refused),
        CASE(test_every_changed_byte_is_survived),
        CASE(test_segment_that_is_not_mapped_is_passed_over),
        CASE(test_patch_writes_read_only_memory_and_only_over_what_is_expected),
        CASE(test_entry_install_redirects_the_word_that_runtime_main_names),
        CASE(test_exit_install_tells_the_end_and_keeps_the_code),
        CASE(test_exit_install_leaves_unknown_code_alone),
        CASE(test_add_makes_it_known_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
