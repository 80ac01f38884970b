// SPDX-License-Identifier: Apache-2.0
//
// Reading profiles: what our encoder writes comes back, what others write is understood, what is
// damaged is told.

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/decode.h"
#include "profile/gunzip.h"
#include "profile/pprof.h"
#include "profile/wire.h"
#include "support/cmocka.h"
#include "support/random.h"

enum { ARENA_BYTES = 64 << 20, BUFFER_BYTES = 64 << 10 };

struct buffer {
    uint8_t bytes[BUFFER_BYTES];
    size_t used;
};

static struct oh_arena arena;
static struct oh_profile original;
static struct oh_profile decoded;
static struct buffer raw;
static struct oh_err err;

static int append(void *arg, const void *data, size_t size)
{
    struct buffer *const to = arg;
    if (size > sizeof to->bytes - to->used) {
        return -ENOSPC;
    }
    memcpy(to->bytes + to->used, data, size);
    to->used += size;
    return 0;
}

static uint32_t text(const char *words)
{
    uint32_t string = 0;
    assert_int_equal(oh_profile_intern_string(&original, words, strlen(words), &string), 0);
    return string;
}

static uint32_t location(uint64_t address, const char *name, const char *inlined)
{
    const struct oh_profile_mapping mapping = {.start = 0x1000,
                                               .limit = 0x9000,
                                               .offset = 0x1000,
                                               .file = text("/opt/app"),
                                               .build_id = text("abcdef")};
    struct oh_profile_location made = {.address = address, .line_count = inlined != NULL ? 2 : 1};
    struct oh_profile_line lines[2] = {{.line = 3}, {.line = 7}};
    const char *const names[2] = {inlined != NULL ? inlined : name, name};
    for (uint32_t i = 0; i < made.line_count; i++) {
        const struct oh_profile_function function = {.name = text(names[i]),
                                                     .system_name = text(names[i]),
                                                     .file = text("/src/app.c"),
                                                     .start_line = 2};
        assert_int_equal(oh_profile_intern_function(&original, &function, &lines[i].function), 0);
    }
    made.lines = lines;
    uint32_t index = 0;
    assert_int_equal(oh_profile_intern_mapping(&original, &mapping, &made.mapping), 0);
    assert_int_equal(oh_profile_intern_location(&original, &made, &index), 0);
    return index;
}

