// SPDX-License-Identifier: Apache-2.0
#include "capture/recall.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/syscall_x86_64.h"
#include "capture/quick.h"
#include "capture/quick_step.h"
#include "offheap/hash.h"

enum {
    SLOT_COUNT = 64,
    WORD_BYTES = OH_QUICK_WORD_BYTES,
    // Frame pointers that matter further out, and words that say where a realigned frame is.
    READ_COUNT = 160,
    // A thread takes a slot at its so-many-th capture. When there is none it tries again later and
    // later: a few system calls each time.
    CAPTURES_BEFORE = 32,
    // After n failures in a row 2^n captures are not tried.
    FAILURES_MAX = 6
};

// A frame, with what is known of it when all frames from it to the root are.
struct frame {
    uint64_t pc;
    uint64_t sp;
    uint64_t bp;
    uint64_t frames; // oh_hash_frames() from here to the root.
};

// A word that the step from frame number `from` read, beside its return address.
struct read {
    uint64_t at;
    uint64_t value;
    uint64_t from;
};

// A frame that was stepped over.
struct step {
    struct oh_caller at;
    uint64_t row;
};

// Frames and reads in order from the root on: number 0 is the outermost frame.
struct oh_recall {
    uint64_t owner OH_OWN_LINES;
    uint64_t top; // End of the readable stack.
    struct oh_recall_note note;
    uint32_t failures; // In a row, up to FAILURES_MAX.
    uint32_t skip;     // Captures to leave to others.
    uint32_t generation;
    uint32_t count; // Frames; 0: nothing is remembered.
    uint32_t read_count;
    uint32_t matters[OH_RECALL_FRAMES / 32]; // A bit for each frame: its frame pointer is used.
    struct frame frame[OH_RECALL_FRAMES];
    struct read read[READ_COUNT];
    struct step step[OH_RECALL_FRAMES]; // From the leaf on, during a walk.
};

static struct oh_recall slots[SLOT_COUNT] OH_OWN_LINES;

static OH_THREAD_LOCAL struct {
    struct oh_recall *recall;
    uint32_t captures; // Without a slot, so far.
    uint32_t next;     // And when to try again, less CAPTURES_BEFORE.
} mine;

// The process that may remember, 0: none. (A vfork child has its parent's thread-local memory and a
// number of its own, which ends before the parent's thread does.)
static long process;

