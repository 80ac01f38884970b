// SPDX-License-Identifier: Apache-2.0
//
// Reads at the edges of mapped memory, and through pointers to nowhere.

#include "capture/readable.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "support/cmocka.h"

enum { PAGE = 4096, PAGES = 8 };

static const uint64_t marker = 0x1122334455667788;

// PAGES pages, of which the last cannot be read.
static uint64_t map_with_guard(void)
{
    char *memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    for (size_t at = 0; at < (size_t)(PAGES - 1) * PAGE; at += sizeof(marker))
        memcpy(memory + at, &marker, sizeof(marker));
    assert_int_equal(mprotect(memory + (size_t)(PAGES - 1) * PAGE, PAGE, PROT_NONE), 0);
    return (uint64_t)(uintptr_t)memory;
}

static uint64_t guard_of(uint64_t memory)
{
    return memory + (uint64_t)(PAGES - 1) * PAGE;
}

static void unmap(uint64_t memory)
{
    assert_int_equal(munmap((void *)(uintptr_t)memory, (size_t)PAGES * PAGE), 0);
}

static void test_word_up_to_the_guard_page_is_read(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    struct oh_readable *stack = oh_readable_begin(memory + 100);
    uint64_t value = 0;
    for (uint64_t at = memory; at <= guard_of(memory) - sizeof(value); at++)
        assert_true(oh_readable_word(stack, at, &value));
    assert_int_equal(value, marker);
    assert_int_equal(stack->begin, memory);
    assert_int_equal(stack->end, guard_of(memory));
    unmap(memory);
}

static void test_word_in_or_across_the_guard_page_is_refused(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    struct oh_readable *stack = oh_readable_begin(memory);
    uint64_t value = 5;
    for (uint64_t at = guard_of(memory) - sizeof(value) + 1; at < guard_of(memory) + PAGE; at++)
        assert_false(oh_readable_word(stack, at, &value));
    assert_int_equal(value, 5);
    unmap(memory);
}

static void test_word_below_the_range_is_read_without_growing_it(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    struct oh_readable *stack = oh_readable_begin(memory + (uint64_t)4 * PAGE);
    uint64_t value = 0;
    assert_true(oh_readable_word(stack, memory + PAGE, &value));
    assert_int_equal(value, marker);
    assert_int_equal(stack->begin, memory + (uint64_t)4 * PAGE);
    // A word that straddles the range's begin.
    assert_true(oh_readable_word(stack, stack->begin - 4, &value));
    unmap(memory);
}

// What a pool of coroutine stacks does when it shrinks.
static void test_memory_that_is_not_the_threads_stack_is_not_remembered(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    uint64_t sp = memory + PAGE + 8;
    uint64_t gone = memory + (uint64_t)5 * PAGE;
    uint64_t value = 5;
    struct oh_readable *stack = oh_readable_begin(sp);
    assert_true(oh_readable_word(stack, gone, &value));
    assert_int_equal(stack->end, gone + PAGE);
    assert_int_equal(mprotect((void *)(uintptr_t)gone, PAGE, PROT_NONE), 0);
    value = 5;
    stack = oh_readable_begin(sp);
    assert_int_equal(stack->begin, memory + PAGE);
    assert_int_equal(stack->end, memory + (uint64_t)2 * PAGE);
    assert_false(oh_readable_word(stack, gone, &value));
    assert_int_equal(value, 5);
    unmap(memory);
}

static uint64_t page_of(uint64_t address)
{
    return address & ~(uint64_t)(PAGE - 1);
}

// The stack pointer of the caller, more or less; a sanitizer may keep its variables elsewhere.
static uint64_t stack_pointer(void)
{
    return (uint64_t)(uintptr_t)__builtin_frame_address(0);
}

// Whether the range of the calling thread is its stack, up to the page of `fixed`.
static void check_own_stack(uint64_t fixed)
{
    uint64_t value;
    for (int twice = 0; twice < 2; twice++) {
        struct oh_readable *stack = oh_readable_begin(stack_pointer());
        assert_int_equal(stack->begin, page_of(stack_pointer()));
        assert_int_equal(stack->end, page_of(fixed) + PAGE);
        // Read it may be, what lies behind; remembered it is not.
        (void)oh_readable_word(stack, stack->end, &value);
        assert_int_equal(stack->end, page_of(fixed) + PAGE);
    }
}

static void test_stack_of_the_kernel_is_known_to_its_end(void **state)
{
    (void)state;
    check_own_stack(getauxval(AT_EXECFN));
}

