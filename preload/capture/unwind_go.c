// SPDX-License-Identifier: Apache-2.0
#include "capture/unwind_go.h"

#include <stddef.h>

#include "base/atomic.h"
#include "recording/recording.h"

enum {
    WORD_BYTES = 8,
    PAGE_BYTES = 4096,
    // Words of a g: its stack's bounds come first in every version.
    G_STACK_LOW = 0,
    G_STACK_HIGH = 8,
    G_SCHED_SP = 56,
    G_SCHED_BP_1_20 = 104, // In Go 1.20 and before.
    // How far asmcgocall's own pushes move the stack pointer away from g.sched.sp.
    SCHED_SLACK_BYTES = 32,
    // How far above a C frame asmcgocall's is looked for.
    REJOIN_BYTES = 4096,
    // What calls asmcgocall has a smaller frame than this.
    CALLER_FRAME_BYTES = 512,
    CALLER_SLOTS = 8,
    DISTANCE_BITS = 16
};

// No goroutine's stack is larger (runtime.maxstacksize is 1 GB, then doubled once).
static const uint64_t go_stack_max_bytes = UINT64_C(1) << 32;

// A walk through one stretch of Go frames.
struct walk {
    struct oh_readable *stack;
    uint64_t bp;
    uint64_t begin; // Bounds of the goroutine's stack above asmcgocall's frame; 0, 0: not known.
    uint64_t end;
};

// What is special about the function that a return address lies in.
enum place {
    PLACE_ORDINARY,
    PLACE_SWITCH, // Its caller's frame is on another stack.
    PLACE_C,      // Its caller is C.
    PLACE_END     // It has no caller that we want.
};

static OH_NOINLINE enum place place_of(const struct oh_go_runtime *runtime, uint64_t pc)
{
    static const struct {
        enum oh_go_function function;
        enum place place;
    } places[] = {
        {OH_GO_GOEXIT, PLACE_END},         {OH_GO_MSTART, PLACE_END},
        {OH_GO_CGOCALLBACK, PLACE_SWITCH}, {OH_GO_SYSTEMSTACK, PLACE_SWITCH},
        {OH_GO_MORESTACK, PLACE_END},      {OH_GO_MCALL, PLACE_END},
        {OH_GO_RT0_GO, PLACE_END},         {OH_GO_SIGTRAMP, PLACE_C},
        {OH_GO_CROSSCALL2, PLACE_C},
    };
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (oh_go_runtime_in(runtime, places[i].function, pc))
            return places[i].place;
    return PLACE_ORDINARY;
}

// What every address of a chain is compared with.
struct fences {
    uint64_t text;
    uint64_t text_bytes;
    uint64_t special;
    uint64_t special_bytes;
    uint64_t crosscall2;
    uint64_t crosscall2_bytes;
};

static inline struct fences fences_of(const struct oh_go_runtime *runtime)
{
    const struct oh_go_range *crosscall2 = &runtime->function[OH_GO_CROSSCALL2][0];
    return (struct fences){runtime->text,          runtime->etext - runtime->text,
                           runtime->special_begin, runtime->special_end - runtime->special_begin,
                           crosscall2->begin,      crosscall2->end - crosscall2->begin};
}

// Whether pc lies in no function after which the stack ends or changes.
static inline bool is_ordinary(const struct fences *fences, uint64_t pc)
{
    return pc - fences->special > fences->special_bytes &&
           pc - fences->crosscall2 > fences->crosscall2_bytes;
}

static inline bool is_text(const struct oh_go_runtime *runtime, uint64_t pc)
{
    return pc - runtime->text < runtime->etext - runtime->text;
}

static bool read_word(const struct walk *walk, uint64_t address, uint64_t *value)
{
    if (address - walk->begin < walk->end - walk->begin)
        return oh_readable_go_word(address, value);
    return oh_readable_word(walk->stack, address, value);
}

