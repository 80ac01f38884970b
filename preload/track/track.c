// SPDX-License-Identifier: Apache-2.0
#include "track/track.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/floating_x86_64.h"
#include "base/sys.h"
#include "base/thread.h"
#include "capture/budget.h"
#include "capture/modules.h"
#include "capture/readable.h"
#include "capture/recall.h"
#include "capture/registers_x86_64.h"
#include "capture/sampler.h"
#include "capture/unwind.h"
#include "offheap/block.h"
#include "offheap/hash.h"
#include "offheap/status.h"
#include "recording/boot.h"
#include "recording/recording.h"
#include "tables/filter.h"
#include "tables/live.h"
#include "tables/stacks.h"
#include "track/shard.h"
#include "track/timeline.h"

enum { USUAL_DEPTH = 128, PAGE_BYTES = 4096 };

static const uint64_t ns_per_s = UINT64_C(1000000000);

static struct {
    uint32_t state; // enum oh_track_state.
    uint32_t max_depth;
    uint32_t weight_shift;
    bool sampled;
    bool budgeted;
    uint8_t (*phase_of)(void);
    // 1 in the process that was started; the kernel gives a forked child a 0. NULL: the kernel
    // cannot (before 4.14), and the pid tells.
    const uint64_t *parent_mark;
    long pid;
} OH_OWN_LINES track;

// Read by `offheap list` out of the process's memory.
OH_EXPORT struct oh_status offheap_status = {OH_STATUS_MAGIC, OH_STATE_STARTING, OH_OFF_none, 0};

enum oh_track_state oh_track_state(void)
{
    return (enum oh_track_state)oh_load32_acquire(&track.state);
}

bool oh_track_claim_start(void)
{
    uint32_t unset = OH_TRACK_UNSET;
    return oh_cas32_acq_rel(&track.state, &unset, OH_TRACK_STARTING);
}

static void make_parent_mark(void)
{
    track.pid = oh_sys_getpid();
    long page =
        oh_sys_mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (oh_sys_failed(page))
        return;
    if (oh_sys_madvise((void *)page, PAGE_BYTES, MADV_WIPEONFORK) < 0) {
        (void)oh_sys_munmap((void *)page, PAGE_BYTES);
        return;
    }
    uint64_t *mark = (uint64_t *)page;
    *mark = 1;
    track.parent_mark = mark;
}

void oh_track_start(const struct oh_format_header *header, uint8_t (*phase_of)(void))
{
    track.max_depth = header->max_depth;
    track.weight_shift = header->weight_shift;
    track.sampled = header->mode == OH_MODE_SAMPLED;
    track.budgeted = header->budget.ppm != 0;
    track.phase_of = phase_of;
    make_parent_mark();
    oh_shard_own(&oh_thread_self);
    offheap_status.state = OH_STATE_RECORDING;
    oh_recording_set_state(OH_STATE_RECORDING, OH_OFF_none);
    oh_store32_release(&track.state, OH_TRACK_ON);
}

void oh_track_stop(enum oh_format_off_reason reason, int error)
{
    struct oh_format_header *header = oh_recording_header();
    if (header != NULL && reason != OH_OFF_fork_child) {
        header->off_errno = (uint64_t)(error < 0 ? -error : error);
        oh_recording_set_state(OH_STATE_OFF, reason);
    }
    offheap_status.off_reason = (uint32_t)reason;
    offheap_status.off_errno = (uint32_t)(error < 0 ? -error : error);
    offheap_status.state = OH_STATE_OFF;
    oh_store32_release(&track.state, OH_TRACK_OFF);
}

bool oh_track_is_child(void)
{
    if (track.parent_mark != NULL)
        return oh_load_relaxed(track.parent_mark) == 0;
    return track.pid != 0 && track.pid != oh_sys_getpid();
}

static bool is_on(void)
{
    if (oh_load32_acquire(&track.state) != OH_TRACK_ON)
        return false;
    if (!oh_track_is_child())
        return true;
    oh_track_stop(OH_OFF_fork_child, 0);
    return false;
}