void oh_recall_enable(void)
{
    process = oh_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static bool has_ended(uint64_t thread)
{
    return oh_syscall6(SYS_tkill, (long)thread, 0, 0, 0, 0, 0) == -ESRCH;
}

static struct oh_recall *claim_slot(struct oh_recall *recall, uint64_t me, uint64_t owner)
{
    if (!oh_cas_acq_rel(&recall->owner, &owner, me))
        return NULL;
    recall->count = 0;
    recall->failures = 0;
    recall->skip = 0;
    return recall;
}

static OH_COLD OH_NOINLINE struct oh_recall *claim(void)
{
    struct oh_recall *recall = NULL;
    if (process == 0 || process != oh_syscall6(SYS_getpid, 0, 0, 0, 0, 0, 0))
        return NULL;
    uint64_t me = (uint64_t)oh_syscall6(SYS_gettid, 0, 0, 0, 0, 0, 0);
    // From the first one on, so that no more slots are ever touched than threads lived at once.
    for (unsigned i = 0; i < SLOT_COUNT && recall == NULL; i++) {
        struct oh_recall *slot = &slots[i];
        uint64_t owner = oh_load_relaxed(&slot->owner);
        if (owner == 0 || owner == me || has_ended(owner))
            recall = claim_slot(slot, me, owner);
    }
    return recall;
}

struct oh_recall *oh_recall_mine(void)
{
    if (oh_unlikely(mine.recall == NULL) && ++mine.captures == mine.next + CAPTURES_BEFORE) {
        mine.next = 2 * mine.captures;
        mine.recall = claim();
    }
    return mine.recall;
}

static inline bool matters(const struct oh_recall *recall, uint32_t number)
{
    return recall->matters[number / 32] >> (number % 32) & 1;
}

static inline void set_matters(struct oh_recall *recall, uint32_t number, bool value)
{
    uint32_t bit = UINT32_C(1) << (number % 32);
    uint32_t *word = &recall->matters[number / 32];
    *word = value ? *word | bit : *word & ~bit;
}

// Where a walk met what is remembered is the number of the frame that it came to.
enum { NOT_MET = -1 };

// The number of the innermost frame whose way to the root is what it was, given that the thread comes
// to that very frame; or NOT_MET. Frames and words below sp are gone.
static int32_t innermost_valid(const struct oh_recall *recall, uint64_t sp)
{
    int32_t left = (int32_t)recall->count - 1;
    while (left >= 0 && recall->frame[left].sp < sp)
        left--;
    if (left < 0)
        return NOT_MET;
    // A frame's return address is found at the stack pointer of the one that it returns to.
    const struct frame *frame = recall->frame;
    const struct frame *const end = frame + left;
    while (frame < end && oh_word_at(frame->sp - WORD_BYTES) == frame->pc)
        frame++;
    left = (int32_t)(frame - recall->frame);
    for (uint32_t i = 0; i < recall->read_count; i++) {
        const struct read *read = &recall->read[i];
        if ((int32_t)read->from > left)
            break;
        if (read->at < sp || oh_word_at(read->at) != read->value)
            return (int32_t)read->from - 1;
    }
    return left;
}

static bool add_read(struct oh_recall *recall, uint64_t at, uint64_t value, uint32_t from)
{
    if (recall->read_count == READ_COUNT)
        return false;
    recall->read[recall->read_count++] = (struct read){at, value, from};
    return true;
}

// Makes the step's frame the next one; its caller's is the last of those that are there. False: there is
// no room for what it read.
static bool push(struct oh_recall *recall, const struct step *step, bool outermost)
{
    uint32_t number = recall->count++;
    struct frame *frame = &recall->frame[number];
    const struct frame *outer = outermost ? NULL : frame - 1;
    *frame = (struct frame){step->at.pc, step->at.sp, step->at.bp,
                            oh_hash_frame(outermost ? 0 : outer->frames, step->at.pc)};
    bool by_bp = step->row & OH_QUICK_ROW_BASE_BP;
    if (outermost) {
        set_matters(recall, number, by_bp);
        return true;
    }
    bool needed = matters(recall, number - 1);
    uint64_t place = oh_quick_bp_place(step->row, step->at.bp, outer->sp);
    if (oh_unlikely(oh_quick_is_realigned(step->row))) {
        by_bp = true;
        if (!add_read(recall, oh_quick_realigned_at(step->row, step->at.bp), outer->sp, number))
            return false;
    }
    set_matters(recall, number, by_bp || (needed && place == 0));
    return !needed || place == 0 || add_read(recall, place, outer->bp, number);
}

// Remembers the steps of the last walk, below what is remembered of their callers.
static bool push_all(struct oh_recall *recall, uint32_t steps)
{
    while (recall->read_count > 0 && recall->read[recall->read_count - 1].from >= recall->count)
        recall->read_count--;
    while (steps-- > 0) {
        if (!push(recall, &recall->step[steps], recall->count == 0))
            return false;
    }
    return true;
}

static bool meets(const struct oh_recall *recall, int32_t number, const struct oh_caller *at)
{
    const struct frame *frame = &recall->frame[number];
    return frame->sp == at->sp && frame->pc == at->pc &&
           (!matters(recall, (uint32_t)number) || frame->bp == at->bp);
}

// Walks from *at until a remembered frame is met, whose number is *met then, or to the stack's end.
// The number of steps, or -1.
static int32_t walk(struct oh_recall *recall, struct oh_caller *at, uint64_t last, uint32_t max,
                    int32_t *met)
{
    const uint64_t generation = oh_quick_generation(recall->generation);
    struct step *step = recall->step;
    const struct step *const end = step + max;
    for (;; step++) {
        while (*met >= 0 && recall->frame[*met].sp < at->sp)
            (*met)--;
        if (*met >= 0 && meets(recall, *met, at))
            break;
        if (oh_unlikely(step == end))
            return -1;
        uint64_t row = oh_quick_row(at->pc, generation);
        uint64_t cfa = oh_quick_cfa(row, at, last);
        step->at = *at;
        step->row = row;
        if (oh_unlikely(cfa - 1 >= last)) {
            *met = NOT_MET;
            return at->pc != 0 && oh_quick_stop(row, at->pc) == OH_QUICK_END
                       ? (int32_t)(step + 1 - recall->step)
                       : -1;
        }
        uint64_t place = oh_quick_bp_place(row, at->bp, cfa);
        if (place != 0)
            at->bp = oh_word_at(place);
        at->pc = oh_word_at(cfa - WORD_BYTES);
        at->sp = cfa;
    }
    return (int32_t)(step - recall->step);
}

// Brings what is remembered to the stack that begins at `caller`.
static bool renew(struct oh_recall *recall, const struct oh_caller *caller,
                  const struct oh_readable *stack, uint32_t max)
{
    struct oh_caller at = *caller;
    uint64_t last = stack->end - WORD_BYTES;
    uint32_t generation = oh_rows_generation();
    if (stack->limit != stack->end || at.sp < stack->begin || at.sp > last)
        return false;
    if (oh_unlikely(recall->generation != generation || recall->top != stack->end)) {
        recall->count = 0;
        recall->generation = generation;
        recall->top = stack->end;
    }
    int32_t met = innermost_valid(recall, at.sp);
    int32_t steps = walk(recall, &at, last, max, &met);
    if (steps < 0 || (uint32_t)(met + 1 + steps) > max)
        return false;
    if (steps == 0 && (uint32_t)met + 1 == recall->count)
        return true;
    recall->count = (uint32_t)(met + 1);
    recall->note = (struct oh_recall_note){0};
    return push_all(recall, (uint32_t)steps);
}

bool oh_recall_walk(struct oh_recall *recall, const struct oh_caller *caller,
                    const struct oh_readable *stack, unsigned max, struct oh_recalled *recalled)
{
    if (oh_unlikely(recall->skip > 0)) {
        recall->skip--;
        return false;
    }
    bool done = renew(recall, caller, stack, max < OH_RECALL_FRAMES ? max : OH_RECALL_FRAMES);
    if (oh_likely(done)) {
        recall->failures = 0;
        recalled->depth = recall->count;
        recalled->frames = recall->frame[recall->count - 1].frames;
        recalled->note = &recall->note;
    } else {
        recall->count = 0;
        recall->failures += recall->failures < FAILURES_MAX;
        recall->skip = (UINT32_C(1) << recall->failures) - 1;
    }
    // For the slot's next owner.
    oh_store_release(&recall->owner, recall->owner);
    return done;
}

void oh_recall_copy(const struct oh_recall *recall, uint64_t *pcs)
{
    for (uint32_t i = recall->count; i-- > 0;)
        *pcs++ = recall->frame[i].pc;
}