// Sets the walk's bounds from a g and the depth of its stack; false when they make no sense.
static bool set_bounds(struct walk *walk, uint64_t g, uint64_t depth)
{
    uint64_t low;
    uint64_t high;
    if (!oh_readable_go_word(g + G_STACK_LOW, &low) ||
        !oh_readable_go_word(g + G_STACK_HIGH, &high))
        return false;
    if (low >= high || high - low > go_stack_max_bytes || depth > high - low ||
        high % WORD_BYTES != 0 || depth % WORD_BYTES != 0)
        return false;
    walk->begin = high - depth;
    walk->end = high;
    return true;
}

// For a function that called asmcgocall of Go 1.20 and before, by its return address: how far its
// frame pointer record lies above that address, which is the same at every call. A word holds the
// address and the distance, so that threads may read and learn it at any time; 0: nothing is known.
static uint64_t records[CALLER_SLOTS];

// C keeps the caller's frame pointer, but when the goroutine's stack moved while C had called Go back,
// it is one of the stack that was given up: whatever stands there, the record is where it always
// is. False: bp is not of this stack, and no call from there was seen whose was.
static bool find_record(struct walk *walk, uint64_t old_sp, uint64_t caller)
{
    uint64_t *slot = &records[caller % CALLER_SLOTS];
    uint64_t known = oh_load_relaxed(slot);
    uint64_t distance = walk->bp - old_sp;
    if (known >> DISTANCE_BITS == caller) {
        walk->bp = old_sp + (known & ((UINT64_C(1) << DISTANCE_BITS) - 1));
        return true;
    }
    if (distance >= CALLER_FRAME_BYTES || distance % WORD_BYTES != 0)
        return false;
    oh_store_relaxed(slot, caller << DISTANCE_BITS | distance);
    return true;
}

// From asmcgocall's frame on the thread's stack: the frame pointer, and the frame that asmcgocall
// of Go 1.20 and before hides. OH_GO_WALK_C means: go on.
static enum oh_go_walk leave_asmcgocall(struct walk *walk, struct oh_frames *frames,
                                        const struct oh_go_runtime *runtime, uint64_t sp)
{
    uint64_t g;
    uint64_t depth;
    if (!runtime->asmcgocall_known ||
        !oh_readable_word(walk->stack, sp + runtime->asmcgocall_g, &g) ||
        !oh_readable_word(walk->stack, sp + runtime->asmcgocall_depth, &depth))
        return OH_GO_WALK_BROKEN;
    // Without a g the call was made on the system stack, and depth is the old stack pointer.
    uint64_t old_sp = depth;
    if (g != 0) {
        if (!set_bounds(walk, g, depth))
            return OH_GO_WALK_BROKEN;
        old_sp = walk->begin;
    }
    if (runtime->asmcgocall_frame) {
        walk->bp = old_sp;
        return OH_GO_WALK_C;
    }
    uint64_t caller;
    if (!read_word(walk, old_sp, &caller) || !is_text(runtime, caller))
        return OH_GO_WALK_BROKEN;
    if (!oh_frames_add(frames, caller))
        return OH_GO_WALK_FULL;
    return g == 0 || find_record(walk, old_sp, caller) ? OH_GO_WALK_C : OH_GO_WALK_BROKEN;
}

// C's registers, from a frame that keeps them all: crosscall2's, and the signal trampoline's.
static bool resume_c(const struct walk *walk, uint64_t frame, struct oh_registers *regs)
{
    static const enum oh_register order[] = {OH_REG_BX, OH_REG_R12, OH_REG_R13, OH_REG_R14,
                                             OH_REG_R15};
    enum { ORDER_COUNT = sizeof(order) / sizeof(order[0]) };
    struct oh_registers c = *regs;
    for (unsigned i = 0; i < ORDER_COUNT; i++)
        if (!oh_readable_word(walk->stack, frame - (uint64_t)(ORDER_COUNT - i) * WORD_BYTES,
                              &c.r[order[i]]))
            return false;
    // Since Go 1.22 there is an ordinary frame pointer record above, and the word says so.
    uint64_t record;
    if (!oh_readable_word(walk->stack, frame, &record))
        return false;
    if (record == frame + WORD_BYTES)
        frame = record;
    if (!oh_readable_word(walk->stack, frame, &c.r[OH_REG_BP]) ||
        !oh_readable_word(walk->stack, frame + WORD_BYTES, &c.pc))
        return false;
    c.r[OH_REG_SP] = frame + (uint64_t)2 * WORD_BYTES;
    c.after_call = true;
    *regs = c;
    return true;
}

