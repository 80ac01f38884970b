// SPDX-License-Identifier: Apache-2.0
//
// One look at processes that are only files: every byte of the resident size has its part, told by
// names, by what glibc writes into its memory, by the recording and by the place.

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory/look.h"
#include "memory/map_names.h"
#include "memory/residency.h"
#include "process/status.h"
#include "support/cmocka.h"
#include "support/fake_process.h"
#include "support/synthetic.h"

enum {
    PAGE = OH_FAKE_PAGE,
    HEAP = 0x01000000,
    ARENA = 0x10000000, // A multiple of 64 MiB.
    STACK = 0x20000000,
    BLOCKS = 0x30000000,
    LIBRARY = 0x40000000,
};

static struct oh_fake_process process;
static struct oh_synthetic recording;
static struct oh_look look;
static struct oh_err err;

static int setup(void **state)
{
    (void)state;
    oh_fake_make(&process);
    look = (struct oh_look){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    oh_look_fini(&look);
    oh_fake_remove(&process);
    return 0;
}

static int take(struct oh_view *view)
{
    const struct oh_look_request request = {.root = process.root, .pid = OH_FAKE_PID, .view = view};
    return oh_look_take(&request, &look, &err);
}

// The parts are what they should be, and add up.
static void check_part(enum oh_memory_part part, double bytes)
{
    if (look.parts[part] != bytes) {
        fail_msg("%s: %.1f, want %.1f", oh_part_key(part), look.parts[part], bytes);
    }
}

static void check_sum(void)
{
    double sum = 0;
    for (int i = 0; i < OH_PART_COUNT; i++) {
        sum += look.parts[i];
    }
    assert_true(sum == look.resident);
}

// A map all of whose first bytes are resident.
static void map_touched(uint64_t start, uint64_t bytes, uint64_t touched, const char *permissions,
                        unsigned inode, const char *name)
{
    oh_fake_map(&process, start, start + bytes, permissions, inode, name, touched, "");
    oh_fake_touch(&process, start, start + touched);
}

static void test_names_and_files(void **state)
{
    (void)state;
    map_touched(0x400000, 4 * PAGE, 3 * PAGE, "r-xp", 11, "/opt/app");
    map_touched(0x404000, 4 * PAGE, 2 * PAGE, "rw-p", 11, "/opt/app");
    map_touched(0x408000, 8 * PAGE, 5 * PAGE, "rw-p", 0, ""); // Its static data.
    map_touched(HEAP, 64 * PAGE, 40 * PAGE, "rw-p", 0, "[heap]");
    map_touched(LIBRARY, 4 * PAGE, 4 * PAGE, "r--p", 12, "/lib/libc.so.6");
    map_touched(LIBRARY + 4 * PAGE, 4 * PAGE, 4 * PAGE, "r-xp", 12, "/lib/libc.so.6");
    map_touched(LIBRARY + 16 * PAGE, 4 * PAGE, PAGE, "r--p", 13, "/var/data file (deleted)");
    map_touched(LIBRARY + 32 * PAGE, 4 * PAGE, 2 * PAGE, "rw-s", 14, "/memfd:x (deleted)");
    map_touched(LIBRARY + 40 * PAGE, 4 * PAGE, 2 * PAGE, "rw-s", 15, "/tmp/app.1.2.offheap");
    map_touched(LIBRARY + 46 * PAGE, 2 * PAGE, 2 * PAGE, "rw-s", 17, "/SYSV00000000 (deleted)");
    map_touched(LIBRARY + 50 * PAGE, 4 * PAGE, PAGE, "r-xp", 16, "/usr/lib/liboffheap.so");
    map_touched(LIBRARY + 54 * PAGE, 4 * PAGE, 2 * PAGE, "rw-p", 0,
                ""); // The recorder's static data.
    map_touched(LIBRARY + 60 * PAGE, 4 * PAGE, 3 * PAGE, "rw-p", 0, "");
    map_touched(LIBRARY + 80 * PAGE, 4 * PAGE, 2 * PAGE, "rw-p", 0, "[stack]");
    map_touched(LIBRARY + 90 * PAGE, 2 * PAGE, PAGE, "r-xp", 0, "[vdso]");
    map_touched(LIBRARY + 100 * PAGE, 9 * PAGE, 7 * PAGE, "rw-p", 0, "[anon: Go: heap]");
    map_touched(LIBRARY + 120 * PAGE, 9 * PAGE, 2 * PAGE, "rw-p", 0, "[anon: Go: heap]");
    map_touched(LIBRARY + 140 * PAGE, 9 * PAGE, 6 * PAGE, "rw-p", 0, "[anon:glibc: malloc arena]");
    oh_fake_finish(&process, 4 * PAGE);

    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_PROGRAM, 10 * PAGE);
    check_part(OH_PART_HEAP, 46 * PAGE);
    check_part(OH_PART_LIBRARIES, 9 * PAGE);
    check_part(OH_PART_FILES, PAGE);
    check_part(OH_PART_SHM, 4 * PAGE);
    check_part(OH_PART_RECORDER, 5 * PAGE);
    check_part(OH_PART_STACKS, 2 * PAGE);
    check_part(OH_PART_GO, 9 * PAGE);
    check_part(OH_PART_UNCLAIMED, 3 * PAGE);
    check_part(OH_PART_CHANGED, 4 * PAGE);
    check_sum();
    assert_int_equal(look.go_name_count, 1);
    assert_string_equal(look.go_names[0].name, "heap");
    assert_int_equal(look.go_names[0].resident, 9 * PAGE);
    assert_false(look.has_recording);
}