static void add_sample(const uint32_t *locations, uint32_t depth, const char *phase, int64_t scale)
{
    struct oh_profile_sample sample = {
        .locations = locations,
        .depth = depth,
        .labels = {text("unmanaged"), text("malloc"), text(phase), 0},
        .values = {10 * scale, 1000 * scale, 4 * scale, 400 * scale},
    };
    uint32_t index = 0;
    assert_int_equal(oh_profile_add_sample(&original, &sample, &index), 0);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(oh_arena_init(&arena, ARENA_BYTES), 0);
    assert_int_equal(oh_profile_init(&original, &arena), 0);
    original.period = 1;
    original.time_ns = 1234567890;
    original.default_type = text("inuse_space");
    const uint32_t two[2] = {location(0x2000, "leaf", "inner"), location(0x3000, "main", NULL)};
    add_sample(two, 2, "init", 1);
    add_sample(two + 1, 1, "main", 2);
    assert_int_equal(oh_profile_add_comment(&original, "a comment", 9), 0);
    raw.used = 0;
    assert_int_equal(oh_pprof_write_raw(&original, append, &raw), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_arena_fini(&arena);
    return 0;
}

static const char *word(uint32_t string)
{
    return oh_profile_text(&decoded, string);
}

static void check_decoded(void)
{
    assert_int_equal(decoded.sample_count, 2);
    assert_int_equal(decoded.period, 1);
    assert_int_equal(decoded.time_ns, 1234567890);
    assert_string_equal(word(decoded.default_type), "inuse_space");
    assert_int_equal(decoded.comment_count, 1);
    assert_string_equal(word(decoded.comments[0]), "a comment");
    const struct oh_profile_sample *const sample = &decoded.samples[0];
    assert_int_equal(sample->values[OH_VALUE_ALLOC_SPACE], 1000);
    assert_int_equal(sample->values[OH_VALUE_INUSE_OBJECTS], 4);
    assert_string_equal(word(sample->labels[OH_LABEL_PHASE]), "init");
    assert_string_equal(word(sample->labels[OH_LABEL_HEAP]), "unmanaged");
    assert_int_equal(sample->depth, 2);
    const struct oh_profile_location *const leaf = &decoded.locations[sample->locations[0]];
    assert_int_equal(leaf->line_count, 2);
    assert_int_equal(leaf->lines[1].line, 7);
    assert_string_equal(word(decoded.functions[leaf->lines[0].function].name), "inner");
    assert_string_equal(word(decoded.functions[leaf->lines[1].function].name), "leaf");
    assert_int_equal(decoded.functions[leaf->lines[1].function].start_line, 2);
    assert_string_equal(word(decoded.mappings[leaf->mapping].file), "/opt/app");
    assert_string_equal(word(decoded.mappings[leaf->mapping].build_id), "abcdef");
    assert_true(sample->variances[OH_VALUE_INUSE_SPACE] == 0);
}

static void test_decode_what_we_write_comes_back(void **state)
{
    (void)state;
    struct buffer zipped = {.used = 0};
    assert_int_equal(oh_decode_profile("p", raw.bytes, raw.used, &arena, &decoded, &err), 0);
    check_decoded();
    assert_int_equal(oh_pprof_write(&original, append, &zipped), 0);
    assert_int_equal(oh_decode_profile("p", zipped.bytes, zipped.used, &arena, &decoded, &err), 0);
    check_decoded();
}

static void test_decode_sampled_has_variances(void **state)
{
    (void)state;
    original.period = 1000;
    raw.used = 0;
    assert_int_equal(oh_pprof_write_raw(&original, append, &raw), 0);
    assert_int_equal(oh_decode_profile("p", raw.bytes, raw.used, &arena, &decoded, &err), 0);
    // Ten objects of 100 bytes at a mean of 1000: w = 1 / (1 - exp(-0.1)).
    const double weight = 1 / (1 - exp(-0.1));
    const struct oh_profile_sample *const sample = &decoded.samples[0];
    assert_true(fabs(sample->variances[OH_VALUE_ALLOC_OBJECTS] - 10 * (weight - 1)) < 1e-6);
    assert_true(fabs(sample->variances[OH_VALUE_ALLOC_SPACE] - 1e5 * (weight - 1)) < 1e-2);
}

static void test_decode_of_samples_with_their_own_means_has_their_variances(void **state)
{
    (void)state;
    // given: two samples of blocks of 100 bytes, and of very different errors, allocated and in use
    const double objects[2][2] = {{123, 40000}, {0, 7000}};
    original.period = 1 << 20;
    original.has_means = true;
    for (int i = 0; i < 2; i++) {
        double *const variances = original.samples[i].variances;
        variances[OH_VALUE_ALLOC_OBJECTS] = objects[i][0];
        variances[OH_VALUE_ALLOC_SPACE] = objects[i][0] * 1e4;
        variances[OH_VALUE_INUSE_OBJECTS] = objects[i][1];
        variances[OH_VALUE_INUSE_SPACE] = objects[i][1] * 1e4;
    }
    // when
    raw.used = 0;
    assert_int_equal(oh_pprof_write_raw(&original, append, &raw), 0);
    assert_int_equal(oh_decode_profile("p", raw.bytes, raw.used, &arena, &decoded, &err), 0);
    // then: as they were, but that a mean is a whole number of bytes
    assert_true(decoded.has_means);
    assert_int_equal(decoded.period, 1 << 20);
    for (int i = 0; i < 2; i++) {
        for (int v = 0; v < OH_VALUE_COUNT; v++) {
            const double wanted = original.samples[i].variances[v];
            assert_true(fabs(decoded.samples[i].variances[v] - wanted) <= 0.002 * wanted);
        }
    }
}

static void test_object_variance_edges(void **state)
{
    (void)state;
    assert_true(oh_decode_object_variance(0, 0, 1000) == 0);
    assert_true(oh_decode_object_variance(10, 1000, 1) == 0);
    assert_true(oh_decode_object_variance(1, 1e9, 1000) < 1e-6); // Always taken.
    assert_true(isfinite(oh_decode_object_variance(1e6, 1e6, 1e9)));
}

static void refused(const void *bytes, size_t size, const char *words)
{
    err.text[0] = '\0';
    assert_true(oh_decode_profile("the-file", bytes, size, &arena, &decoded, &err) < 0);
    assert_non_null(strstr(err.text, "the-file"));
    if (strstr(err.text, words) == NULL) {
        fail_msg("no \"%s\" in: %s", words, err.text);
    }
}

static void test_decode_other_files_are_told(void **state)
{
    (void)state;
    refused("", 0, "is empty");
    refused("hello, world", 12, "is not a pprof profile");
    refused("\x1f\x8b\x08garbage", 10, "cannot be unpacked");
}

static void test_decode_other_profiles_are_told(void **state)
{
    (void)state;
    // A string table "", "cpu", and one sample type of it.
    static const uint8_t cpu[] = {0x0a, 2, 0x08, 1, 0x32, 0, 0x32, 3, 'c', 'p', 'u'};
    refused(cpu, sizeof cpu, "is not a heap profile: it has no sample type alloc_objects");
}

// Another writer: a location without a line, fields in another order, numbers
// one by one, an unknown label and an unknown field.
static void test_decode_foreign_profile(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "", "alloc_objects", "alloc_space", "inuse_objects", "inuse_space", "/lib/x.so", "bytes"};
    struct buffer b = {.used = 0};
    const uint8_t sample[] = {0x12, 18, 0x08, 9, 0x10, 5, 0x10, 6,  0x10, 7,
                              0x10, 8,  0x1a, 6, 0x08, 6, 0x18, 64, 0x78, 1};
    assert_int_equal(append(&b, sample, sizeof sample), 0);
    const uint8_t place[] = {0x22, 6, 0x08, 9, 0x10, 3, 0x18, 1};
    assert_int_equal(append(&b, place, sizeof place), 0);
    const uint8_t mapping[] = {0x1a, 4, 0x08, 3, 0x28, 5};
    assert_int_equal(append(&b, mapping, sizeof mapping), 0);
    for (uint8_t i = 1; i <= 4; i++) {
        const uint8_t type[] = {0x0a, 2, 0x08, i};
        assert_int_equal(append(&b, type, sizeof type), 0);
    }
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        const uint8_t head[] = {0x32, (uint8_t)strlen(strings[i])};
        assert_int_equal(append(&b, head, sizeof head), 0);
        assert_int_equal(append(&b, strings[i], strlen(strings[i])), 0);
    }
    const int result = oh_decode_profile("p", b.bytes, b.used, &arena, &decoded, &err);
    assert_string_equal(result == 0 ? "" : err.text, "");
    assert_int_equal(decoded.sample_count, 1);
    assert_int_equal(decoded.samples[0].values[OH_VALUE_INUSE_SPACE], 8);
    const struct oh_profile_location *const at =
        &decoded.locations[decoded.samples[0].locations[0]];
    assert_string_equal(word(decoded.functions[at->lines[0].function].name), "[x.so]");
}

