// SPDX-License-Identifier: Apache-2.0
#include "track/mapping.h"

#include <errno.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/thread.h"
#include "capture/modules.h"
#include "capture/unwind.h"
#include "recording/recording.h"
#include "tables/stacks.h"
#include "track/owner.h"
#include "track/shard.h"
#include "track/timeline.h"
#include "track/track.h"

enum { EARLY_CALLS = 256, USUAL_DEPTH = 128, ATTEMPTS = 2 };

static const uint64_t ns_per_s = UINT64_C(1000000000);

static struct {
    uint8_t (*phase_of)(void);
    uint32_t max_depth;
    uint32_t weight_shift;
    bool sampled;
    uint32_t reserved; // 1: something was reserved at some time.
} OH_OWN_LINES mapping;

enum early_op { EARLY_ADD, EARLY_COMMIT, EARLY_REMOVE };
enum early_state { EARLY_EMPTY, EARLY_READY, EARLY_VOID };

struct early_call {
    uint64_t state; // enum early_state; stored with release when the rest is there.
    uint64_t begin, end;
    uint64_t pc;
    uint32_t op;
    uint32_t kind;
};

static struct {
    uint64_t next; // Calls so far; EARLY_CALLS more when they were entered.
    uint64_t lost;
    struct early_call calls[EARLY_CALLS];
} early;

// --- Before the recorder is up

static bool is_early(void)
{
    enum oh_track_state state = oh_track_state();
    return state == OH_TRACK_UNSET || state == OH_TRACK_STARTING;
}

// Where there is a recording already another thread is bringing the recorder up.
static void count_lost_early(void)
{
    if (oh_recording_header() != NULL)
        oh_recording_count(OH_COUNTER_dropped_early_maps);
    else
        (void)oh_add_relaxed(&early.lost, 1);
}

// The call's number from 1 on, 0 when there is no room.
static uint64_t wait_early(enum early_op op, uint64_t begin, uint64_t end, uint64_t pc,
                           uint8_t kind)
{
    uint64_t number = oh_add_relaxed(&early.next, 1);
    if (number >= EARLY_CALLS) {
        count_lost_early();
        return 0;
    }
    struct early_call *call = &early.calls[number];
    call->begin = begin;
    call->end = end;
    call->pc = pc;
    call->op = op;
    call->kind = kind;
    oh_store_release(&call->state, EARLY_READY);
    return number + 1;
}

// --- Stacks

static uint32_t stack_without_frames(enum oh_stack_kind kind)
{
    const uint64_t none = 0;
    const struct oh_stack_key key = {.kind = (uint8_t)kind,
                                     .phase = mapping.phase_of(),
                                     .shard = (uint8_t)oh_thread_self.shard,
                                     .pcs = &none};
    return oh_stacks_intern(&key);
}

static struct oh_stack_key key_of(const uint64_t *pcs, uint32_t depth, enum oh_unwind_end end,
                                  enum oh_stack_kind kind)
{
    return (struct oh_stack_key){.epoch = oh_modules_epoch(),
                                 .kind = (uint8_t)kind,
                                 .phase = mapping.phase_of(),
                                 .end = (uint8_t)end,
                                 .shard = (uint8_t)oh_thread_self.shard,
                                 .depth = depth,
                                 .pcs = pcs};
}

// Where nothing may be unwound.
static uint32_t stack_of_caller(uint64_t pc, enum oh_stack_kind kind)
{
    struct oh_stack_key key = key_of(&pc, 1, OH_UNWIND_END_BROKEN, kind);
    key.epoch = oh_modules_note(&pc, 1);
    return oh_stacks_intern(&key);
}

// True when the stack is one that was met before, with no library that came or went since.
static bool is_known(const struct oh_stack_key *key, uint32_t *stack)
{
    *stack = oh_modules_settled() ? oh_stacks_find(key) : 0;
    return *stack != 0;
}

