// SPDX-License-Identifier: Apache-2.0
//
// The table of maps under many threads, and killed. Threads hand addresses to each other as the
// system does, at the very moment of the call that gives them back; readers look on; when all are
// at rest the recording holds exactly what is mapped. Killed at any moment, it holds what was there
// after the last call of each thread or the one before.

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "recording/recording.h"
#include "support/child.h"
#include "support/cmocka.h"
#include "support/random.h"
#include "support/scratch.h"
#include "support/tables.h"
#include "support/threads.h"
#include "tables/maps.h"

enum { PAGE = 4096, PAGES_A_SLOT = 8 };

static const uint64_t base = UINT64_C(0x7e0000000000);

static uint32_t begin(const char *dir)
{
    struct oh_config config;
    oh_tables_config(&config, dir, UINT64_C(16) << 20);
    oh_tables_begin(&config);
    return oh_tables_stack(OH_KIND_MMAP, 1);
}

// --- Many threads

enum { THREADS = 6, SLOTS = 200, ROUNDS = 20000, READINGS = 200 };

// A slot of addresses: 0 free, 1 taken, as the system would have it. `pages` is written by whoever
// has it: a bit for each page that is mapped.
struct slot {
    uint64_t taken;
    uint64_t pages;
};

struct pool {
    struct slot slots[SLOTS];
    uint32_t stack;
    bool may_fail; // Some of the calls that unmap.
};

static uint64_t address(uint64_t slot, uint64_t page)
{
    return base + (slot * PAGES_A_SLOT + page) * PAGE;
}

static void map_slot(struct pool *pool, uint64_t n, uint32_t second)
{
    oh_require(oh_maps_set(address(n, 0), address(n, PAGES_A_SLOT), pool->stack, second));
    pool->slots[n].pages = (1 << PAGES_A_SLOT) - 1;
}

// Some of its pages; with all of them gone the slot is free for others before the call has
// returned.
static void unmap_slot(struct pool *pool, uint64_t n, struct oh_random *random)
{
    struct oh_maps_unset unset;
    struct slot *slot = &pool->slots[n];
    uint64_t from = oh_random_below(random, PAGES_A_SLOT);
    uint64_t to = from + 1 + oh_random_below(random, PAGES_A_SLOT - from);
    bool all = oh_random_below(random, 2) == 0;
    bool fails = oh_random_below(random, 8) == 0 && pool->may_fail;
    if (all)
        from = 0, to = PAGES_A_SLOT;
    oh_maps_begin_unset(&unset, address(n, from), address(n, to));
    if (!fails)
        slot->pages &= ~(((UINT64_C(1) << (to - from)) - 1) << from);
    bool gone = slot->pages == 0;
    if (gone)
        oh_store_release(&slot->taken, 0);
    oh_maps_end_unset(&unset, !fails);
    if (!gone)
        oh_store_release(&slot->taken, 0);
}

static void look(void)
{
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    uint64_t reached = 0;
    oh_tables_ranges(&arena, &ranges);
    for (uint64_t i = 0; i < ranges.count; i++) {
        oh_require(ranges.ranges[i].begin >= reached);
        oh_require(ranges.ranges[i].begin < ranges.ranges[i].end);
        oh_require_equal(ranges.ranges[i].kind, OH_KIND_MMAP);
        reached = ranges.ranges[i].end;
    }
    oh_arena_fini(&arena);
}

// Whoever has a slot is told the truth of it, whatever the others do meanwhile.
static void find_in_slot(const struct pool *pool, uint64_t n, struct oh_random *random)
{
    struct oh_format_range piece;
    uint64_t page = oh_random_below(random, PAGES_A_SLOT);
    bool is_mapped = (pool->slots[n].pages >> page & 1) != 0;
    if (!oh_maps_find(address(n, page), &piece))
        return; // Too much has changed meanwhile.
    oh_require_equal(oh_range_stack(&piece), is_mapped ? pool->stack : 0);
    oh_require(piece.begin <= address(n, page) && piece.end > address(n, page));
}

static void map_and_unmap(uint32_t number, void *arg)
{
    struct pool *pool = arg;
    struct oh_random random = {number + 100};
    for (int i = 0; number == 0 && i < READINGS; i++)
        look();
    for (uint32_t i = 0; number != 0 && i < ROUNDS; i++) {
        uint64_t n = oh_random_below(&random, SLOTS), free = 0;
        if (!oh_cas_acq_rel(&pool->slots[n].taken, &free, 1))
            continue;
        find_in_slot(pool, n, &random);
        if (pool->slots[n].pages == 0) {
            map_slot(pool, n, i);
            find_in_slot(pool, n, &random);
            oh_store_release(&pool->slots[n].taken, 0);
        } else {
            unmap_slot(pool, n, &random);
        }
    }
}

static void agree(const struct pool *pool)
{
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    uint64_t found[SLOTS] = {0};
    oh_tables_ranges(&arena, &ranges);
    for (uint64_t i = 0; i < ranges.count; i++) {
        for (uint64_t at = ranges.ranges[i].begin; at < ranges.ranges[i].end; at += PAGE) {
            uint64_t page = (at - base) / PAGE;
            oh_require(page < (uint64_t)SLOTS * PAGES_A_SLOT);
            found[page / PAGES_A_SLOT] |= UINT64_C(1) << page % PAGES_A_SLOT;
        }
    }
    for (int n = 0; n < SLOTS; n++)
        oh_require_equal(found[n], pool->slots[n].pages);
    oh_arena_fini(&arena);
}

static struct pool pool;

static void many_at_once(void *dir)
{
    pool.stack = begin(dir);
    oh_threads_run(THREADS, map_and_unmap, &pool);
    agree(&pool);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_map_calls), 0);
    oh_require_equal(oh_tables_counter(OH_COUNTER_dropped_maps_full), 0);
}

