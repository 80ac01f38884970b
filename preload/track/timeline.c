// SPDX-License-Identifier: Apache-2.0
#include "track/timeline.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/floating_x86_64.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "offheap/block.h"
#include "offheap/hash.h"
#include "offheap/paint.h"
#include "offheap/weight.h"
#include "recording/recording.h"
#include "tables/levels.h"
#include "tables/maps.h"
#include "tables/stacks.h"
#include "tables/steps.h"

enum {
    PAGE = 4096,
    LOOKS = 8192, // Entries that one visit looks at,
    MOST_TIMES = 8,
    LOOKS_A_BLOCK = 4,   // and what it counts for when there is something to do.
    LOOKS_A_SAMPLE = 24, // Its weight has to be worked out.
    LOOKS_A_STACK = 16,
    PAGES_AT_ONCE = 64, // Asked for together.
    RANGES_MOST = 8192,
    MAPS_TRIES = 4,
    SUM_BITS = 48,   // Of the word of a sum; above them the number of its round.
    LOOK_STEPS = 64, // How often the control group's file is looked for.
};

static const uint64_t ns_per_s = UINT64_C(1000000000);
static const uint64_t visit_gap_ns = UINT64_C(10000000);
static const uint64_t visit_most_ns = UINT64_C(100000);
static const uint64_t never = UINT64_MAX;

// Read by every recorded allocation; written when a visit begins and ends.
static struct {
    uint64_t next_ns; // No visit before this; `never` while there is one, and before the start.
} OH_OWN_LINES due = {UINT64_MAX};

enum phase { PHASE_BEGIN, PHASE_BLOCKS, PHASE_STACKS, PHASE_END };

// A table of the recording that is gone through, page by page.
struct walk {
    enum oh_format_section_id id;
    uint32_t level;
    uint64_t offset;                // In the section.
    uint8_t written[PAGES_AT_ONCE]; // Of the pages from asked_from on.
    uint64_t asked_from, asked_to;
};

// The sums of the stacks of one level of STACKS: a word for each place where a record can begin.
struct sums {
    uint32_t first, count; // References.
    uint64_t *words;
};

struct head {
    char magic[8];
    uint64_t bytes;
};

// Of who visits.
static struct {
    struct oh_timeline_ops ops;
    uint64_t means[OH_FORMAT_MEANS];
    uint32_t weight_shift;
    bool sampled;
    bool with_steps;
    void (*each_second)(uint32_t stack); // NULL: nothing to do.
    uint64_t each_second_ns;             // Not before this.
    struct oh_usage_source usage;
    uint8_t *ever_written; // A byte for each page of the recording.
    struct sums sums[OH_FORMAT_MAX_LEVELS];
    uint32_t sums_count;

    enum phase phase;
    uint64_t visited_ns; // The last visit.
    uint64_t next_ns;    // No part of a step before this.
    uint64_t steps;
    uint64_t round;      // Of the sums; a sum of another round is 0.
    uint64_t maps_round; // The same of the sums of ranges.
    bool has_maps;
    bool failed; // No memory for the sums.
    struct walk walk;
    struct oh_format_step step;
} work;

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void ask_system(struct oh_usage_source *source, bool look, struct oh_usage *usage)
{
    oh_usage_read(source, look, usage);
}

// Memory of our own, behind a head that tells readers of /proc/PID/mem whose it is (tools/memory):
// the magic of recordings and the bytes of the map.
static void *map_private(uint64_t bytes)
{
    uint64_t mapped = (sizeof(struct head) + bytes + PAGE - 1) / PAGE * PAGE;
    long at = oh_sys_mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (oh_sys_failed(at))
        return NULL;
    struct head *head = (struct head *)at;
    memcpy(head->magic, OH_FORMAT_MAGIC, sizeof head->magic);
    head->bytes = mapped;
    return head + 1;
}

// libc's, not a raw system call: it reads the clock from the vDSO without entering the kernel.
static uint64_t system_clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * ns_per_s + (uint64_t)ts.tv_nsec;
}

static void start_steps(void)
{
    oh_usage_init(&work.usage, "");
    oh_steps_init();
    for (uint32_t level = 0; level < OH_FORMAT_MAX_LEVELS; level++) {
        const struct oh_format_section *section = oh_recording_section(OH_SECTION_STACKS, level);
        if (section == NULL)
            break;
        work.sums[work.sums_count++] =
            (struct sums){(uint32_t)(section->offset / OH_FORMAT_STACK_ALIGN),
                          (uint32_t)(section->bytes / OH_FORMAT_STACK_ALIGN), NULL};
    }
}