// Cut anywhere or with any bit flipped: a profile or words, never a fault of ours.
static void test_decode_damaged_bytes(void **state)
{
    (void)state;
    struct oh_random random = {.state = 7};
    for (size_t size = 0; size < raw.used; size++) {
        struct oh_arena small;
        assert_int_equal(oh_arena_init(&small, ARENA_BYTES), 0);
        (void)oh_decode_profile("p", raw.bytes, size, &small, &decoded, &err);
        oh_arena_fini(&small);
    }
    for (int i = 0; i < 2000; i++) {
        struct oh_arena small;
        struct buffer damaged = raw;
        for (int k = 0; k < 3; k++) {
            damaged.bytes[oh_random_below(&random, raw.used)] ^=
                (uint8_t)(1u << oh_random_below(&random, 8));
        }
        assert_int_equal(oh_arena_init(&small, ARENA_BYTES), 0);
        (void)oh_decode_profile("p", damaged.bytes, damaged.used, &small, &decoded, &err);
        oh_arena_fini(&small);
    }
}

static void test_gunzip_bound_and_cut(void **state)
{
    (void)state;
    struct buffer zipped = {.used = 0};
    uint8_t *out = NULL;
    size_t len = 0;
    assert_int_equal(oh_pprof_write(&original, append, &zipped), 0);
    assert_int_equal(oh_gunzip(zipped.bytes, zipped.used, 1 << 20, &out, &len), 0);
    assert_int_equal(len, raw.used);
    assert_memory_equal(out, raw.bytes, len);
    free(out);
    assert_int_equal(oh_gunzip(zipped.bytes, zipped.used, len - 1, &out, &len), -EFBIG);
    assert_int_equal(oh_gunzip(zipped.bytes, zipped.used / 2, 1 << 20, &out, &len), -EINVAL);
    // Two members one after the other are one text.
    memcpy(zipped.bytes + zipped.used, zipped.bytes, zipped.used);
    assert_int_equal(oh_gunzip(zipped.bytes, 2 * zipped.used, 1 << 20, &out, &len), 0);
    assert_int_equal(len, 2 * raw.used);
    free(out);
}