// An arena's heap of a thread: its head, and the rest of its 64 MiB without access.
static void put_arena(uint64_t address, uint64_t writable)
{
    const uint64_t head[4] = {address + 0x30, 0, writable, writable};
    oh_fake_put(&process, address, head, sizeof head);
}

// A block with a map of its own.
static void put_block(uint64_t address, uint64_t bytes)
{
    const uint64_t head[2] = {0, bytes | 2};
    oh_fake_put(&process, address, head, sizeof head);
}

// A thread's description, near the upper end of its stack.
static void put_thread(uint64_t start, uint64_t end, uint64_t guard)
{
    const uint64_t thread = end - 0x900;
    const uint64_t pointers[3] = {thread, 0, thread};
    const uint64_t stack[3] = {start - guard, end - start + guard, guard};
    oh_fake_put(&process, thread, pointers, sizeof pointers);
    oh_fake_put(&process, thread + 0x690, stack, sizeof stack);
}

static void map_glibc(void)
{
    map_touched(ARENA, 100 * PAGE, 30 * PAGE, "rw-p", 0, "");
    oh_fake_map(&process, ARENA + 100 * PAGE, ARENA + (64 << 20), "---p", 0, "", 0, "");
    put_arena(ARENA, 100 * PAGE);
    // A stack above its guard; right above it, in the same map, two blocks and something else.
    oh_fake_map(&process, STACK - PAGE, STACK, "---p", 0, "", 0, "nh");
    oh_fake_map(&process, STACK, STACK + 64 * PAGE, "rw-p", 0, "", 4 * PAGE + 20 * PAGE + 3 * PAGE,
                "nh");
    oh_fake_touch(&process, STACK + 12 * PAGE, STACK + 16 * PAGE);
    put_thread(STACK, STACK + 16 * PAGE, PAGE);
    oh_fake_touch(&process, STACK + 16 * PAGE, STACK + 36 * PAGE);
    put_block(STACK + 16 * PAGE, 10 * PAGE);
    put_block(STACK + 26 * PAGE, 14 * PAGE);
    oh_fake_touch(&process, STACK + 50 * PAGE, STACK + 53 * PAGE);
}

static void test_glibc_by_what_it_writes(void **state)
{
    (void)state;
    map_glibc();
    oh_fake_finish(&process, 0);
    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_HEAP, (30 + 20) * PAGE);
    check_part(OH_PART_STACKS, 4 * PAGE);
    check_part(OH_PART_UNCLAIMED, 3 * PAGE);
    check_sum();
    assert_true(look.has_memory);
}

// The library marks what it maps for itself; only a recorded process has any.
static void test_the_recorder_s_own_maps(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    const uint64_t bytes = 8 * PAGE;
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(BLOCKS, 40 * PAGE, 20 * PAGE, "rw-p", 0, "");
    oh_fake_put(&process, BLOCKS + 4 * PAGE, OH_FORMAT_MAGIC, 8);
    oh_fake_put(&process, BLOCKS + 4 * PAGE + 8, &bytes, sizeof bytes);
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    check_part(OH_PART_RECORDER, 8 * PAGE);
    check_part(OH_PART_UNCLAIMED, 12 * PAGE);
    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_RECORDER, 0);
}