void oh_timeline_start(const struct oh_format_header *header, bool with_steps,
                       const struct oh_timeline_ops *ops)
{
    static const struct oh_timeline_ops system = {ask_system, system_clock_ns};
    void (*each_second)(uint32_t stack) = work.each_second;
    memset(&work, 0, sizeof work);
    work.each_second = each_second;
    work.each_second_ns = ns_per_s;
    work.ops = ops != NULL ? *ops : system;
    work.weight_shift = header->weight_shift;
    work.sampled = header->mode == OH_MODE_SAMPLED;
    memcpy(work.means, header->means, sizeof work.means);
    work.with_steps = with_steps;
    if (with_steps)
        start_steps();
    oh_store_release(&due.next_ns, ns_per_s);
}

void oh_timeline_each_second(void (*call)(uint32_t stack))
{
    work.each_second = call;
}

bool oh_timeline_due(uint64_t now_ns)
{
    return now_ns >= oh_load_relaxed(&due.next_ns);
}

// --- Sums by stack

// The word of a stack's sum; NULL when there is no memory for it (or no such stack).
static uint64_t *sum_of(uint32_t reference)
{
    for (uint32_t i = 0; i < work.sums_count; i++) {
        struct sums *sums = &work.sums[i];
        uint32_t number = reference - sums->first;
        if (number >= sums->count)
            continue;
        if (oh_unlikely(sums->words == NULL))
            sums->words = map_private((uint64_t)sums->count * sizeof *sums->words);
        return sums->words != NULL ? &sums->words[number] : NULL;
    }
    return NULL;
}

static uint64_t round_word(uint64_t round)
{
    return round << SUM_BITS;
}

static void add_to(uint32_t reference, uint64_t bytes, uint64_t round)
{
    uint64_t *sum = sum_of(reference);
    if (sum == NULL) {
        work.failed = true;
        return;
    }
    if (*sum >> SUM_BITS != round_word(round) >> SUM_BITS)
        *sum = round_word(round);
    *sum += bytes;
}

// What was added up, which is then forgotten.
static uint64_t take_sum(uint32_t reference, uint64_t round)
{
    uint64_t *sum = sum_of(reference);
    if (sum == NULL) {
        work.failed = true;
        return 0;
    }
    uint64_t word = *sum;
    if (word != 0)
        *sum = 0;
    return word >> SUM_BITS == round_word(round) >> SUM_BITS
               ? word & ((UINT64_C(1) << SUM_BITS) - 1)
               : 0;
}

// --- Going through a table of the recording

static void begin_walk(enum oh_format_section_id id)
{
    work.walk = (struct walk){.id = id};
}

// The kernel's words for pages of this process, of which the highest two bits tell that there is
// something. By the system calls that the start makes as well: mincore() would be one that filters of
// system calls for services do not know.
static bool read_pagemap(uint64_t page, uint64_t count, uint64_t *words)
{
    long fd = oh_sys_open("/proc/self/pagemap", O_RDONLY, 0);
    if (fd < 0)
        return false;
    size_t bytes = count * sizeof *words;
    long got = oh_sys_pread((int)fd, words, bytes, (off_t)(page * sizeof *words));
    (void)oh_sys_close((int)fd);
    return got == (long)bytes;
}

static bool is_all_written(uint64_t first, uint64_t count)
{
    return memchr(&work.ever_written[first], 0, count) == NULL;
}

// Which of the next pages hold something. A page that was once written may have left the memory
// since.
static void ask_written(struct walk *walk, const struct oh_format_section *section)
{
    const uint64_t something = UINT64_C(3) << 62;
    uint64_t words[PAGES_AT_ONCE];
    uint64_t count = (section->bytes - walk->offset) / PAGE;
    count = count < PAGES_AT_ONCE ? count : PAGES_AT_ONCE;
    uint64_t first = (section->offset + walk->offset) / PAGE;
    uint64_t address = (uint64_t)(uintptr_t)oh_recording_at(first * PAGE);
    bool known = !oh_sandbox_is_up() && work.ever_written != NULL &&
                 (is_all_written(first, count) || read_pagemap(address / PAGE, count, words));
    for (uint64_t i = 0; i < count; i++) {
        uint8_t before = known ? work.ever_written[first + i] : 1;
        walk->written[i] = before != 0 || (words[i] & something) != 0;
        if (known)
            work.ever_written[first + i] = walk->written[i];
    }
    walk->asked_from = walk->offset;
    walk->asked_to = walk->offset + count * PAGE;
}

