// SPDX-License-Identifier: Apache-2.0
//
// Copying a recording that grows meanwhile: before the read at one place the test takes the
// writer's part.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "offheap/hash.h"
#include "profile/ranges.h"
#include "profile/view.h"
#include "reader/snapshot.h"
#include "support/cmocka.h"
#include "support/scratch.h"
#include "support/synthetic.h"

enum { LEVEL_BYTES = 8192 };

static char scratch[OH_SCRATCH_BYTES];
static struct oh_synthetic recording;
static struct oh_format_section *new_level; // Of stacks, behind the end of the file.
static uint64_t grow_at;                    // The place whose reading it comes before; 0: none.
static void (*at_place)(int fd);            // What comes there.

ssize_t __real_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t offset);

static const struct oh_format_section *section_of(uint32_t id, uint32_t level)
{
    const struct oh_format_header *const header = oh_synthetic_header(&recording);
    for (uint32_t i = 0; i < header->section_count; i++) {
        if (header->sections[i].id == id && header->sections[i].level == level) {
            return &header->sections[i];
        }
    }
    return NULL;
}

static void put(int fd, const void *bytes, size_t size, uint64_t offset)
{
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
}

// As a writer whose stacks are full: a new level, a stack in it, then the word that refers to it.
static void grow_file(int fd)
{
    const uint64_t pc = 0x4242;
    struct oh_format_stack stack = {.kind = OH_KIND_MALLOC, .depth = 1, .alloc_objects = 1};
    stack.hash = oh_hash_stack(0, oh_stack_attributes(OH_KIND_MALLOC, 0, 0, 0), &pc, 1);
    const uint64_t word = stack.hash >> OH_INDEX_REF_BITS << OH_INDEX_REF_BITS |
                          new_level->offset / OH_FORMAT_STACK_ALIGN;
    const struct oh_format_section *const index = section_of(OH_SECTION_INDEX, 0);
    assert_int_equal(ftruncate(fd, (off_t)(new_level->offset + LEVEL_BYTES)), 0);
    new_level->state = OH_SECTION_READY;
    put(fd, recording.bytes, OH_FORMAT_HEADER_BYTES, 0);
    put(fd, &stack, sizeof stack, new_level->offset);
    put(fd, &pc, sizeof pc, new_level->offset + sizeof stack);
    put(fd, &word, sizeof word, index->offset + index->bytes - sizeof word);
}

ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t offset)
{
    if (grow_at != 0 && (uint64_t)offset == grow_at) {
        grow_at = 0;
        at_place(fd);
    }
    return __real_pread(fd, buf, size, offset);
}

static int count_stack(void *arg, const struct oh_view_stack *stack)
{
    (void)stack;
    ++*(int *)arg;
    return 0;
}

