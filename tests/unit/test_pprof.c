// SPDX-License-Identifier: Apache-2.0
//
// The encoder: read back by a small decoder that is written here, and by two that we did not write
// (protoc and go tool pprof), where they are installed.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/pprof.h"
#include "profile/writer.h"
#include "support/synthetic.h"

enum { ARENA_BYTES = 64 << 20, SINK_BYTES = 4 << 20, OUTPUT_BYTES = 256 << 10 };

struct sink {
    uint8_t *bytes;
    size_t size;
    size_t room;
};

struct fixture {
    struct oh_synthetic recording;
    struct oh_arena arena;
    struct oh_view view;
    struct oh_symbols symbols;
    struct oh_profile profile;
    struct sink sink;
    char output[OUTPUT_BYTES];
};

static struct fixture fixture;

static int take(void *arg, const void *data, size_t size)
{
    struct sink *sink = arg;
    if (size > sink->room - sink->size)
        return -ENOSPC;
    memcpy(sink->bytes + sink->size, data, size);
    sink->size += size;
    return 0;
}

static int setup(void **state)
{
    struct oh_view_fault fault;
    (void)state;
    fixture.sink.bytes = test_malloc(SINK_BYTES);
    fixture.sink.room = SINK_BYTES;
    fixture.sink.size = 0;
    assert_int_equal(oh_arena_init(&fixture.arena, ARENA_BYTES), 0);
    oh_synthetic_sample(&fixture.recording, OH_MODE_SAMPLED);
    assert_int_equal(
        oh_view_open(&fixture.view, fixture.recording.bytes, fixture.recording.size, &fault), 0);
    assert_int_equal(oh_symbols_init(&fixture.symbols, &fixture.arena, &fixture.view, NULL, false),
                     0);
    const struct oh_writer_options options = {.time_ns = UINT64_C(1700000000000000000)};
    assert_int_equal(oh_writer_build(&fixture.view, &fixture.symbols, &options, &fixture.arena,
                                     &fixture.profile),
                     0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_symbols_fini(&fixture.symbols);
    oh_arena_fini(&fixture.arena);
    test_free(fixture.sink.bytes);
    return 0;
}

// One field of a message: its number, and its number or bytes.
struct field {
    uint64_t number;
    uint64_t value;
    const uint8_t *bytes;
    size_t size;
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static uint64_t read_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(reader->at < reader->end && shift < 64);
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

static bool next_field(struct reader *reader, struct field *field)
{
    if (reader->at == reader->end)
        return false;
    uint64_t key = read_varint(reader);
    *field = (struct field){.number = key >> 3};
    field->value = read_varint(reader);
    if ((key & 7) == 0)
        return true;
    assert_int_equal(key & 7, 2);
    assert_true(field->value <= (uint64_t)(reader->end - reader->at));
    field->bytes = reader->at;
    field->size = (size_t)field->value;
    reader->at += field->size;
    return true;
}

static struct reader whole(void)
{
    return (struct reader){fixture.sink.bytes, fixture.sink.bytes + fixture.sink.size};
}

static struct reader inside(const struct field *field)
{
    return (struct reader){field->bytes, field->bytes + field->size};
}

// The value of a message's field, 0 when it is not there.
static uint64_t value_of(const struct field *message, uint64_t number)
{
    struct reader reader = inside(message);
    struct field field;
    while (next_field(&reader, &field)) {
        if (field.number == number)
            return field.value;
    }
    return 0;
}

static void get_string(uint64_t index, char *out, size_t size)
{
    struct reader reader = whole();
    struct field field;
    while (next_field(&reader, &field)) {
        if (field.number != OH_PPROF_STRING_TABLE || index-- != 0)
            continue;
        assert_true(field.size < size);
        memcpy(out, field.bytes, field.size);
        out[field.size] = '\0';
        return;
    }
    fail_msg("no such string");
}

static void test_write_raw_has_dense_ids_in_order(void **state)
{
    (void)state;
    uint64_t expected[] = {0, 0, 0}; // Mappings, locations, functions.
    assert_int_equal(oh_pprof_write_raw(&fixture.profile, take, &fixture.sink), 0);
    struct reader reader = whole();
    struct field field;
    while (next_field(&reader, &field)) {
        if (field.number < OH_PPROF_MAPPING || field.number > OH_PPROF_FUNCTION)
            continue;
        uint64_t *last = &expected[field.number - OH_PPROF_MAPPING];
        assert_int_equal(value_of(&field, 1), ++*last);
    }
    // Two mappings; six addresses, of which two are in both stacks, and [truncated].
    assert_int_equal(expected[0], 2);
    assert_int_equal(expected[1], 8);
}

static void test_write_raw_has_go_s_sample_types(void **state)
{
    (void)state;
    const char *const names[] = {"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"};
    char name[64];
    size_t found = 0;
    assert_int_equal(oh_pprof_write_raw(&fixture.profile, take, &fixture.sink), 0);
    get_string(0, name, sizeof name);
    assert_string_equal(name, "");
    struct reader reader = whole();
    struct field field;
    while (next_field(&reader, &field)) {
        if (field.number == OH_PPROF_SAMPLE_TYPE) {
            assert_true(found < 4);
            get_string(value_of(&field, OH_PPROF_VALUE_TYPE), name, sizeof name);
            assert_string_equal(name, names[found++]);
        } else if (field.number == OH_PPROF_DEFAULT_SAMPLE_TYPE) {
            get_string(field.value, name, sizeof name);
            assert_string_equal(name, "inuse_space");
        } else if (field.number == OH_PPROF_PERIOD_TYPE) {
            get_string(value_of(&field, OH_PPROF_VALUE_TYPE), name, sizeof name);
            assert_string_equal(name, "space");
            get_string(value_of(&field, OH_PPROF_VALUE_UNIT), name, sizeof name);
            assert_string_equal(name, "bytes");
        }
    }
    assert_int_equal(found, 4);
}

static void test_write_raw_mappings_are_symbolized(void **state)
{
    (void)state;
    assert_int_equal(oh_pprof_write_raw(&fixture.profile, take, &fixture.sink), 0);
    struct reader reader = whole();
    struct field field;
    char name[64] = "";
    while (next_field(&reader, &field)) {
        if (field.number != OH_PPROF_MAPPING)
            continue;
        if (name[0] == '\0')
            get_string(value_of(&field, OH_PPROF_MAPPING_FILE), name, sizeof name);
        for (uint64_t flag = OH_PPROF_MAPPING_HAS_FUNCTIONS; flag <= OH_PPROF_MAPPING_HAS_INLINES;
             flag++)
            assert_int_equal(value_of(&field, flag), 1);
    }
    assert_string_equal(name, "/opt/app");
}

static void test_write_sink_that_fails_ends_it(void **state)
{
    (void)state;
    fixture.sink.room = 10;
    assert_int_equal(oh_pprof_write(&fixture.profile, take, &fixture.sink), -ENOSPC);
    assert_int_equal(oh_pprof_write_raw(&fixture.profile, take, &fixture.sink), -ENOSPC);
}

// Writes the profile to a file, runs a command with its path in the middle, keeps the output.
static void run_oracle(const char *tool, const char *before, const char *after)
{
    char path[] = "/tmp/offheap-pprof-XXXXXX";
    char command[512];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", tool);
    if (system(command) != 0)
        skip();
    assert_int_equal(oh_pprof_write(&fixture.profile, take, &fixture.sink), 0);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, fixture.sink.bytes, fixture.sink.size), fixture.sink.size);
    close(fd);
    snprintf(command, sizeof command, "%s %s %s 2>&1", before, path, after);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(fixture.output, 1, sizeof fixture.output - 1, pipe);
    fixture.output[got] = '\0';
    int status = pclose(pipe);
    unlink(path);
    if (status != 0)
        fail_msg("%s: status %d: %s", command, status, fixture.output);
}