static void test_wire_bad_bytes_end_the_row(void **state)
{
    (void)state;
    static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 1};
    static const uint8_t too_long[] = {0x0a, 5, 'x'};
    static const uint8_t group[] = {0x0b, 1};
    static const uint8_t field_zero[] = {0x00, 1};
    static const uint8_t fixed[] = {0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x15, 2, 0, 0, 0};
    struct oh_wire_field field;
    struct oh_wire wire = {.at = endless, .end = endless + sizeof endless};
    assert_false(oh_wire_next(&wire, &field));
    assert_true(wire.is_bad);
    wire = (struct oh_wire){.at = too_long, .end = too_long + sizeof too_long};
    assert_false(oh_wire_next(&wire, &field));
    assert_true(wire.is_bad);
    wire = (struct oh_wire){.at = group, .end = group + sizeof group};
    assert_false(oh_wire_next(&wire, &field));
    assert_true(wire.is_bad);
    wire = (struct oh_wire){.at = field_zero, .end = field_zero + sizeof field_zero};
    assert_false(oh_wire_next(&wire, &field));
    assert_true(wire.is_bad);
    wire = (struct oh_wire){.at = fixed, .end = fixed + sizeof fixed};
    assert_true(oh_wire_next(&wire, &field) && field.value == 1);
    assert_true(oh_wire_next(&wire, &field) && field.value == 2);
    assert_false(oh_wire_next(&wire, &field));
    assert_false(wire.is_bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_decode_what_we_write_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decode_sampled_has_variances, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_decode_of_samples_with_their_own_means_has_their_variances, setup, teardown),
        cmocka_unit_test(test_object_variance_edges),
        cmocka_unit_test_setup_teardown(test_decode_other_files_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decode_other_profiles_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decode_foreign_profile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_decode_damaged_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gunzip_bound_and_cut, setup, teardown),
        cmocka_unit_test(test_wire_bad_bytes_end_the_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
