// SPDX-License-Identifier: Apache-2.0
//
// Functions are redirected and run: each gives what it gave before, and what the hook adds, whether
// it is called by its own name or by the one that the hook has of it.

#include "patch/redirect.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "support/child.h"
#include "support/cmocka.h"
#include "support/fault.h"
#include "support/threads.h"

enum { ADDED = 100000, CODE_ALIGN = 16 };

#if defined(__SANITIZE_THREAD__)
static const bool is_alone = false; // The sanitizer has a thread of its own.
#else
static const bool is_alone = true;
#endif

typedef long function(long value);

#define OH_TEST_RUN(name)    \
    function oh_test_##name; \
    extern const unsigned long oh_test_size_##name;
#define OH_TEST_REFUSED(name, why) OH_TEST_RUN(name)
#define OH_TEST_FUNCTIONS                            \
    OH_TEST_RUN(plain)                               \
    OH_TEST_RUN(landing)                             \
    OH_TEST_RUN(rip_load)                            \
    OH_TEST_RUN(rip_load_late)                       \
    OH_TEST_RUN(rip_store)                           \
    OH_TEST_RUN(rip_compare_byte)                    \
    OH_TEST_RUN(rip_vector)                          \
    OH_TEST_RUN(thread_local)                        \
    OH_TEST_RUN(if_short)                            \
    OH_TEST_RUN(if_long)                             \
    OH_TEST_RUN(jump_short)                          \
    OH_TEST_RUN(jump_indirect)                       \
    OH_TEST_RUN(no_count)                            \
    OH_TEST_RUN(count)                               \
    OH_TEST_RUN(tiny)                                \
    OH_TEST_RUN(long_prologue)                       \
    OH_TEST_REFUSED(call_first, call)                \
    OH_TEST_REFUSED(branch_to_second, branch_inside) \
    OH_TEST_REFUSED(branch_to_first, branch_inside)  \
    OH_TEST_REFUSED(branch_from_afar, branch_inside) \
    OH_TEST_REFUSED(branch_inside, branch_inside)    \
    OH_TEST_REFUSED(crowded, too_short)              \
    OH_TEST_REFUSED(breakpoint, odd)                 \
    OH_TEST_REFUSED(invalid, unknown_code)           \
    OH_TEST_REFUSED(jump_of_16_bits, odd)            \
    OH_TEST_REFUSED(rip_of_32_bits, odd)             \
    OH_TEST_REFUSED(transaction, odd)
OH_TEST_FUNCTIONS
#undef OH_TEST_RUN
#undef OH_TEST_REFUSED
function oh_test_jump_long, oh_test_recursive;
extern const unsigned long oh_test_size_jump_long, oh_test_size_recursive;

static const struct known {
    const char *name;
    function *function;
    const unsigned long *size;
    enum oh_refusal refusal;
} known[] = {
#define OH_TEST_RUN(name) {#name, oh_test_##name, &oh_test_size_##name, OH_REFUSED_none},
#define OH_TEST_REFUSED(name, why) {#name, oh_test_##name, &oh_test_size_##name, OH_REFUSED_##why},
    OH_TEST_FUNCTIONS
#undef OH_TEST_RUN
#undef OH_TEST_REFUSED
};

enum { KNOWN = sizeof known / sizeof known[0] };

static function *as_it_was; // Of the last call.
static int calls;

static long hook(long value, function *original)
{
    calls++;
    as_it_was = original;
    return original(value) + ADDED;
}

static struct oh_redirect redirect_of(function *code, size_t size)
{
    return (struct oh_redirect){
        .function = {(const uint8_t *)(uintptr_t)code, (uint64_t)(uintptr_t)code, size,
                     (size + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1)},
        .arguments = 1,
        .hook = (const void *)(uintptr_t)&hook,
    };
}