// The next page that holds something, and past it: NULL when there was none among those that were
// asked for together. False at the end of the table.
static bool next_page(struct walk *walk, void **page)
{
    const struct oh_format_section *section = oh_recording_section(walk->id, walk->level);
    *page = NULL;
    if (section == NULL || !oh_recording_ready(section))
        return false;
    if (walk->offset == section->bytes) {
        *walk = (struct walk){.id = walk->id, .level = walk->level + 1};
        return true;
    }
    if (walk->offset >= walk->asked_to)
        ask_written(walk, section);
    while (*page == NULL && walk->offset < walk->asked_to) {
        if (walk->written[(walk->offset - walk->asked_from) / PAGE] != 0)
            *page = oh_recording_at(section->offset + walk->offset);
        walk->offset += PAGE;
    }
    return true;
}

// --- Live blocks

// The bytes that the block stands for.
static uint64_t weigh(const struct oh_block *block)
{
    if (!work.sampled)
        return block->size;
    uint64_t weight = oh_weight_units(block->size, work.means[block->mean], work.weight_shift);
    return oh_weighted_bytes(block->size, weight, work.weight_shift);
}

// How much there was to do.
static uint64_t add_blocks(const struct oh_format_block *blocks)
{
    enum { BLOCKS = PAGE / sizeof *blocks };
    const uint64_t each = work.sampled ? LOOKS_A_SAMPLE : LOOKS_A_BLOCK;
    uint64_t looks = BLOCKS;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        uint64_t place = oh_load_acquire(&blocks[i].place);
        if (place == OH_LIVE_EMPTY || place == OH_LIVE_BUSY)
            continue;
        struct oh_block block = oh_block_unpack(place, oh_load_acquire(&blocks[i].facts));
        if (oh_load_relaxed(&blocks[i].place) != place)
            continue; // It is gone.
        add_to(block.stack, weigh(&block), work.round);
        looks += each;
    }
    return looks;
}

// --- Mapped ranges

static void add_range(void *arg, const struct oh_format_range *range)
{
    (void)arg;
    add_to(oh_range_stack(range), range->end - range->begin, work.maps_round);
}

static void add_ranges(void)
{
    work.has_maps = false;
    if (!oh_maps_ready())
        return;
    for (int i = 0; i < MAPS_TRIES && !work.has_maps; i++) {
        work.maps_round++;
        work.has_maps = oh_maps_each_range(add_range, NULL, RANGES_MOST);
    }
}

// --- Stacks

static void add_stack(uint32_t reference)
{
    struct oh_format_stack *stack = oh_stacks_at(reference);
    bool is_malloc = stack->kind == OH_KIND_MALLOC;
    if (stack->kind >= OH_FORMAT_STEP_KINDS)
        return;
    uint64_t bytes = take_sum(reference, is_malloc ? work.round : work.maps_round);
    work.step.alloc_bytes[stack->kind] += oh_load_relaxed(&stack->alloc_bytes);
    if (!is_malloc && !work.has_maps)
        return;
    work.step.inuse_bytes[stack->kind] += bytes;
    oh_steps_bring_up(stack, (uint32_t)(work.step.time_ns / ns_per_s), bytes);
}

static uint64_t add_stacks(const uint64_t *words)
{
    enum { WORDS = PAGE / sizeof *words };
    uint64_t looks = WORDS;
    for (uint32_t i = 0; i < WORDS && !work.failed; i++) {
        uint64_t word = oh_load_acquire(&words[i]);
        if (word == 0)
            continue;
        add_stack((uint32_t)word);
        looks += LOOKS_A_STACK;
    }
    return looks;
}

// --- Steps