static void test_threads_that_hand_addresses_around_leave_the_truth(void **state)
{
    (void)state;
    oh_scratch_run(many_at_once);
}

// A failure that comes when the log was nearly full cannot be taken back, which is counted. Without
// system calls in between that happens here.
static void some_fail(void *dir)
{
    pool.stack = begin(dir);
    pool.may_fail = true;
    oh_threads_run(2, map_and_unmap, &pool);
    if (oh_tables_counter(OH_COUNTER_dropped_map_calls) == 0)
        agree(&pool);
}

static void test_calls_that_fail_leave_what_was_there(void **state)
{
    (void)state;
    oh_scratch_run(some_fail);
}

// --- Killed

enum { WRITERS = 4, AREA_PAGES = 256, KILLS = 40 };

struct progress {
    _Alignas(64) uint64_t done;
};

struct killed {
    const char *dir;
    struct progress *progress; // One for each writer, in shared memory.
    uint32_t *stack;           // There, too.
    char *path;
};

struct call {
    uint64_t from, to;
    bool maps;
};

// The n-th call of a writer.
static struct call call_at(uint32_t writer, uint64_t n)
{
    struct oh_random random = {oh_hash_mix(n + 1) ^ writer};
    uint64_t from = oh_random_below(&random, AREA_PAGES);
    uint64_t to = from + 1 + oh_random_below(&random, 16);
    return (struct call){from, to < AREA_PAGES ? to : AREA_PAGES, oh_random_below(&random, 2) == 0};
}

static uint64_t area_page(uint32_t writer, uint64_t page)
{
    return base + ((uint64_t)writer * AREA_PAGES + page) * PAGE;
}

static void write_for_ever(uint32_t writer, void *arg)
{
    const struct killed *killed = arg;
    for (uint64_t n = 0;; n++) {
        struct call call = call_at(writer, n);
        struct oh_maps_unset unset;
        uint64_t from = area_page(writer, call.from), to = area_page(writer, call.to);
        if (call.maps) {
            oh_require(oh_maps_set(from, to, *killed->stack, 1));
        } else {
            oh_maps_begin_unset(&unset, from, to);
            oh_maps_end_unset(&unset, true);
        }
        oh_store_release(&killed->progress[writer].done, n + 1);
    }
}

static void be_killed(void *arg)
{
    struct killed *killed = arg;
    *killed->stack = begin(killed->dir);
    (void)strcpy(killed->path, oh_recording_path());
    oh_threads_run(WRITERS, write_for_ever, killed);
}

static void paint(bool *pages, uint32_t writer, uint64_t first, uint64_t end)
{
    for (uint64_t n = first; n < end; n++) {
        struct call call = call_at(writer, n);
        for (uint64_t i = call.from; i < call.to; i++)
            pages[i] = call.maps;
    }
}

static void must_be_the_truth(const struct oh_view_ranges *ranges, uint32_t writer, uint64_t done)
{
    bool found[AREA_PAGES] = {false}, wanted[AREA_PAGES] = {false};
    for (uint64_t i = 0; i < ranges->count; i++) {
        for (uint64_t at = ranges->ranges[i].begin; at < ranges->ranges[i].end; at += PAGE) {
            uint64_t page = (at - area_page(writer, 0)) / PAGE;
            if (at >= area_page(writer, 0) && page < AREA_PAGES)
                found[page] = true;
        }
    }
    paint(wanted, writer, 0, done);
    if (memcmp(found, wanted, sizeof found) == 0)
        return;
    paint(wanted, writer, done, done + 1);
    assert_memory_equal(found, wanted, sizeof found);
}

static void check_what_is_left(const struct killed *killed)
{
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    struct oh_view view;
    size_t size;
    void *bytes = oh_tables_map_file(killed->path, &size);
    struct oh_view_fault fault;
    assert_non_null(bytes);
    assert_int_equal(oh_view_open(&view, bytes, size, &fault), 0);
    assert_int_equal(oh_arena_init(&arena, UINT64_C(64) << 20), 0);
    assert_int_equal(oh_ranges_read(&view, &arena, &ranges), 0);
    assert_int_equal(view.damaged, 0);
    for (uint32_t writer = 0; writer < WRITERS; writer++)
        must_be_the_truth(&ranges, writer, killed->progress[writer].done);
    oh_arena_fini(&arena);
    (void)munmap(bytes, size);
}

static void kill_one(struct killed *killed, struct oh_random *dice)
{
    char dir[OH_SCRATCH_BYTES];
    oh_scratch_make(dir, NULL);
    memset(killed->progress, 0, WRITERS * sizeof *killed->progress);
    killed->dir = dir;
    pid_t pid = oh_child_start(be_killed, killed);
    while (oh_load_acquire(&killed->progress[0].done) == 0)
        (void)usleep(100);
    (void)usleep((useconds_t)oh_random_below(dice, 4000));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(oh_child_wait(pid), 128 + SIGKILL);
    check_what_is_left(killed);
    oh_scratch_remove(dir);
}

static void test_killed_writers_leave_what_was_mapped(void **state)
{
    (void)state;
    struct oh_random dice = {(uint64_t)getpid()};
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    struct killed killed = {.progress = (struct progress *)(void *)shared,
                            .stack = (uint32_t *)(void *)(shared + PAGE),
                            .path = shared + 2 * PAGE};
    for (int i = 0; i < KILLS; i++)
        kill_one(&killed, &dice);
    (void)munmap(shared, 4 * PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_that_hand_addresses_around_leave_the_truth),
        cmocka_unit_test(test_calls_that_fail_leave_what_was_there),
        cmocka_unit_test(test_killed_writers_leave_what_was_mapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