static bool has_writable_code(void)
{
    char line[512], mode[8];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    oh_require(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        found |= sscanf(line, "%*s %7s", mode) == 1 && mode[1] == 'w' && mode[2] == 'x';
    (void)fclose(maps);
    return found;
}

static void redirect_all(void *arg)
{
    static const long values[] = {0, 1, 5, -3};
    static struct oh_redirect redirects[KNOWN];
    long before[KNOWN][4];
    (void)arg;
    for (int i = 0; i < KNOWN; i++) {
        redirects[i] = redirect_of(known[i].function, *known[i].size);
        for (int v = 0; v < 4 && known[i].refusal == OH_REFUSED_none; v++)
            before[i][v] = known[i].function(values[v]);
    }
    oh_redirect_prepare(redirects, KNOWN);
    for (int i = 0; i < KNOWN; i++) {
        if (redirects[i].refusal != known[i].refusal)
            print_error("%s: refusal %d\n", known[i].name, redirects[i].refusal);
        oh_require_equal(redirects[i].refusal, known[i].refusal);
        if (known[i].refusal == OH_REFUSED_none)
            oh_require_equal(oh_redirect_apply(&redirects[i]), OH_REFUSED_none);
    }
    // jump_indirect goes on to plain, which is redirected, too.
    for (int i = 0; i < KNOWN; i++) {
        long more = strcmp(known[i].name, "jump_indirect") == 0 ? ADDED : 0;
        for (int v = 0; v < 4 && known[i].refusal == OH_REFUSED_none; v++) {
            long got = known[i].function(values[v]);
            if (got != before[i][v] + ADDED + more)
                print_error("%s(%ld): %ld, before %ld\n", known[i].name, values[v], got,
                            before[i][v]);
            oh_require_equal(got, before[i][v] + ADDED + more);
        }
    }
    oh_require(!has_writable_code());
}

static void test_functions_of_every_kind_run_as_before_or_are_refused(void **state)
{
    (void)state;
    oh_child_must_pass(redirect_all, NULL);
}

static void redirect_tail(void *arg)
{
    (void)arg;
    struct oh_redirect redirect = redirect_of(oh_test_jump_long, oh_test_size_jump_long);
    oh_redirect_prepare(&redirect, 1);
    oh_require_equal(oh_redirect_apply(&redirect), OH_REFUSED_none);
    oh_require_equal(oh_test_jump_long(5), 6 + ADDED);
    oh_require_equal(as_it_was(5), 6);
    oh_require_equal(calls, 1);
    oh_require_equal(oh_test_plain(5), 6);
}

static void test_a_tail_call_goes_on_to_its_target(void **state)
{
    (void)state;
    oh_child_must_pass(redirect_tail, NULL);
}

static void redirect_recursive(void *arg)
{
    (void)arg;
    oh_require_equal(oh_test_recursive(4), 4 + 3 + 2 + 1);
    struct oh_redirect redirect = redirect_of(oh_test_recursive, oh_test_size_recursive);
    oh_redirect_prepare(&redirect, 1);
    oh_require_equal(oh_redirect_apply(&redirect), OH_REFUSED_none);
    (void)oh_test_recursive(4);
    oh_require_equal(calls, 5);
}

static void test_a_recursive_function_meets_the_hook_each_time(void **state)
{
    (void)state;
    oh_child_must_pass(redirect_recursive, NULL);
}

// Of a function with as many arguments as there are registers for nothing is told but them.
typedef long function_of_six(long, long, long, long, long, long);

static long hook_of_six(long a, long b, long c, long d, long e, long f)
{
    return ((((a * 10 + b) * 10 + c) * 10 + d) * 10 + e) * 10 + f;
}

static void redirect_for_good(void *arg)
{
    (void)arg;
    function_of_six *called;
    const void *address = (const void *)(uintptr_t)&oh_test_plain;
    memcpy(&called, &address, sizeof called);
    struct oh_redirect redirect = redirect_of(oh_test_plain, oh_test_size_plain);
    redirect.arguments = OH_REDIRECT_FOR_GOOD;
    redirect.hook = (const void *)(uintptr_t)&hook_of_six;
    oh_redirect_prepare(&redirect, 1);
    oh_require_equal(oh_redirect_apply(&redirect), OH_REFUSED_none);
    oh_require_equal(called(1, 2, 3, 4, 5, 6), 123456);
}

static void test_a_function_is_redirected_for_good_with_all_its_arguments(void **state)
{
    (void)state;
    oh_child_must_pass(redirect_for_good, NULL);
}

static void look_at_threads(uint32_t number, void *arg)
{
    (void)number;
    (void)arg;
    oh_require(oh_redirect_has_other_threads());
}

static void count_threads(void *arg)
{
    oh_require(!is_alone || !oh_redirect_has_other_threads());
    oh_threads_run(1, look_at_threads, arg);
}

static void test_other_threads_are_noticed(void **state)
{
    (void)state;
    oh_child_must_pass(count_threads, NULL);
}

static void refuse_without_memory(void *arg)
{
    (void)arg;
    struct oh_redirect redirect = redirect_of(oh_test_plain, oh_test_size_plain);
    oh_fault_fail_call(SYS_mprotect, 13);
    oh_redirect_prepare(&redirect, 1);
    oh_require_equal(redirect.refusal, OH_REFUSED_no_memory);
    oh_require_equal(oh_test_plain(5), 6);
}

static void test_a_kernel_that_allows_no_code_refuses_and_changes_nothing(void **state)
{
    (void)state;
    oh_child_must_pass(refuse_without_memory, NULL);
}

static void refuse_without_writing(void *arg)
{
    (void)arg;
    struct oh_redirect redirect = redirect_of(oh_test_plain, oh_test_size_plain);
    oh_redirect_prepare(&redirect, 1);
    oh_require_equal(redirect.refusal, OH_REFUSED_none);
    oh_fault_fail_call(SYS_pwrite64, 1);
    oh_require_equal(oh_redirect_apply(&redirect), OH_REFUSED_write_failed);
    oh_require_equal(redirect.refusal, OH_REFUSED_write_failed);
    oh_require_equal(oh_test_plain(5), 6);
}

static void test_code_that_cannot_be_written_refuses_and_stays(void **state)
{
    (void)state;
    oh_child_must_pass(refuse_without_writing, NULL);
}

static void test_a_function_that_is_nowhere_and_too_many_are_refused(void **state)
{
    (void)state;
    static struct oh_redirect many[OH_REDIRECT_FUNCTIONS_MAX + 1];
    oh_redirect_prepare(many, OH_REDIRECT_FUNCTIONS_MAX + 1);
    assert_int_equal(many[0].refusal, OH_REFUSED_full);
    oh_redirect_prepare(many, 1);
    assert_int_not_equal(many[0].refusal, OH_REFUSED_none);
    // One that goes on behind what can be read.
    static const uint8_t code[] = {0x48, 0x89, 0xf8, 0x48, 0x01, 0xf0, 0xc3};
    many[0] = (struct oh_redirect){.function = {code, (uint64_t)(uintptr_t)code, sizeof code, 6}};
    oh_redirect_prepare(many, 1);
    assert_int_equal(many[0].refusal, OH_REFUSED_not_there);
    for (int i = 0; i < OH_REFUSED_COUNT; i++)
        assert_true((oh_refusal_text((enum oh_refusal)i)[0] != '\0') == (i != OH_REFUSED_none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_of_every_kind_run_as_before_or_are_refused),
        cmocka_unit_test(test_a_tail_call_goes_on_to_its_target),
        cmocka_unit_test(test_a_recursive_function_meets_the_hook_each_time),
        cmocka_unit_test(test_a_function_is_redirected_for_good_with_all_its_arguments),
        cmocka_unit_test(test_other_threads_are_noticed),
        cmocka_unit_test(test_a_kernel_that_allows_no_code_refuses_and_changes_nothing),
        cmocka_unit_test(test_code_that_cannot_be_written_refuses_and_stays),
        cmocka_unit_test(test_a_function_that_is_nowhere_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