static void expect_output(const char *part)
{
    if (strstr(fixture.output, part) == NULL)
        fail_msg("no '%s' in: %s", part, fixture.output);
}

static void test_write_protoc_reads_it(void **state)
{
    (void)state;
    run_oracle("protoc", "gzip -dc", "| protoc --decode_raw");
    expect_output("6: \"[libc-part.so]\"");
    expect_output("6: \"unmanaged\"");
}

static void check_go_output(void)
{
    expect_output("PeriodType: space bytes");
    expect_output("Period: 524288");
    expect_output("alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes");
    expect_output("10       1000          3        300: ");
    expect_output("heap:[unmanaged]");
    expect_output("init_package:");
    expect_output("/opt/app  [FN][FL][LN][IN]");
    expect_output("/opt/libc-part.so 0a1b2c3d [FN][FL][LN][IN]");
}

static void test_write_go_tool_pprof_reads_it(void **state)
{
    (void)state;
    run_oracle("go", "go tool pprof -raw", "");
    check_go_output();
}

static void test_write_oldest_go_tool_pprof_reads_it(void **state)
{
    (void)state;
    run_oracle("/usr/lib/go-1.19/bin/go", "/usr/lib/go-1.19/bin/go tool pprof -raw", "");
    check_go_output();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_raw_has_dense_ids_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_raw_has_go_s_sample_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_raw_mappings_are_symbolized, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_sink_that_fails_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_protoc_reads_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_go_tool_pprof_reads_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_oldest_go_tool_pprof_reads_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