// Only samples are a matter of doubles; exact mode leaves the host's environment alone.
static inline uint32_t begin_floating(void)
{
    return track.sampled ? oh_floating_begin() : 0;
}

static inline void end_floating(uint32_t floating)
{
    if (track.sampled)
        oh_floating_end(floating);
}

// Exact mode takes everything without being asked (capture/sampler).
static OH_NOINLINE void decide(struct oh_track_call *call, struct oh_thread *thread, uint64_t size)
{
    uint32_t floating = oh_floating_begin();
    call->weight = oh_sampler_decide(thread, size, &call->mean);
    if (call->weight == 0 && track.budgeted)
        oh_budget_visit();
    oh_floating_end(floating);
}

OH_COLD OH_NOINLINE bool oh_track_was_left(uint64_t here)
{
    const struct oh_thread *thread = &oh_thread_self;
    if (thread->busy_at == 0 || here < thread->busy_at ||
        !oh_readable_is_own(thread->busy_at, here))
        return false;
    oh_recall_forget();
    return true;
}

bool oh_track_begin(struct oh_track_call *call, uint64_t size)
{
    struct oh_thread *thread = &oh_thread_self;
    uint64_t here = (uint64_t)(uintptr_t)call;
    if (oh_unlikely(thread->busy != 0) && !oh_track_was_left(here)) {
        thread->nested++;
        if (is_on())
            oh_recording_count(OH_COUNTER_nested_calls);
        return false;
    }
    if (!is_on()) {
        if (oh_load32_relaxed(&track.state) == OH_TRACK_OFF)
            thread->countdown = UINT64_MAX; // This thread need not come here again.
        else
            oh_boot_count_call(); // Another thread is bringing the library up.
        return false;
    }
    thread->busy = 1;
    thread->busy_at = here;
    if (!track.sampled) {
        call->weight = UINT64_C(1) << track.weight_shift;
        call->mean = 0;
        return true;
    }
    decide(call, thread, size);
    if (call->weight == 0)
        thread->busy = 0;
    return call->weight != 0;
}

// The reference of the stack that `key` describes; its epoch is found here.
static uint32_t intern(struct oh_stack_key *key)
{
    key->epoch = oh_modules_settled() ? oh_modules_epoch() : oh_modules_note(key->pcs, key->depth);
    uint32_t stack = oh_stacks_find(key);
    if (stack != 0)
        return stack;
    key->epoch = oh_modules_note(key->pcs, key->depth);
    return oh_stacks_intern(key);
}

// True when the thread's last captures tell the stack: *stack is it, or 0 when the table has no
// room for it. False: it has to be walked.
static bool recall_stack(struct oh_stack_key *key, const struct oh_caller *caller,
                         uint32_t max_depth, uint32_t *stack)
{
    struct oh_recalled recalled;
    struct oh_recall *recall = caller != NULL ? oh_recall_mine() : NULL;
    if (recall == NULL || !oh_unwind_recall(caller, max_depth, recall, &recalled))
        return false;
    struct oh_recall_note *note = recalled.note;
    uint32_t attributes =
        oh_stack_attributes(key->kind, key->phase, OH_STACK_END_CLEAN, key->shard);
    key->depth = recalled.depth;
    key->frames = recalled.frames;
    key->end = OH_STACK_END_CLEAN;
    key->epoch = oh_modules_epoch();
    if (note->stack != 0 && note->epoch == key->epoch && note->attributes == attributes &&
        oh_modules_settled()) {
        *stack = note->stack;
    } else {
        key->pcs = recalled.pcs;
        *stack = intern(key);
        *note = (struct oh_recall_note){key->epoch, *stack, attributes};
    }
    oh_recall_end(recall);
    return true;
}