static void begin_step(uint64_t now_ns)
{
    if (work.ever_written == NULL) {
        uint64_t end = OH_FORMAT_HEADER_BYTES;
        const struct oh_format_header *header = oh_recording_header();
        for (uint32_t i = 0; i < header->section_count; i++)
            end = header->sections[i].offset + header->sections[i].bytes;
        work.ever_written = map_private(end / PAGE);
    }
    work.step = (struct oh_format_step){.time_ns = now_ns};
    work.failed = false;
    work.round++;
    add_ranges();
    begin_walk(OH_SECTION_LIVE);
    work.phase = PHASE_BLOCKS;
}

static void end_step(uint64_t now_ns)
{
    struct oh_usage usage = {OH_USAGE_ABSENT, OH_USAGE_ABSENT};
    if (!oh_sandbox_is_up())
        work.ops.usage(&work.usage, work.steps++ % LOOK_STEPS == 0, &usage);
    for (int kind = OH_KIND_MALLOC + 1; kind < OH_KIND_COUNT && !work.has_maps; kind++)
        work.step.inuse_bytes[kind] = OH_FORMAT_STEP_ABSENT;
    work.step.took_ns = now_ns - work.step.time_ns;
    work.step.resident_bytes = usage.resident_bytes;
    work.step.cgroup_bytes = usage.cgroup_bytes;
    if (!work.failed)
        oh_steps_add(&work.step);
    work.phase = PHASE_BEGIN;
}

static bool has_time(uint64_t began_ns)
{
    return work.ops.clock_ns() - began_ns < visit_most_ns;
}

static void go_on(uint64_t looks, uint64_t began_ns)
{
    void *page;
    for (uint64_t done = 0; done < looks && work.phase != PHASE_END && has_time(began_ns);) {
        if (next_page(&work.walk, &page)) {
            if (page != NULL)
                done += work.phase == PHASE_BLOCKS ? add_blocks(page) : add_stacks(page);
        } else if (work.phase == PHASE_BLOCKS) {
            begin_walk(OH_SECTION_INDEX);
            work.phase = PHASE_STACKS;
        } else {
            work.phase = PHASE_END;
        }
    }
}

// Not from the mmap family: there the thread may be inside of its allocator.
static void notice_second(uint64_t now_ns, uint32_t stack)
{
    if (stack == 0 || now_ns < work.each_second_ns)
        return;
    work.each_second_ns = now_ns + ns_per_s;
    work.each_second(stack);
}

// Goes on with a step, or begins one; when it is to be gone on with.
static uint64_t go_on_with_step(uint64_t now_ns)
{
    uint64_t began_ns = work.ops.clock_ns();
    if (!work.with_steps || !oh_steps_ready())
        return now_ns + ns_per_s;
    uint64_t times = (now_ns - work.visited_ns) / visit_gap_ns;
    times = times < 1 ? 1 : times < MOST_TIMES ? times : MOST_TIMES;
    work.visited_ns = now_ns;
    if (work.phase == PHASE_BEGIN)
        begin_step(now_ns);
    bool is_last = work.phase == PHASE_END;
    go_on(times * LOOKS, began_ns);
    if (work.phase != PHASE_END || (!is_last && !has_time(began_ns)))
        return now_ns + visit_gap_ns;
    uint64_t step_ns = work.step.time_ns;
    end_step(now_ns);
    return later(step_ns + ns_per_s, now_ns + visit_gap_ns);
}

// Does what is due; when the next visit is.
static uint64_t visit(uint64_t now_ns, uint32_t stack)
{
    if (work.each_second != NULL)
        notice_second(now_ns, stack);
    if (now_ns >= work.next_ns)
        work.next_ns = go_on_with_step(now_ns);
    uint64_t wanted_ns = later(work.each_second_ns, now_ns + visit_gap_ns);
    return work.each_second != NULL && wanted_ns < work.next_ns ? wanted_ns : work.next_ns;
}

OH_COLD OH_NOINLINE void oh_timeline_visit(uint64_t now_ns, uint32_t stack)
{
    uint64_t next_ns = oh_load_relaxed(&due.next_ns), blocked = 0;
    if (now_ns < next_ns || !oh_cas_acq_rel(&due.next_ns, &next_ns, never))
        return;
    bool blocks = oh_sys_swap_signals(UINT64_MAX, &blocked) == 0;
    uint32_t floating = oh_floating_begin(); // Weights are a matter of doubles.
    next_ns = visit(now_ns, stack);
    oh_floating_end(floating);
    if (blocks)
        (void)oh_sys_swap_signals(blocked, &blocked);
    oh_store_release(&due.next_ns, next_ns);
}
