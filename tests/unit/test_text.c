// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <string.h>

#include "support/cmocka.h"

static void test_add_within_capacity_joins_parts(void **state)
{
    (void)state;
    // given
    char buf[32];
    struct oh_text text;
    oh_text_init(&text, buf, sizeof buf);
    assert_string_equal(buf, "");

    // when
    oh_text_add(&text, "a=");
    oh_text_add_u64(&text, 0);
    oh_text_add_bytes(&text, ";bcd", 2);
    oh_text_add_u64(&text, UINT64_MAX);

    // then
    assert_string_equal(buf, "a=0;b18446744073709551615");
    assert_int_equal(text.length, strlen(buf));
    assert_false(text.cut);
}

static void test_add_to_the_last_byte_is_not_cut(void **state)
{
    (void)state;
    char buf[6];
    struct oh_text text;
    oh_text_init(&text, buf, sizeof buf);

    oh_text_add(&text, "12345");

    assert_string_equal(buf, "12345");
    assert_false(text.cut);
}

static void test_add_beyond_capacity_cuts_and_stays_inside(void **state)
{
    (void)state;
    // given
    char buf[8];
    memset(buf, '#', sizeof buf);
    struct oh_text text;
    oh_text_init(&text, buf, 6);

    // when
    oh_text_add(&text, "123");
    oh_text_add_u64(&text, 987654);
    oh_text_add(&text, "x");

    // then
    assert_string_equal(buf, "12398");
    assert_true(text.cut);
    assert_int_equal(text.length, 5);
    assert_int_equal(buf[6], '#');
}

static void test_init_with_one_byte_holds_nothing(void **state)
{
    (void)state;
    char buf[2] = "#";
    struct oh_text text;
    oh_text_init(&text, buf, 1);

    oh_text_add(&text, "1");

    assert_string_equal(buf, "");
    assert_true(text.cut);
}

static void test_parse_of_a_number_gives_it(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(oh_text_parse_u64("0", &value));
    assert_true(value == 0);
    assert_true(oh_text_parse_u64("000123", &value));
    assert_true(value == 123);
    assert_true(oh_text_parse_u64("18446744073709551615", &value));
    assert_true(value == UINT64_MAX);
}

static void test_parse_of_anything_else_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "0x10",
        "1e3",
        "1k",
        "/",
        ":",
        "1\n",
        "18446744073709551616",
        "18446744073709551620",
        "99999999999999999999999",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t value = 7;
        assert_false(oh_text_parse_u64(bad[i], &value));
        assert_true(value == 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_within_capacity_joins_parts),
        cmocka_unit_test(test_add_to_the_last_byte_is_not_cut),
        cmocka_unit_test(test_add_beyond_capacity_cuts_and_stays_inside),
        cmocka_unit_test(test_init_with_one_byte_holds_nothing),
        cmocka_unit_test(test_parse_of_a_number_gives_it),
        cmocka_unit_test(test_parse_of_anything_else_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