static uint32_t capture(const struct oh_caller *caller, uint64_t *pcs, enum oh_stack_kind kind)
{
    enum oh_unwind_end end = OH_UNWIND_END_BROKEN;
    uint32_t depth = 0, stack = 0;
    uint8_t owner = 0;
    // A library that was found in another's place means that the walk may have been the other's.
    for (int i = 0; i < ATTEMPTS; i++) {
        depth = oh_unwind_capture(caller, pcs, mapping.max_depth, &end);
        if (depth == 0)
            pcs[depth++] = caller->pc;
        struct oh_stack_key key = key_of(pcs, depth, end, kind);
        owner = oh_owner_of_stack(pcs, depth, caller->sp);
        if (owner != 0 || is_known(&key, &stack) || oh_modules_note(pcs, depth) == key.epoch)
            break;
    }
    if (stack == 0 && owner == 0)
        owner = oh_owner_of_stack(pcs, depth, caller->sp); // With what was learnt of its modules.
    if (owner != 0)
        return stack_without_frames((enum oh_stack_kind)owner);
    if (stack != 0)
        return stack;
    struct oh_stack_key key = key_of(pcs, depth, end, kind);
    return oh_stacks_intern(&key);
}

static OH_NOINLINE uint32_t capture_usual(const struct oh_caller *caller, enum oh_stack_kind kind)
{
    uint64_t pcs[USUAL_DEPTH];
    return capture(caller, pcs, kind);
}

static OH_NOINLINE uint32_t capture_deep(const struct oh_caller *caller, enum oh_stack_kind kind)
{
    uint64_t pcs[OH_UNWIND_MAX];
    return capture(caller, pcs, kind);
}

static uint32_t stack_of(const struct oh_caller *caller, enum oh_stack_kind kind)
{
    struct oh_thread *thread = &oh_thread_self;
    uint8_t owner = oh_owner_of_caller(caller->pc);
    if (owner == 0 && kind >= OH_KIND_GO_RUNTIME)
        owner = (uint8_t)kind;
    if (owner != 0)
        return stack_without_frames((enum oh_stack_kind)owner);
    if (thread->busy != 0 && !oh_track_was_left((uint64_t)(uintptr_t)__builtin_frame_address(0)))
        return stack_of_caller(caller->pc, kind);
    thread->busy = 1;
    thread->busy_at = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    uint32_t stack =
        mapping.max_depth <= USUAL_DEPTH ? capture_usual(caller, kind) : capture_deep(caller, kind);
    thread->busy = 0;
    return stack;
}

// --- Recording

static void count(uint32_t reference, uint64_t bytes, uint32_t second)
{
    struct oh_format_stack *stack = oh_stacks_at(reference);
    oh_shard_add(&oh_thread_self, &stack->alloc_objects, UINT64_C(1) << mapping.weight_shift,
                 &stack->alloc_bytes, bytes, second);
    if (mapping.sampled)
        (void)oh_add_relaxed(&stack->samples, 1);
}

// A range whose stack has no room in the tables (counted there) is one that nobody mapped.
static void enter(uint32_t stack, uint64_t begin, uint64_t end)
{
    uint32_t second = (uint32_t)(oh_recording_now_ns() / ns_per_s);
    if (stack != 0) {
        count(stack, end - begin, second);
        if (oh_stacks_at(stack)->kind == OH_KIND_RESERVE)
            oh_store32_relaxed(&mapping.reserved, 1);
    }
    (void)oh_maps_set(begin, end, stack, second);
}

static void enter_commit(uint32_t stack, uint64_t begin, uint64_t end, uint64_t bytes)
{
    uint32_t second = (uint32_t)(oh_recording_now_ns() / ns_per_s);
    if (stack == 0)
        return;
    count(stack, bytes, second);
    (void)oh_maps_commit(begin, end, stack, second);
}

// A call of this family is a moment for the time line.
static void pass_time(void)
{
    uint64_t now_ns = oh_recording_now_ns();
    if (oh_timeline_due(now_ns))
        oh_timeline_visit(now_ns, 0);
}

static bool is_on(void)
{
    return oh_track_state() == OH_TRACK_ON && oh_maps_ready() && !oh_track_is_child();
}