// What looks like glibc's is not believed when its numbers do not fit.
static void test_what_does_not_fit_is_not_glibc(void **state)
{
    (void)state;
    map_touched(ARENA, 100 * PAGE, 30 * PAGE, "rw-p", 0, "");
    put_arena(ARENA, 100 * PAGE + 8);
    put_block(ARENA + 2 * PAGE, 200 * PAGE); // Larger than the map.
    put_block(ARENA + 3 * PAGE, 0);
    const uint64_t only_once[3] = {ARENA + 4 * PAGE, 0, 0};
    oh_fake_put(&process, ARENA + 4 * PAGE, only_once, sizeof only_once);
    oh_fake_finish(&process, 0);
    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_UNCLAIMED, 30 * PAGE);
}

// Without the right to read its memory: a stack by its guard and flag, the rest is nobody's.
static void test_without_memory_by_the_place(void **state)
{
    (void)state;
    map_glibc();
    oh_fake_finish(&process, 0);
    oh_fake_hide(&process, "mem");
    assert_int_equal(take(NULL), 0);
    assert_false(look.has_memory);
    check_part(OH_PART_STACKS, 27 * PAGE);
    check_part(OH_PART_HEAP, 30 * PAGE);
    check_sum();
}

// The same flag is set by who asks for no huge pages, and nobody else has a guard below.
static void test_without_memory_a_stack_has_its_guard(void **state)
{
    (void)state;
    oh_fake_map(&process, STACK, STACK + 64 * PAGE, "rw-p", 0, "", 4 * PAGE, "nh");
    oh_fake_finish(&process, 0);
    oh_fake_hide(&process, "mem");
    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_STACKS, 0);
    check_part(OH_PART_UNCLAIMED, 4 * PAGE);
}

// Where a library lay that was unloaded there may be anything now.
static void test_a_library_that_is_gone_claims_nothing(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    oh_synthetic_module(&recording, "/lib/gone.so", LIBRARY, LIBRARY + 30 * PAGE)->last_epoch = 1;
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(LIBRARY, 10 * PAGE, 5 * PAGE, "rw-p", 0, "");
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    check_part(OH_PART_LIBRARIES, 0);
    check_part(OH_PART_UNCLAIMED, 5 * PAGE);
}

// Without the page map a map of several owners is shared by size.
static void test_without_page_map_by_the_size(void **state)
{
    (void)state;
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    (void)oh_synthetic_module(&recording, "/opt/app", LIBRARY, LIBRARY + 30 * PAGE);
    struct oh_view view;
    struct oh_view_fault fault;
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(LIBRARY, 40 * PAGE, 20 * PAGE, "rw-p", 0, "");
    oh_fake_finish(&process, 0);
    oh_fake_hide(&process, "pagemap");
    assert_int_equal(take(&view), 0);
    assert_false(look.has_pages);
    check_part(OH_PART_LIBRARIES, 15 * PAGE);
    check_part(OH_PART_UNCLAIMED, 5 * PAGE);
}

// madvise cuts a block's map in two; and a block ends where the next map is not memory.
static void test_a_block_goes_on_in_the_next_map(void **state)
{
    (void)state;
    map_touched(BLOCKS, 4 * PAGE, PAGE, "rw-p", 0, "");
    map_touched(BLOCKS + 4 * PAGE, 60 * PAGE, 10 * PAGE, "rw-p", 0, "");
    put_block(BLOCKS, 64 * PAGE);
    map_touched(BLOCKS + 80 * PAGE, 4 * PAGE, 2 * PAGE, "rw-p", 0, "");
    oh_fake_map(&process, BLOCKS + 84 * PAGE, BLOCKS + 90 * PAGE, "---p", 0, "", 0, "");
    put_block(BLOCKS + 80 * PAGE, 10 * PAGE);
    oh_fake_finish(&process, 0);
    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_HEAP, 11 * PAGE);
    check_part(OH_PART_UNCLAIMED, 2 * PAGE);
}

// The kernel's page of zeros is in pagemap and not in smaps: smaps is right.
static void test_pages_of_zeros_are_scaled_away(void **state)
{
    (void)state;
    oh_fake_map(&process, BLOCKS, BLOCKS + 40 * PAGE, "rw-p", 0, "", 10 * PAGE, "");
    oh_fake_touch(&process, BLOCKS, BLOCKS + 40 * PAGE);
    put_block(BLOCKS, 20 * PAGE);
    oh_fake_finish(&process, 0);
    assert_int_equal(take(NULL), 0);
    check_part(OH_PART_HEAP, 5 * PAGE);
    check_part(OH_PART_UNCLAIMED, 5 * PAGE);
}