// Whether both words of a record at bp lie in the page that begins at `page`, and are words: a
// multiple of eight that is small is found by one comparison when its low bits are rotated to the
// top.
static inline bool is_in_page(uint64_t bp, uint64_t page)
{
    uint64_t offset = bp - page;
    return (offset >> 3 | offset << 61) <= (PAGE_BYTES - 2 * WORD_BYTES) / WORD_BYTES;
}

// Whether the record at bp can be read, and is none that ends the chain.
static OH_NOINLINE bool is_record(const struct walk *walk, uint64_t bp)
{
    uint64_t word;
    return bp % WORD_BYTES == 0 && read_word(walk, bp, &word) &&
           read_word(walk, bp + WORD_BYTES, &word);
}

// What to do after a frame of the special place: PLACE_SWITCH goes on at `next`.
static OH_NOINLINE enum oh_go_walk end_at(const struct walk *walk, enum place place, uint64_t next,
                                          struct oh_registers *regs)
{
    if (place == PLACE_END)
        return OH_GO_WALK_END;
    return resume_c(walk, next, regs) ? OH_GO_WALK_C : OH_GO_WALK_BROKEN;
}

// Follows the chain of frame pointer records. What it needs for an ordinary frame is in registers.
static enum oh_go_walk follow(const struct walk *walk, struct oh_frames *frames,
                              const struct oh_go_runtime *runtime, struct oh_registers *regs)
{
    struct fences fences = fences_of(runtime);
    uint64_t *out = frames->pcs + frames->count;
    const uint64_t *const end = frames->pcs + frames->max;
    uint64_t bp = walk->bp;
    uint64_t page = walk->stack->begin; // Readable: later, the page that was read last.
    enum oh_go_walk result = OH_GO_WALK_BROKEN;
    for (;;) {
        if (oh_unlikely(!is_in_page(bp, page))) {
            if (bp == 0)
                result = OH_GO_WALK_END;
            if (bp == 0 || !is_record(walk, bp))
                break;
            page = bp & ~(uint64_t)(PAGE_BYTES - 1);
        }
        uint64_t next = oh_word_at(bp);
        uint64_t pc = oh_word_at(bp + WORD_BYTES);
        if (oh_unlikely(pc - fences.text >= fences.text_bytes)) {
            runtime = oh_go_runtime_at(pc);
            if (!runtime)
                break;
            fences = fences_of(runtime);
        }
        if (oh_unlikely(out == end)) {
            result = OH_GO_WALK_FULL;
            break;
        }
        *out++ = pc;
        enum place place =
            oh_likely(is_ordinary(&fences, pc)) ? PLACE_ORDINARY : place_of(runtime, pc);
        if (oh_unlikely(place == PLACE_END || place == PLACE_C)) {
            result = end_at(walk, place, next, regs);
            break;
        }
        if (oh_unlikely(next <= bp && next != 0 && place != PLACE_SWITCH))
            break;
        bp = next;
    }
    frames->count = (unsigned)(out - frames->pcs);
    return result;
}

// Whether asmcgocall's frame lies at sp: its two words must be those of a goroutine that is parked
// at this very depth in a call of C, so a stale copy of the return address does not pass. Without a
// goroutine they must lead to a caller in Go.
static bool is_call_of_c(const struct oh_go_runtime *runtime, struct oh_readable *stack,
                         uint64_t sp, uint64_t *bp)
{
    struct walk walk = {.stack = stack};
    uint64_t g, depth, parked, caller;
    if (!oh_readable_word(stack, sp + runtime->asmcgocall_g, &g) ||
        !oh_readable_word(stack, sp + runtime->asmcgocall_depth, &depth))
        return false;
    if (g == 0)
        return runtime->asmcgocall_frame && depth - sp < REJOIN_BYTES &&
               oh_readable_word(stack, depth + WORD_BYTES, &caller) && is_text(runtime, caller);
    if (!set_bounds(&walk, g, depth) || !oh_readable_go_word(g + G_SCHED_SP, &parked) ||
        parked + SCHED_SLACK_BYTES - walk.begin > 2 * SCHED_SLACK_BYTES)
        return false;
    *bp = walk.begin;
    return runtime->asmcgocall_frame || (oh_readable_go_word(g + G_SCHED_BP_1_20, bp) &&
                                         *bp - walk.begin < walk.end - walk.begin);
}

