// SPDX-License-Identifier: Apache-2.0
//
// The table of unwind rows, one thread. (stress_rows has many.)

#include "capture/rows.h"

#include "support/cmocka.h"

static struct oh_row_key key_of(uint64_t pc, bool after_call)
{
    return (struct oh_row_key){pc, after_call, oh_rows_generation()};
}

static union oh_row row_of(int32_t offset)
{
    return (union oh_row){.cfa_offset = offset,
                          .cfa_register = OH_REG_BP,
                          .kind = OH_ROW_PLAIN,
                          .saved = {1, -2, 3, -4, INT16_MAX, INT16_MIN}};
}

static void test_find_before_insert_finds_nothing(void **state)
{
    (void)state;
    struct oh_row_key key = key_of(0x401000, true);
    union oh_row row;
    assert_false(oh_rows_find(&key, &row));
}

static void test_find_after_insert_gives_the_row(void **state)
{
    (void)state;
    struct oh_row_key key = key_of(0x7fffffffffff, true);
    union oh_row row = row_of(-8);
    union oh_row found;
    oh_rows_insert(&key, &row);
    assert_true(oh_rows_find(&key, &found));
    assert_int_equal(found.cfa_offset, -8);
    assert_int_equal(found.cfa_register, OH_REG_BP);
    assert_int_equal(found.kind, OH_ROW_PLAIN);
    for (unsigned i = 0; i < OH_REG_SAVED_COUNT; i++)
        assert_int_equal(found.saved[i], row.saved[i]);
}

static void test_after_call_and_interrupted_are_two_rows(void **state)
{
    (void)state;
    struct oh_row_key call = key_of(0x402000, true);
    struct oh_row_key interrupted = key_of(0x402000, false);
    union oh_row row = row_of(16);
    union oh_row found;
    oh_rows_insert(&call, &row);
    assert_false(oh_rows_find(&interrupted, &found));
    row = row_of(32);
    oh_rows_insert(&interrupted, &row);
    if (oh_rows_find(&call, &found))
        assert_int_equal(found.cfa_offset, 16);
    assert_true(oh_rows_find(&interrupted, &found));
    assert_int_equal(found.cfa_offset, 32);
}

static void test_forget_hides_older_rows(void **state)
{
    (void)state;
    struct oh_row_key key = key_of(0x403000, true);
    union oh_row row = row_of(16);
    union oh_row found;
    oh_rows_insert(&key, &row);
    oh_rows_forget(oh_rows_generation());
    struct oh_row_key now = key_of(0x403000, true);
    assert_false(oh_rows_find(&now, &found));
    // A row whose making began before: its module may be gone.
    oh_rows_insert(&key, &row);
    assert_false(oh_rows_find(&now, &found));
}

static void test_many_inserts_never_give_a_foreign_row(void **state)
{
    (void)state;
    enum { ROWS = 100000, STEP = 5 };
    unsigned kept = 0;
    for (int i = 0; i < ROWS; i++) {
        struct oh_row_key key = key_of(0x500000 + (uint64_t)i * STEP, true);
        union oh_row row = row_of(i);
        oh_rows_insert(&key, &row);
    }
    for (int i = 0; i < ROWS; i++) {
        struct oh_row_key key = key_of(0x500000 + (uint64_t)i * STEP, true);
        union oh_row found;
        if (!oh_rows_find(&key, &found))
            continue;
        assert_int_equal(found.cfa_offset, i);
        kept++;
    }
    // Most entries of the table are in use.
    assert_true(kept > 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_before_insert_finds_nothing),
        cmocka_unit_test(test_find_after_insert_gives_the_row),
        cmocka_unit_test(test_after_call_and_interrupted_are_two_rows),
        cmocka_unit_test(test_forget_hides_older_rows),
        cmocka_unit_test(test_many_inserts_never_give_a_foreign_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