static uint32_t add_stack(void)
{
    const uint64_t pcs[] = {0x401000};
    const struct oh_format_stack like = {.kind = OH_KIND_MALLOC, .phase = OH_PHASE_MAIN};
    struct oh_format_stack *const stack = oh_synthetic_stack(&recording, &like, pcs, 1, 0);
    stack->alloc_objects = 1000;
    stack->alloc_bytes = 1000000;
    return oh_synthetic_ref(&recording, stack);
}

static void add_block(uint32_t stack, uint64_t address, uint64_t size, uint32_t mean)
{
    const struct oh_block block = {
        .address = address, .size = size, .stack = stack, .time_s = 1, .mean = mean};
    (void)oh_synthetic_block(&recording, &block);
}

static void test_live_blocks_are_what_of_them_is_resident(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    const uint32_t stack = add_stack();
    add_block(stack, HEAP + 16, 100, 0);             // Resident, 8 of header and 4 of rounding.
    add_block(stack, HEAP + 4 * PAGE + 16, 5000, 0); // Its second page is not.
    add_block(stack, HEAP + 20 * PAGE + 16, 64, 0);  // Swapped out.
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    oh_fake_map(&process, HEAP, HEAP + 64 * PAGE, "rw-p", 0, "[heap]", 5 * PAGE, "");
    oh_fake_touch(&process, HEAP, HEAP + 5 * PAGE);
    oh_fake_swap(&process, HEAP + 20 * PAGE, HEAP + 21 * PAGE);
    oh_fake_finish(&process, 0);

    assert_int_equal(take(&view), 0);
    assert_true(look.is_exact);
    check_part(OH_PART_C_LIVE, 100 + (PAGE - 16));
    check_part(OH_PART_OVERHEAD, 12 + 8);
    check_part(OH_PART_RETAINED, 5 * PAGE - 100 - (PAGE - 16) - 20);
    check_part(OH_PART_HEAP, 0);
    check_sum();
    assert_true(fabs(look.live.allocated - 5164) < 0.5);
    assert_true(fabs(look.live.swapped - 64) < 0.5);
    assert_true(fabs(look.live.objects - 3) < 0.01);
    assert_true(fabs(look.free_pages - 3 * PAGE) < 0.5); // All but the pages of the two blocks.
    assert_true(oh_look_error(&look) == 0);
}

// A block that was read and never written holds pages of zeros; a damaged one may end anywhere.
static void test_live_blocks_of_zeros_are_not_resident(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    struct oh_residency_source source;
    double residency[OH_RESIDENCY_COUNT] = {0};
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    add_block(add_stack(), BLOCKS + 16, 20 * PAGE - 16, 0);
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    oh_fake_map(&process, BLOCKS, BLOCKS + 40 * PAGE, "rw-p", 0, "[heap]", 10 * PAGE, "");
    oh_fake_touch(&process, BLOCKS, BLOCKS + 40 * PAGE);
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    check_part(OH_PART_C_LIVE, 5 * PAGE - 4);
    check_part(OH_PART_RETAINED, 5 * PAGE);
    check_sum();

    assert_int_equal(oh_residency_open(process.root, OH_FAKE_PID, &source, &err), 0);
    oh_residency_measure(&source, PAGE, UINT64_C(1) << 62, (double)(UINT64_C(1) << 62), residency);
    assert_true(residency[OH_RESIDENCY_RESIDENT] == 40.0 * PAGE);
    oh_residency_close(&source);
}

// The error of no samples is not 0: a block of the mean between two may be there.
static void test_no_sample_is_no_proof(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    oh_synthetic_begin(&recording, OH_MODE_SAMPLED);
    oh_synthetic_header(&recording)->sample_bytes = 1 << 19;
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(HEAP, 64 * PAGE, 5 * PAGE, "rw-p", 0, "[heap]");
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    check_part(OH_PART_RETAINED, 5 * PAGE);
    assert_true(oh_look_error(&look) == 1 << 19);
    assert_true(oh_look_retained_error(&look) == 1 << 20);
}

// An estimate larger than the areas is cut to them, and nothing is retained.
static void test_an_estimate_is_no_larger_than_its_areas(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    oh_synthetic_begin(&recording, OH_MODE_SAMPLED);
    oh_synthetic_header(&recording)->means[OH_SYNTHETIC_MEAN] = 1 << 20;
    add_block(add_stack(), HEAP + 16, 1000, OH_SYNTHETIC_MEAN);
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(HEAP, 64 * PAGE, 5 * PAGE, "rw-p", 0, "[heap]");
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    assert_true(look.live.resident > 1e6);
    assert_true(oh_look_error(&look) > 9e5);
    check_part(OH_PART_C_LIVE, 5 * PAGE);
    check_part(OH_PART_RETAINED, 0);
    check_sum();
    assert_true(look.free_pages < 0);
}

