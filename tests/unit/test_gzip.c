// SPDX-License-Identifier: Apache-2.0
//
// The gzip stream: what goes in comes out again, in whatever pieces; errors of the sink and of the
// arena come back.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "profile/gzip.h"
#include "support/random.h"

enum { ARENA_BYTES = 2 << 20, DATA_BYTES = 1 << 20, PACKED_BYTES = 2 << 20, GZIP_BITS = 15 + 16 };

struct fixture {
    struct oh_arena arena;
    uint8_t data[DATA_BYTES];
    uint8_t packed[PACKED_BYTES];
    uint8_t unpacked[DATA_BYTES + 1];
    size_t packed_size;
    size_t room;
    unsigned calls;
};

static struct fixture fixture;

static int take(void *arg, const void *data, size_t size)
{
    struct fixture *to = arg;
    to->calls++;
    if (size > to->room - to->packed_size)
        return -ENOSPC;
    memcpy(to->packed + to->packed_size, data, size);
    to->packed_size += size;
    return 0;
}

static int setup(void **state)
{
    struct oh_random random = {7};
    (void)state;
    fixture.packed_size = 0;
    fixture.room = PACKED_BYTES;
    fixture.calls = 0;
    for (size_t i = 0; i < DATA_BYTES; i++)
        fixture.data[i] = (uint8_t)(i % 3 == 0 ? oh_random_next(&random) : i / 100);
    return oh_arena_init(&fixture.arena, ARENA_BYTES);
}

static int teardown(void **state)
{
    (void)state;
    oh_arena_fini(&fixture.arena);
    return 0;
}

static size_t unpack(void)
{
    z_stream stream = {.next_in = fixture.packed,
                       .avail_in = (unsigned)fixture.packed_size,
                       .next_out = fixture.unpacked,
                       .avail_out = sizeof fixture.unpacked};
    assert_int_equal(inflateInit2(&stream, GZIP_BITS), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    return sizeof fixture.unpacked - stream.avail_out;
}

static void test_gzip_pieces_come_back_whole(void **state)
{
    struct oh_gzip *gzip;
    (void)state;
    assert_int_equal(oh_gzip_open(&gzip, &fixture.arena, take, &fixture), 0);
    for (size_t at = 0, piece = 1; at < DATA_BYTES; at += piece, piece = piece * 3 % 70001) {
        if (piece > DATA_BYTES - at)
            piece = DATA_BYTES - at;
        assert_int_equal(oh_gzip_write(gzip, fixture.data + at, piece), 0);
    }
    assert_int_equal(oh_gzip_close(gzip), 0);
    assert_int_equal(unpack(), DATA_BYTES);
    assert_memory_equal(fixture.unpacked, fixture.data, DATA_BYTES);
}

static void test_gzip_nothing_is_an_empty_stream(void **state)
{
    struct oh_gzip *gzip;
    (void)state;
    assert_int_equal(oh_gzip_open(&gzip, &fixture.arena, take, &fixture), 0);
    assert_int_equal(oh_gzip_write(gzip, fixture.data, 0), 0);
    assert_int_equal(oh_gzip_close(gzip), 0);
    assert_true(fixture.packed_size > 0);
    assert_int_equal(unpack(), 0);
}

static void test_gzip_sink_s_error_comes_back(void **state)
{
    struct oh_gzip *gzip;
    (void)state;
    fixture.room = 1000;
    assert_int_equal(oh_gzip_open(&gzip, &fixture.arena, take, &fixture), 0);
    assert_int_equal(oh_gzip_write(gzip, fixture.data, DATA_BYTES), -ENOSPC);
    assert_int_equal(fixture.calls, 1);
    fixture.room = 0;
    assert_int_equal(oh_gzip_open(&gzip, &fixture.arena, take, &fixture), 0);
    assert_int_equal(oh_gzip_close(gzip), -ENOSPC);
}

static void test_gzip_arena_too_small_says_so(void **state)
{
    struct oh_gzip *gzip;
    (void)state;
    oh_arena_fini(&fixture.arena);
    assert_int_equal(oh_arena_init(&fixture.arena, 128 << 10), 0);
    assert_int_equal(oh_gzip_open(&gzip, &fixture.arena, take, &fixture), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gzip_pieces_come_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gzip_nothing_is_an_empty_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gzip_sink_s_error_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gzip_arena_too_small_says_so, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