bool oh_mapping_wanted(void)
{
    return is_early() || is_on();
}

void oh_mapping_add(const struct oh_caller *caller, uint64_t begin, uint64_t end,
                    enum oh_stack_kind kind)
{
    int saved = errno;
    if (is_early())
        (void)wait_early(EARLY_ADD, begin, end, caller->pc, (uint8_t)kind);
    else if (is_on()) {
        enter(stack_of(caller, kind), begin, end);
        pass_time();
    }
    errno = saved;
}

void oh_mapping_commit(const struct oh_caller *caller, uint64_t begin, uint64_t end)
{
    int saved = errno;
    if (is_early()) {
        (void)wait_early(EARLY_COMMIT, begin, end, caller->pc, OH_KIND_MMAP);
    } else if (oh_load32_relaxed(&mapping.reserved) != 0 && is_on()) {
        uint64_t bytes = oh_maps_reserved(begin, end);
        if (bytes != 0)
            enter_commit(stack_of(caller, OH_KIND_MMAP), begin, end, bytes);
        pass_time();
    }
    errno = saved;
}

void oh_mapping_count_lost(void)
{
    if (is_early())
        count_lost_early();
    else if (is_on())
        oh_recording_count(OH_COUNTER_dropped_map_calls);
}

void oh_mapping_begin_removal(struct oh_mapping_removal *removal, uint64_t begin, uint64_t end)
{
    *removal = (struct oh_mapping_removal){{0, false}, 0};
    if (is_early())
        removal->early = wait_early(EARLY_REMOVE, begin, end, 0, 0);
    else if (is_on())
        oh_maps_begin_unset(&removal->unset, begin, end);
}

void oh_mapping_end_removal(const struct oh_mapping_removal *removal, bool succeeded)
{
    oh_maps_end_unset(&removal->unset, succeeded);
    if (removal->unset.noted && succeeded)
        pass_time();
    if (removal->early != 0 && !succeeded)
        oh_store_release(&early.calls[removal->early - 1].state, EARLY_VOID);
}

uint8_t oh_mapping_find(uint64_t address, struct oh_format_range *piece)
{
    if (!is_on() || !oh_maps_find(address, piece))
        *piece = (struct oh_format_range){.end = UINT64_MAX};
    if (oh_range_stack(piece) == 0)
        return 0;
    return oh_stacks_at(oh_range_stack(piece))->kind;
}

static uint32_t stack_of_early(const struct early_call *call)
{
    uint8_t owner = oh_owner_of_caller(call->pc);
    return owner != 0 ? stack_without_frames((enum oh_stack_kind)owner)
                      : stack_of_caller(call->pc, (enum oh_stack_kind)call->kind);
}

static void enter_early(const struct early_call *call)
{
    switch (call->op) {
    case EARLY_ADD: enter(stack_of_early(call), call->begin, call->end); break;
    case EARLY_REMOVE: (void)oh_maps_set(call->begin, call->end, 0, 0); break;
    default: {
        uint64_t bytes = oh_maps_reserved(call->begin, call->end);
        if (bytes != 0)
            enter_commit(stack_of_early(call), call->begin, call->end, bytes);
    }
    }
}

void oh_mapping_start(const struct oh_format_header *header, uint8_t (*phase_of)(void))
{
    mapping.phase_of = phase_of;
    mapping.max_depth = header->max_depth;
    mapping.weight_shift = header->weight_shift;
    mapping.sampled = header->mode == OH_MODE_SAMPLED;
    uint64_t calls = oh_add_relaxed(&early.next, EARLY_CALLS);
    for (uint64_t i = 0; i < calls && i < EARLY_CALLS && oh_maps_ready(); i++) {
        uint64_t state = oh_load_acquire(&early.calls[i].state);
        if (state == EARLY_READY)
            enter_early(&early.calls[i]);
        else if (state == EARLY_EMPTY)
            count_lost_early();
    }
    (void)oh_add_relaxed(&oh_recording_header()->counters[OH_COUNTER_dropped_early_maps],
                         oh_load_relaxed(&early.lost));
}