// Another allocator's maps are known by a block in them.
static void test_maps_of_another_allocator_hold_a_block(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    add_block(add_stack(), BLOCKS + 5 * PAGE, 100, 0);
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(BLOCKS, 40 * PAGE, 10 * PAGE, "rw-p", 0, "");
    map_touched(BLOCKS + 50 * PAGE, 40 * PAGE, 6 * PAGE, "rw-p", 0, "");
    map_touched(LIBRARY, 4 * PAGE, PAGE, "r-xp", 12, "/usr/lib/libjemalloc.so.2");
    map_touched(LIBRARY + 8 * PAGE, 4 * PAGE, PAGE, "r-xp", 13, "/usr/lib/libc.so.6");
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    assert_int_equal(look.allocator, OH_ALLOCATOR_JEMALLOC);
    check_part(OH_PART_C_LIVE, 100);
    check_part(OH_PART_OVERHEAD, 12); // The class of 112 bytes.
    assert_true(fabs(look.heap - 16 * PAGE) < 0.5);
}

// A jemalloc inside of the program has no library's name; the recording knows of it.
static void test_jemalloc_as_the_recording_knows_it(void **state)
{
    (void)state;
    struct oh_view view;
    struct oh_view_fault fault;
    oh_synthetic_begin(&recording, OH_MODE_EXACT);
    oh_synthetic_header(&recording)->flags |= OH_FLAG_JEMALLOC;
    oh_synthetic_header(&recording)->jemalloc.retained = 12345;
    oh_synthetic_header(&recording)->jemalloc.time_ns = 1;
    add_block(add_stack(), HEAP + 16, 100, 0);
    assert_int_equal(oh_view_open(&view, recording.bytes, recording.size, &fault), 0);
    map_touched(HEAP, 64 * PAGE, 5 * PAGE, "rw-p", 0, "[heap]");
    oh_fake_finish(&process, 0);
    assert_int_equal(take(&view), 0);
    assert_int_equal(look.allocator, OH_ALLOCATOR_JEMALLOC);
    assert_int_equal(look.jemalloc.retained, 12345);
    assert_true(look.jemalloc_age_s > 0);
    check_part(OH_PART_OVERHEAD, 12);
}

static void test_footprints(void **state)
{
    (void)state;
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_GLIBC, 0x1010, 0), 32);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_GLIBC, 0x1010, 24), 32);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_GLIBC, 0x1010, 25), 48);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_GLIBC, 0x1010, 200000), 200704);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_GLIBC, 0x1020, 200000), 200016);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_JEMALLOC, 0, 1), 8);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_JEMALLOC, 0, 9), 16);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_JEMALLOC, 0, 128), 128);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_JEMALLOC, 0, 129), 160);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_JEMALLOC, 0, 257), 320);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_JEMALLOC, 0, 14337), 16384);
    assert_int_equal(oh_live_footprint(OH_ALLOCATOR_OTHER, 0, 77), 77);
}

static void test_what_cannot_be_looked_at_is_told(void **state)
{
    (void)state;
    assert_int_equal(take(NULL), -ESRCH);
    assert_string_equal(err.text, "process 77 has ended");
    oh_fake_write(&process, "smaps", "");
    oh_fake_write(&process, "stat", "77 (a) b) S 0 0 0 0 -1 2129984 0");
    assert_int_equal(take(NULL), -ENODATA);
    assert_non_null(strstr(err.text, "no memory of its own"));
    // One that is ending, and a zombie.
    oh_fake_write(&process, "stat", "77 (a) b) R 1 77 77 0 -1 4194564 0");
    assert_int_equal(take(NULL), -ESRCH);
    oh_fake_write(&process, "stat", "77 (a) b) Z 1 77 77 0 -1 4194564 0");
    assert_int_equal(take(NULL), -ESRCH);
    // It ends between its two files.
    map_touched(HEAP, 64 * PAGE, 5 * PAGE, "rw-p", 0, "[heap]");
    oh_fake_finish(&process, 0);
    oh_fake_hide(&process, "smaps_rollup");
    assert_int_equal(take(NULL), 0); // An old kernel looks the same.
    check_part(OH_PART_HEAP, 5 * PAGE);
}