static uint32_t unwind_and_intern(struct oh_stack_key *key, const struct oh_caller *caller,
                                  uint64_t *pcs, uint32_t max_depth)
{
    uint32_t stack;
    if (recall_stack(key, caller, max_depth, &stack))
        return stack;
    enum oh_unwind_end end = OH_UNWIND_END_BROKEN;
    key->pcs = pcs;
    key->depth = oh_unwind_capture(caller, pcs, max_depth, &end);
    key->frames = oh_hash_frames(pcs, key->depth);
    key->end = (uint8_t)end;
    return intern(key);
}

static uint32_t capture(const struct oh_caller *caller, uint64_t *pcs, uint32_t max_depth)
{
    struct oh_stack_key key = {
        .kind = OH_KIND_MALLOC, .phase = track.phase_of(), .shard = (uint8_t)oh_thread_self.shard};
    uint64_t epoch = oh_modules_epoch();
    uint32_t stack = unwind_and_intern(&key, caller, pcs, max_depth);
    // A library was found in another's place: what was known of the code there, and hence the walk,
    // may have been the other's. What was learnt is forgotten by now; once more settles it.
    if (key.epoch != epoch)
        stack = unwind_and_intern(&key, caller, pcs, max_depth);
    return stack;
}

// Two frames of different size, so that the usual depth leaves 3 KiB of the host's stack alone
// (track.h has the whole cost).
static OH_NOINLINE uint32_t capture_usual(const struct oh_caller *caller)
{
    uint64_t pcs[USUAL_DEPTH];
    return capture(caller, pcs, track.max_depth);
}

static OH_NOINLINE uint32_t capture_deep(const struct oh_caller *caller)
{
    uint64_t pcs[OH_UNWIND_MAX];
    return capture(caller, pcs, track.max_depth);
}

static void add_double(uint64_t *word, double value)
{
    enum { TRIES = 64 };
    uint64_t seen = oh_load_relaxed(word);
    for (int i = 0; i < TRIES; i++) {
        if (oh_cas_relaxed(word, &seen, oh_bits_of_double(oh_double_of_bits(seen) + value)))
            return;
    }
    oh_recording_count(OH_COUNTER_dropped_variance);
}

// SAMPLING.md: an allocation taken with probability 1/w adds w (w - 1) to the variance of the
// objects and n^2 w (w - 1) to that of the bytes.
static void add_variance(struct oh_format_stack *stack, uint64_t size, uint64_t weight)
{
    double w = (double)weight / (double)(UINT64_C(1) << track.weight_shift);
    double n = (double)size;
    add_double(&stack->alloc_objects_variance, w * (w - 1));
    add_double(&stack->alloc_bytes_variance, n * n * w * (w - 1));
}

static void count_alloc(const struct oh_block *block, uint64_t weight)
{
    struct oh_format_stack *stack = oh_stacks_at(block->stack);
    uint64_t size = block->size;
    uint64_t bytes = track.sampled ? oh_weighted_bytes(size, weight, track.weight_shift) : size;
    oh_shard_add(&oh_thread_self, &stack->alloc_objects, weight, &stack->alloc_bytes, bytes,
                 block->time_s);
    if (!track.sampled)
        return;
    (void)oh_add_relaxed(&stack->samples, 1);
    add_variance(stack, size, weight);
}

// An entry of the table for the block, which the filter knows from now on; NULL: there is none.
static struct oh_format_block *claim(uint64_t address)
{
    const void *block = (const void *)(uintptr_t)address;
    bool replaced;
    if (!oh_filter_add(block)) {
        oh_recording_count(OH_COUNTER_dropped_filter_busy);
        return NULL;
    }
    struct oh_format_block *entry = oh_live_claim(address, &replaced);
    if (replaced) {
        oh_filter_remove(block);
        oh_recording_count(OH_COUNTER_unseen_frees);
    }
    if (entry == NULL)
        oh_filter_remove(block);
    return entry;
}