// From C code that lies among Go's and has no call frame information, to asmcgocall's frame above,
// when that can be found for certain. C frames between the two are left out (and that is counted).
static bool rejoin(const struct oh_go_runtime *runtime, struct oh_registers *regs,
                   struct oh_readable *stack)
{
    uint64_t begin = regs->r[OH_REG_SP];
    for (uint64_t at = begin; at - begin < REJOIN_BYTES; at += WORD_BYTES) {
        uint64_t pc, bp = regs->r[OH_REG_BP];
        if (!oh_readable_word(stack, at, &pc))
            return false;
        if (!oh_go_runtime_in(runtime, OH_GO_ASMCGOCALL, pc) ||
            !is_call_of_c(runtime, stack, at + WORD_BYTES, &bp))
            continue;
        regs->pc = pc;
        regs->r[OH_REG_SP] = at + WORD_BYTES;
        regs->r[OH_REG_BP] = bp;
        oh_recording_count(OH_COUNTER_gapped_stacks);
        return true;
    }
    return false;
}

// Of the functions that call C, all but asmcgocall stay on the stack that they are called on; what
// is none of them, and was returned to by C, is C.
static bool is_c_among_go(const struct oh_go_runtime *runtime, const struct oh_registers *regs)
{
    static const enum oh_go_function callers[] = {
        OH_GO_ASMCGOCALL, OH_GO_CGO_MMAP, OH_GO_CGO_MUNMAP, OH_GO_RT0_GO,
        OH_GO_MSTART,     OH_GO_SIGTRAMP, OH_GO_CROSSCALL2};
    if (!runtime->internally_linked || !runtime->asmcgocall_known || !regs->after_call)
        return false;
    for (unsigned i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
        if (oh_go_runtime_in(runtime, callers[i], regs->pc))
            return false;
    }
    return true;
}

// asmcgocall's frame tells it, since that has a record of its own.
bool oh_unwind_go_needs_bp(const struct oh_go_runtime *runtime, uint64_t pc)
{
    return !runtime->asmcgocall_known || !runtime->asmcgocall_frame ||
           !oh_go_runtime_in(runtime, OH_GO_ASMCGOCALL, pc);
}

enum oh_go_walk oh_unwind_go(struct oh_frames *frames, const struct oh_go_runtime *runtime,
                             struct oh_registers *regs, struct oh_readable *stack)
{
    // As everywhere: one more than the address of an interrupted instruction.
    uint64_t pc = regs->pc + (regs->after_call ? 0 : 1);
    if (!oh_frames_add(frames, pc))
        return OH_GO_WALK_FULL;
    if (oh_unlikely(is_c_among_go(runtime, regs)) && rejoin(runtime, regs, stack)) {
        pc = regs->pc;
        if (!oh_frames_add(frames, pc))
            return OH_GO_WALK_FULL;
    }
    struct walk walk = {.stack = stack, .bp = regs->r[OH_REG_BP]};
    if (oh_go_runtime_in(runtime, OH_GO_ASMCGOCALL, pc)) {
        enum oh_go_walk rc = leave_asmcgocall(&walk, frames, runtime, regs->r[OH_REG_SP]);
        if (rc != OH_GO_WALK_C)
            return rc;
    } else if (place_of(runtime, pc) == PLACE_END) {
        return OH_GO_WALK_END;
    }
    return follow(&walk, frames, runtime, regs);
}
