// SPDX-License-Identifier: Apache-2.0
//
// Claims on ranges: the earlier authority wins, gaps are nobody's; and the same against a map of
// single bytes, over random claims.

#include <stdlib.h>
#include <string.h>

#include "memory/cover.h"
#include "support/cmocka.h"
#include "support/random.h"

enum { SPACE = 512, ROUNDS = 3000, MERGES = 4, CLAIMS = 6 };

static struct oh_cover cover;
static struct oh_claims claims;

static int setup(void **state)
{
    (void)state;
    cover = (struct oh_cover){0};
    claims = (struct oh_claims){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_cover_fini(&cover);
    oh_claims_fini(&claims);
    return 0;
}

static void claim(uint64_t start, uint64_t end, enum oh_memory_part part)
{
    assert_int_equal(oh_claims_add(&claims, start, end, part), 0);
}

static void merge(void)
{
    assert_int_equal(oh_cover_merge(&cover, &claims), 0);
    assert_int_equal(claims.count, 0);
}

static void test_a_later_authority_gets_what_is_left(void **state)
{
    (void)state;
    claim(100, 200, OH_PART_HEAP);
    claim(300, 400, OH_PART_GO);
    merge();
    claim(150, 350, OH_PART_MMAP);
    claim(390, 500, OH_PART_STACKS);
    merge();
    assert_int_equal(oh_cover_part(&cover, 99), OH_PART_UNCLAIMED);
    assert_int_equal(oh_cover_part(&cover, 199), OH_PART_HEAP);
    assert_int_equal(oh_cover_part(&cover, 200), OH_PART_MMAP);
    assert_int_equal(oh_cover_part(&cover, 300), OH_PART_GO);
    assert_int_equal(oh_cover_part(&cover, 399), OH_PART_GO);
    assert_int_equal(oh_cover_part(&cover, 400), OH_PART_STACKS);
    assert_int_equal(oh_cover_part(&cover, 500), OH_PART_UNCLAIMED);
    assert_true(oh_cover_is_one(&cover, 310, 390));
    assert_false(oh_cover_is_one(&cover, 310, 401));
    assert_true(oh_cover_is_one(&cover, 600, 700));
}

static void test_an_empty_claim_is_none(void **state)
{
    (void)state;
    claim(100, 100, OH_PART_HEAP);
    claim(200, 100, OH_PART_HEAP);
    merge();
    assert_int_equal(cover.owned.count, 0);
}

struct walk {
    enum oh_memory_part parts[SPACE];
    uint64_t end; // Of the piece before.
};

static int walk_piece(void *arg, const struct oh_claim *piece)
{
    struct walk *const walk = arg;
    assert_int_equal(piece->start, walk->end);
    assert_true(piece->start < piece->end);
    for (uint64_t i = piece->start; i < piece->end; i++) {
        walk->parts[i] = piece->part;
    }
    walk->end = piece->end;
    return 0;
}

static void check_against(const enum oh_memory_part *truth, uint64_t start, uint64_t end)
{
    struct walk walk = {.end = start};
    assert_int_equal(oh_cover_each(&cover, start, end, walk_piece, &walk), 0);
    assert_int_equal(walk.end, end);
    for (uint64_t i = start; i < end; i++) {
        assert_int_equal(walk.parts[i], truth[i]);
        assert_int_equal(oh_cover_part(&cover, i), truth[i]);
    }
}

// Claims of one authority that overlap go to the one that begins first; equal begins are left out,
// for there the order is the sort's.
static void test_random_claims_against_single_bytes(void **state)
{
    (void)state;
    struct oh_random seed = {1};
    for (int round = 0; round < ROUNDS; round++) {
        enum oh_memory_part truth[SPACE];
        for (int i = 0; i < SPACE; i++) {
            truth[i] = OH_PART_UNCLAIMED;
        }
        for (int m = 0; m < MERGES; m++) {
            enum oh_memory_part next[SPACE];
            memcpy(next, truth, sizeof next);
            bool is_begin[SPACE] = {false};
            uint64_t begins[CLAIMS];
            int count = 0;
            for (int k = 0; k < CLAIMS; k++) {
                const uint64_t start = oh_random_next(&seed) % SPACE;
                if (!is_begin[start]) {
                    is_begin[start] = true;
                    begins[count++] = start;
                }
            }
            uint64_t taken = 0;
            for (uint64_t start = 0; start < SPACE; start++) {
                for (int k = 0; k < count; k++) {
                    if (begins[k] != start) {
                        continue;
                    }
                    uint64_t end = start + 1 + oh_random_next(&seed) % 60;
                    end = end < SPACE ? end : SPACE;
                    const enum oh_memory_part part = (enum oh_memory_part)(k % 5);
                    claim(start, end, part);
                    for (uint64_t i = start > taken ? start : taken; i < end; i++) {
                        next[i] = truth[i] == OH_PART_UNCLAIMED ? part : truth[i];
                    }
                    taken = end > taken ? end : taken;
                }
            }
            merge();
            memcpy(truth, next, sizeof truth);
        }
        const uint64_t start = oh_random_next(&seed) % SPACE;
        check_against(truth, start, start + oh_random_next(&seed) % (SPACE - start + 1));
        (void)teardown(NULL);
        (void)setup(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_later_authority_gets_what_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_claim_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_claims_against_single_bytes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