// Copies the recording, which grows before `grow_before` is read.
static void copy_growing(const struct oh_format_section *grow_before, int *stacks,
                         uint64_t *damaged)
{
    char path[OH_SCRATCH_BYTES + 16];
    struct oh_snapshot snapshot;
    struct oh_view view;
    struct oh_view_fault fault;
    struct oh_err err;
    (void)snprintf(path, sizeof path, "%s/r", scratch);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    put(fd, recording.bytes, recording.size, 0);
    grow_at = grow_before->offset;
    at_place = grow_file;
    assert_int_equal(oh_snapshot_take(fd, path, &snapshot, &err), 0);
    assert_int_equal(grow_at, 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(oh_view_open(&view, snapshot.bytes, snapshot.size, &fault), 0);
    *stacks = 0;
    assert_int_equal(oh_view_each_stack(&view, count_stack, stacks), 0);
    *damaged = view.damaged;
    oh_snapshot_fini(&snapshot);
}

static int setup(void **state)
{
    (void)state;
    oh_scratch_make(scratch, NULL);
    oh_synthetic_sample(&recording, OH_MODE_EXACT);
    struct oh_format_header *const header = oh_synthetic_header(&recording);
    new_level = &header->sections[header->section_count - 1];
    assert_int_equal(new_level->state, OH_SECTION_UNRESERVED);
    new_level->id = OH_SECTION_STACKS;
    new_level->bytes = LEVEL_BYTES;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_scratch_remove(scratch);
    return 0;
}

static void test_take_level_opened_before_its_reference_is_copied(void **state)
{
    (void)state;
    int stacks = 0;
    uint64_t damaged = 0;
    copy_growing(section_of(OH_SECTION_INDEX, 0), &stacks, &damaged);
    assert_int_equal(stacks, 4);
    assert_int_equal(damaged, 0);
}

static void test_take_level_opened_after_all_reads_as_empty(void **state)
{
    (void)state;
    int stacks = 0;
    uint64_t damaged = 0;
    copy_growing(section_of(OH_SECTION_STRINGS, 0), &stacks, &damaged);
    assert_int_equal(stacks, 3);
    assert_int_equal(damaged, 0);
}

// --- Maps, whose table is changed for another one while the first is copied

static uint64_t offset_of(const void *place)
{
    return (uint64_t)((const uint8_t *)place - recording.bytes);
}

static uint32_t map_stack;

// A table of one range at this address.
static void fill_table(uint32_t number, uint64_t generation, uint64_t address)
{
    struct oh_format_map_table *const table = oh_synthetic_table(&recording, number);
    *table = (struct oh_format_map_table){.generation = generation, .count = 1};
    *(struct oh_format_range *)(table + 1) =
        (struct oh_format_range){address, address + 0x1000, map_stack, 1};
}

// As a library that folds twice: the table that is being copied is written anew.
static void fold_twice(int fd)
{
    struct oh_format_map_log *const log = oh_synthetic_maps_log(&recording);
    fill_table(1, 1, 0x20000);
    fill_table(0, 2, 0x30000);
    log->current = 2 << OH_MAP_TABLE_BITS;
    put(fd, recording.bytes, recording.size, 0);
}

static void test_take_maps_of_one_table_though_it_is_changed_meanwhile(void **state)
{
    (void)state;
    char path[OH_SCRATCH_BYTES + 16];
    const uint64_t pc = 0x401000;
    const struct oh_format_stack like = {.kind = OH_KIND_MMAP, .phase = OH_PHASE_MAIN};
    struct oh_snapshot snapshot;
    struct oh_view view;
    struct oh_view_fault fault;
    struct oh_view_ranges ranges;
    struct oh_arena arena;
    struct oh_err err;
    oh_synthetic_sample(&recording, OH_MODE_EXACT);
    (void)oh_synthetic_maps(&recording);
    map_stack = oh_synthetic_ref(&recording, oh_synthetic_stack(&recording, &like, &pc, 1, 0));
    fill_table(0, 0, 0x10000);
    (void)snprintf(path, sizeof path, "%s/r", scratch);
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    put(fd, recording.bytes, recording.size, 0);
    // when the tables change after the log was copied
    grow_at = offset_of(oh_synthetic_table(&recording, 0));
    at_place = fold_twice;
    assert_int_equal(oh_snapshot_take(fd, path, &snapshot, &err), 0);
    assert_int_equal(grow_at, 0);
    assert_int_equal(close(fd), 0);
    // then the copy has what the last table has
    assert_int_equal(oh_view_open(&view, snapshot.bytes, snapshot.size, &fault), 0);
    assert_int_equal(oh_arena_init(&arena, 1 << 20), 0);
    assert_int_equal(oh_ranges_read(&view, &arena, &ranges), 0);
    assert_int_equal(ranges.count, 1);
    assert_int_equal(ranges.ranges[0].begin, 0x30000);
    assert_int_equal(view.damaged, 0);
    oh_arena_fini(&arena);
    oh_snapshot_fini(&snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_take_level_opened_before_its_reference_is_copied,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_take_level_opened_after_all_reads_as_empty, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_take_maps_of_one_table_though_it_is_changed_meanwhile,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