// Counted before it is live: a reader that looks at the live blocks first never finds more of them
// than were allocated.
static void enter(const struct oh_block *block, uint64_t weight)
{
    struct oh_format_block *entry = claim(block->address);
    if (entry == NULL)
        return;
    count_alloc(block, weight);
    oh_live_publish(entry, block);
}

static void record(const struct oh_track_call *call, const struct oh_caller *caller,
                   uint64_t address, uint64_t size)
{
    struct oh_block block = {.address = address, .size = size, .mean = call->mean};
    if (!oh_block_fits(address, size)) {
        oh_recording_count(OH_COUNTER_dropped_odd_blocks);
        return;
    }
    block.stack = track.max_depth <= USUAL_DEPTH ? capture_usual(caller) : capture_deep(caller);
    uint64_t now_ns = oh_recording_now_ns();
    block.time_s = (uint32_t)(now_ns / ns_per_s);
    if (block.stack != 0)
        enter(&block, call->weight);
    if (oh_unlikely(oh_timeline_due(now_ns)))
        oh_timeline_visit(now_ns, block.stack);
}

void oh_track_end(const struct oh_track_call *call, const struct oh_caller *caller,
                  const void *block, uint64_t size)
{
    int saved = errno;
    uint32_t floating = begin_floating();
    uint64_t began = track.budgeted ? oh_budget_begin() : 0;
    if (block != NULL)
        record(call, caller, (uint64_t)(uintptr_t)block, size);
    if (track.budgeted)
        oh_budget_end(began);
    end_floating(floating);
    oh_thread_self.busy = 0;
    errno = saved;
}

// What the real free or realloc is going to look at: the words before the block and behind it,
// where glibc has the sizes of this block and of the next. Without us the processor overlaps these
// cache misses with those of the host's next work; our locked instructions stand between, so they
// are begun before ours. Hints only: they never fault, and where nothing is kept there they are for
// nothing.
static inline void prefetch_before(const void *block)
{
    oh_prefetch((const uint64_t *)block - 1);
}

static inline void prefetch_behind(const void *block, uint64_t size)
{
    uint64_t next = ((size + 7) & ~UINT64_C(15)) + 8;
    oh_prefetch((const uint8_t *)block + next);
}

// Both true when the block was recorded.
static bool take(const void *block, struct oh_track_block *taken)
{
    prefetch_before(block);
    taken->recorded = oh_live_take((uint64_t)(uintptr_t)block, &taken->facts);
    if (!taken->recorded)
        return false;
    prefetch_behind(block, taken->facts.size);
    oh_filter_remove(block);
    return true;
}

static bool drop(const void *block)
{
    uint64_t size;
    prefetch_before(block);
    if (!oh_live_remove((uint64_t)(uintptr_t)block, &size))
        return false;
    prefetch_behind(block, size);
    oh_filter_remove(block);
    return true;
}

// One of the two above, when there is a budget: drop without `taken`.
static OH_COLD OH_NOINLINE void look_timed(const void *block, struct oh_track_block *taken)
{
    int saved = errno;
    uint32_t floating = oh_floating_begin();
    uint64_t began = oh_budget_begin_free(&oh_thread_self);
    bool recorded = taken != NULL ? take(block, taken) : drop(block);
    oh_budget_end_free(began, recorded);
    oh_floating_end(floating);
    errno = saved;
}

void oh_track_take(const void *block, struct oh_track_block *taken)
{
    taken->recorded = false;
    if (block == NULL || !is_on())
        return;
    if (track.budgeted)
        look_timed(block, taken);
    else
        (void)take(block, taken);
}

// It was counted when it was allocated, and is live again with that.
void oh_track_restore(const void *block, const struct oh_track_block *taken)
{
    if (!taken->recorded)
        return;
    struct oh_format_block *entry = claim((uint64_t)(uintptr_t)block);
    if (entry != NULL)
        oh_live_publish(entry, &taken->facts);
}

void oh_track_free(const void *block)
{
    if (block == NULL || !is_on())
        return;
    if (track.budgeted)
        look_timed(block, NULL);
    else
        (void)drop(block);
}