static void test_status_is_for_anybody(void **state)
{
    (void)state;
    struct oh_status status;
    oh_fake_write(&process, "status", "Name:\ta b\nVmRSS:\t     500 kB\nRssFile:\t 20 kB\n");
    assert_int_equal(oh_status_read(process.root, OH_FAKE_PID, &status), 0);
    assert_string_equal(status.name, "a b");
    assert_true(status.has_sizes);
    assert_int_equal(status.resident, 500 << 10);
    assert_int_equal(status.file, 20 << 10);
    assert_false(status.has_score);
    oh_fake_write(&process, "oom_score", "666\n");
    oh_fake_write(&process, "oom_score_adj", "-17\n");
    assert_int_equal(oh_status_read(process.root, OH_FAKE_PID, &status), 0);
    assert_true(status.has_score);
    assert_int_equal(status.score, 666);
    assert_int_equal(status.adjustment, -17);
    assert_int_equal(oh_status_read(process.root, OH_FAKE_PID + 1, &status), -ESRCH);
}

static enum oh_memory_part claim_of(const struct oh_claim_facts *facts, uint64_t address)
{
    struct oh_cover cover;
    assert_int_equal(oh_claim_all(facts, &cover), 0);
    const enum oh_memory_part part = oh_cover_part(&cover, address);
    oh_cover_fini(&cover);
    return part;
}

// Go's heap lies where nothing else does; its tables beside address space that it reserved.
static void test_go_by_its_place(void **state)
{
    (void)state;
    const uint64_t go_heap = UINT64_C(0xc000000000);
    const uint64_t library = UINT64_C(0x7f0000000000);
    struct oh_smap maps[] = {
        {.start = go_heap, .end = go_heap + 4 * PAGE, .permissions = 3, .name = ""},
        {.start = library, .end = library + (8 << 20), .permissions = 0, .name = ""},
        {.start = library + (8 << 20), .end = library + (9 << 20), .permissions = 3, .name = ""},
        {.start = library + (32 << 20), .end = library + (33 << 20), .permissions = 3, .name = ""},
        // A guard is no address space that is held for later.
        {.start = library + (33 << 20),
         .end = library + (33 << 20) + PAGE,
         .permissions = 0,
         .name = ""},
    };
    const struct oh_smaps smaps = {.maps = maps, .count = 5};
    struct oh_pages pages;
    assert_int_equal(oh_pages_open(process.root, 1, &smaps, &pages), 0);
    struct oh_claim_facts facts = {
        .smaps = &smaps, .pages = &pages, .is_go = true, .has_libc = true};
    assert_int_equal(claim_of(&facts, go_heap), OH_PART_GO);
    assert_int_equal(claim_of(&facts, maps[2].start), OH_PART_GO);
    assert_int_equal(claim_of(&facts, maps[3].start), OH_PART_UNCLAIMED);
    facts.has_libc = false;
    assert_int_equal(claim_of(&facts, maps[3].start), OH_PART_GO);
    facts.is_go = false;
    assert_int_equal(claim_of(&facts, go_heap), OH_PART_UNCLAIMED);
    // What the recording knows comes before the place.
    const struct oh_mapped_range mapped[] = {{go_heap, go_heap + PAGE, OH_PART_MMAP}};
    facts = (struct oh_claim_facts){.smaps = &smaps,
                                    .pages = &pages,
                                    .is_go = true,
                                    .has_libc = true,
                                    .mapped = mapped,
                                    .mapped_count = 1,
                                    .has_mapped = true};
    assert_int_equal(claim_of(&facts, go_heap), OH_PART_MMAP);
    assert_int_equal(claim_of(&facts, go_heap + PAGE), OH_PART_GO);
    assert_int_equal(claim_of(&facts, maps[2].start), OH_PART_UNCLAIMED);
    oh_pages_close(&pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_and_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_glibc_by_what_it_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_recorder_s_own_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_does_not_fit_is_not_glibc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory_by_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory_a_stack_has_its_guard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_library_that_is_gone_claims_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_without_page_map_by_the_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_of_zeros_are_scaled_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_blocks_are_what_of_them_is_resident, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_live_blocks_of_zeros_are_not_resident, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_status_is_for_anybody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_block_goes_on_in_the_next_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_sample_is_no_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_estimate_is_no_larger_than_its_areas, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_maps_of_another_allocator_hold_a_block, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_looked_at_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_go_by_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jemalloc_as_the_recording_knows_it, setup, teardown),
        cmocka_unit_test(test_footprints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