static void test_another_stack_in_between_leaves_the_own_one_known(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    check_own_stack(getauxval(AT_EXECFN));
    struct oh_readable *stack = oh_readable_begin(memory);
    assert_int_equal(stack->end, memory + PAGE);
    check_own_stack(getauxval(AT_EXECFN));
    unmap(memory);
}

static void *check_thread(void *argument)
{
    uint64_t above = page_of((uint64_t)pthread_self()) + PAGE;
    struct oh_readable *stack = oh_readable_begin(above);
    assert_int_equal(stack->begin, above);
    assert_int_equal(stack->end, above + PAGE);
    check_own_stack((uint64_t)pthread_self());
    return argument;
}

static void run_thread(const pthread_attr_t *attributes)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, attributes, check_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_stack_of_a_thread_is_known_to_its_control_block(void **state)
{
    (void)state;
    run_thread(NULL);
}

static void test_stack_given_by_the_host_ends_there_though_more_is_readable(void **state)
{
    (void)state;
    enum { STACK_BYTES = 1 << 20, MORE_BYTES = 1 << 16 };
    pthread_attr_t attributes;
    char *memory = mmap(NULL, STACK_BYTES + MORE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, memory, STACK_BYTES), 0);
    run_thread(&attributes);
    assert_int_equal(pthread_attr_destroy(&attributes), 0);
    assert_int_equal(munmap(memory, STACK_BYTES + MORE_BYTES), 0);
}

static const uint64_t nowhere[] = {
    0,
    1,
    8,
    4095,
    4096,
    UINT64_MAX,
    UINT64_MAX - 7,
    UINT64_MAX - 8,
    UINT64_C(1) << 47,
    (UINT64_C(1) << 47) - 8,
    UINT64_C(0x8000000000000000),
    0xffff800000000000,
};

static void test_pointers_to_nowhere_are_refused(void **state)
{
    (void)state;
    uint64_t value = 5;
    struct oh_readable *stack = oh_readable_begin((uint64_t)(uintptr_t)&value);
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        assert_false(oh_readable_word(stack, nowhere[i], &value));
        assert_false(oh_readable_go_word(nowhere[i], &value));
        assert_false(oh_readable_range(nowhere[i], 16));
    }
    assert_int_equal(value, 5);
}

static void test_go_word_on_readable_and_unreadable_pages(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    uint64_t value = 0;
    for (int twice = 0; twice < 2; twice++) {
        assert_true(oh_readable_go_word(guard_of(memory) - 8, &value));
        assert_int_equal(value, marker);
        assert_false(oh_readable_go_word(guard_of(memory), &value));
    }
    assert_false(oh_readable_go_word(memory + 4, &value));
    unmap(memory);
}

static void test_range_counts_every_page(void **state)
{
    (void)state;
    uint64_t memory = map_with_guard();
    assert_true(oh_readable_range(memory, guard_of(memory) - memory));
    assert_false(oh_readable_range(memory, guard_of(memory) - memory + 1));
    assert_true(oh_readable_range(guard_of(memory), 0));
    assert_false(oh_readable_range(memory, UINT64_MAX));
    unmap(memory);
}

static void test_no_read_changes_errno(void **state)
{
    (void)state;
    uint64_t value;
    errno = 7;
    struct oh_readable *stack = oh_readable_begin((uint64_t)(uintptr_t)&value);
    assert_false(oh_readable_word(stack, 8, &value));
    assert_false(oh_readable_go_word(4096, &value));
    assert_int_equal(errno, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word_up_to_the_guard_page_is_read),
        cmocka_unit_test(test_word_in_or_across_the_guard_page_is_refused),
        cmocka_unit_test(test_word_below_the_range_is_read_without_growing_it),
        cmocka_unit_test(test_memory_that_is_not_the_threads_stack_is_not_remembered),
        cmocka_unit_test(test_stack_of_the_kernel_is_known_to_its_end),
        cmocka_unit_test(test_another_stack_in_between_leaves_the_own_one_known),
        cmocka_unit_test(test_stack_of_a_thread_is_known_to_its_control_block),
        cmocka_unit_test(test_stack_given_by_the_host_ends_there_though_more_is_readable),
        cmocka_unit_test(test_pointers_to_nowhere_are_refused),
        cmocka_unit_test(test_go_word_on_readable_and_unreadable_pages),
        cmocka_unit_test(test_range_counts_every_page),
        cmocka_unit_test(test_no_read_changes_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
