// SPDX-License-Identifier: Apache-2.0
#include "capture/recall.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/sandbox.h"
#include "base/syscall_x86_64.h"
#include "capture/go_runtime.h"
#include "capture/quick.h"
#include "capture/quick_step.h"
#include "capture/through.h"
#include "capture/unwind_go.h"
#include "offheap/hash.h"

enum {
    SLOT_COUNT = 64,
    WORD_BYTES = OH_QUICK_WORD_BYTES,
    // Where the address of frame number 0 is in `pcs`.
    LAST = OH_RECALL_FRAMES - 1,
    OUTER_MAX = OH_RECALL_FRAMES,
    // Frame pointers that matter further out, and words that say where a realigned frame is.
    READ_COUNT = 160,
    // A thread takes a slot at its so-many-th capture. When there is none it tries again later and
    // later: a few system calls each time.
    CAPTURES_BEFORE = 32,
    // After n failures in a row 2^n captures are not tried.
    FAILURES_MAX = 6,
    OWNER_COUNT_SHIFT = 32
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

// Frames and reads are numbered from the outermost C frame on: that is number 0, unless the stack
// goes on in Go, and then number 0 is the frame in Go's text that C returns to.
struct oh_recall {
    uint64_t owner OH_OWN_LINES;
    uint64_t top; // End of the readable stack.
    struct oh_recall_note note;
    uint32_t failures; // In a row, up to FAILURES_MAX.
    uint32_t skip;     // Captures to leave to others.
    uint32_t generation;
    uint32_t count; // Frames; 0: nothing is remembered.
    uint32_t read_count;
    uint32_t outer_count;  // Addresses of the outer part, with frame number 0's; 0: there is none.
    uint64_t outer_frames; // oh_hash_frames() of them but for that one.
    // By number.
    uint64_t sp[OH_RECALL_FRAMES];
    uint64_t bp[OH_RECALL_FRAMES];
    uint64_t frames[OH_RECALL_FRAMES]; // oh_hash_frames() from there to the root.
    uint8_t matters[OH_RECALL_FRAMES]; // Whether the frame pointer is used further out.
    struct read read[READ_COUNT];
    // The stack, leaf first: the address of frame number n is pcs[LAST - n], and those of the outer
    // part follow.
    uint64_t pcs[LAST + OUTER_MAX];
    // During a walk: the steps from the leaf on, and the outer part.
    struct step step[OH_RECALL_FRAMES];
    uint64_t outer[OUTER_MAX];
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

// The kernel's number of the thread that an owner names.
static uint64_t thread_of(uint64_t owner)
{
    return owner & UINT32_MAX;
}

// The system tells that of this process's threads; not asked, they all live.
static bool has_ended(uint64_t owner)
{
    return !oh_sandbox_is_up() &&
           oh_syscall6(SYS_tgkill, process, (long)thread_of(owner), 0, 0, 0, 0) == -ESRCH;
}

// The count of owners goes up: whoever found the last one ended must not take the slot from a new
// thread of the same number.
static struct oh_recall *claim_slot(struct oh_recall *recall, uint64_t me, uint64_t owner)
{
    uint64_t owners = (owner >> OWNER_COUNT_SHIFT) + 1;
    if (!oh_cas_acq_rel(&recall->owner, &owner, owners << OWNER_COUNT_SHIFT | me))
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
        if (owner == 0 || thread_of(owner) == me || has_ended(owner))
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

// Where a walk met what is remembered is the number of the frame that it came to.
enum { NOT_MET = -1 };

// How far the return addresses are what they were: the number of the innermost frame, up to `left`,
// between which and frame number 0 all are. A frame's is found below the stack pointer of the one
// that it returns to.
static int32_t innermost_unchanged(const struct oh_recall *recall, int32_t left)
{
    const uint64_t *sp = recall->sp;
    const uint64_t *pcs = recall->pcs + LAST;
    int32_t i = 0;
    for (; i + 4 <= left; i += 4) {
        uint64_t changed = (oh_word_at(sp[i] - WORD_BYTES) ^ pcs[-i]) |
                           (oh_word_at(sp[i + 1] - WORD_BYTES) ^ pcs[-i - 1]) |
                           (oh_word_at(sp[i + 2] - WORD_BYTES) ^ pcs[-i - 2]) |
                           (oh_word_at(sp[i + 3] - WORD_BYTES) ^ pcs[-i - 3]);
        if (changed != 0)
            break;
    }
    while (i < left && oh_word_at(sp[i] - WORD_BYTES) == pcs[-i])
        i++;
    return i;
}

// The number of the innermost frame, up to `left`, whose way to frame number 0 is what it was,
// given that the thread comes to that very frame; or NOT_MET. Words below sp are gone.
static int32_t innermost_valid(const struct oh_recall *recall, int32_t left, uint64_t sp)
{
    left = innermost_unchanged(recall, left);
    for (uint32_t i = 0; i < recall->read_count; i++) {
        const struct read *read = &recall->read[i];
        if ((int32_t)read->from > left)
            break;
        if (read->at < sp || oh_word_at(read->at) != read->value)
            return (int32_t)read->from - 1;
    }
    return left;
}

// Remembers the last `steps` steps, below what is remembered of their callers. False: there is no
// room for what they read.
static bool push_all(struct oh_recall *recall, uint32_t steps)
{
    uint32_t number = recall->count;
    uint32_t reads = recall->read_count;
    while (reads > 0 && recall->read[reads - 1].from >= number)
        reads--;
    bool needed = number > 0 && recall->matters[number - 1];
    uint64_t frames = number > 0 ? recall->frames[number - 1] : recall->outer_frames;
    for (; steps-- > 0; number++) {
        const struct step *step = &recall->step[steps];
        bool matters = step->row & OH_QUICK_ROW_BASE_BP;
        uint64_t cfa = number > 0 ? recall->sp[number - 1] : 0;
        uint64_t place = number > 0 ? oh_quick_bp_place(step->row, step->at.bp, cfa) : 0;
        if (reads + 2 > READ_COUNT)
            return false;
        if (oh_unlikely(number > 0 && oh_quick_is_realigned(step->row))) {
            matters = true;
            recall->read[reads++] =
                (struct read){oh_quick_realigned_at(step->row, step->at.bp), cfa, number};
        }
        if (needed && place != 0)
            recall->read[reads++] = (struct read){place, recall->bp[number - 1], number};
        needed = matters || (needed && place == 0);
        frames = oh_hash_frame(frames, step->at.pc);
        recall->pcs[LAST - number] = step->at.pc;
        recall->sp[number] = step->at.sp;
        recall->bp[number] = step->at.bp;
        recall->matters[number] = needed;
        recall->frames[number] = frames;
    }
    recall->count = number;
    recall->read_count = reads;
    return true;
}

static inline bool meets(const struct oh_recall *recall, int32_t number, const struct oh_caller *at)
{
    return recall->sp[number] == at->sp && recall->pcs[LAST - number] == at->pc &&
           (!recall->matters[number] || recall->bp[number] == at->bp);
}

// How far a walk has come: frames further in than number `left` are below it, or not what they
// were.
struct progress {
    int32_t left;
    bool checked;
};

// Whether the walk has come to a remembered frame whose way to frame number 0 is what it was. What
// is remembered is read only now that the stack leads there: else it may be of a stack that is
// gone.
static inline bool comes_back(const struct oh_recall *recall, const struct oh_caller *at,
                              struct progress *progress)
{
    int32_t left = progress->left;
    while (left >= 0 && recall->sp[left] < at->sp)
        left--;
    progress->left = left;
    if (left < 0 || !meets(recall, left, at))
        return false;
    if (progress->checked)
        return true;
    progress->checked = true;
    progress->left = innermost_valid(recall, left, at->sp);
    return progress->left == left;
}

// The last step of a walk that met nothing: at the stack's own end, or where Go's text begins.
// False: it has to be walked in another way.
static OH_NOINLINE bool is_last(struct step *step, bool *outer)
{
    *outer = false;
    if (step->at.pc != 0 && oh_quick_stop(step->row, step->at.pc) == OH_QUICK_END)
        return true;
    const struct oh_go_runtime *runtime = oh_go_runtime_at(step->at.pc);
    if (runtime == NULL)
        return false;
    *outer = true;
    step->row = oh_unwind_go_needs_bp(runtime, step->at.pc) ? OH_QUICK_ROW_BASE_BP : 0;
    return true;
}

// Walks from *at until a remembered frame is met, whose number is *met then, or to the stack's end,
// or to Go: *outer tells whether there is an outer part. The number of steps, or -1.
static int32_t walk(struct oh_recall *recall, struct oh_caller *at, uint64_t last, int32_t max,
                    int32_t *met, bool *outer)
{
    const uint64_t generation = oh_quick_generation(recall->generation);
    struct progress progress = {.left = (int32_t)recall->count - 1};
    struct oh_caller here = *at;
    int32_t steps = 0;
    for (; !comes_back(recall, &here, &progress); steps++) {
        if (oh_unlikely(steps == max))
            return -1;
        uint64_t row = oh_quick_row(here.pc, generation);
        uint64_t cfa = oh_quick_cfa(row, &here, last);
        struct step *step = &recall->step[steps];
        step->at = here;
        step->row = row;
        if (oh_unlikely(cfa - 1 >= last)) {
            *met = NOT_MET;
            return is_last(step, outer) ? steps + 1 : -1;
        }
        uint64_t place = oh_quick_bp_place(row, here.bp, cfa);
        if (place != 0)
            here.bp = oh_word_at(place);
        here.pc = oh_word_at(cfa - WORD_BYTES);
        here.sp = cfa;
    }
    *met = progress.left;
    *outer = recall->outer_count > 0;
    return steps;
}

// Walks the outer part, from frame number 0 on, which is remembered or the last step, and remembers
// it in place of the one before. It is not compared by its words, most of which are on a
// goroutine's stack, but by the addresses that come out.
static bool renew_outer(struct oh_recall *recall, int32_t met, int32_t steps,
                        struct oh_readable *stack, bool *changed)
{
    struct oh_caller first = {recall->pcs[LAST], recall->sp[0], recall->bp[0]};
    if (met == NOT_MET)
        first = recall->step[steps - 1].at;
    struct oh_frames now = {recall->outer, 0, OUTER_MAX};
    enum oh_unwind_end end;
    if (!oh_through_walk(&now, &first, OH_THROUGH_GO, stack, &end) || end != OH_UNWIND_END_CLEAN)
        return false;
    *changed = now.count != recall->outer_count ||
               memcmp(now.pcs, recall->pcs + LAST, now.count * sizeof *now.pcs) != 0;
    if (!*changed)
        return true;
    recall->outer_count = now.count;
    recall->outer_frames = oh_hash_frames(now.pcs + 1, now.count - 1);
    memcpy(recall->pcs + LAST, now.pcs, now.count * sizeof *now.pcs);
    uint64_t frames = recall->outer_frames;
    for (int32_t i = 0; i <= met; i++)
        recall->frames[i] = frames = oh_hash_frame(frames, recall->pcs[LAST - i]);
    return true;
}

static unsigned depth_of(const struct oh_recall *recall, uint32_t count)
{
    return count + recall->outer_count - (recall->outer_count > 0);
}

// Brings what is remembered to the stack that begins at `caller`.
static bool renew(struct oh_recall *recall, const struct oh_caller *caller,
                  struct oh_readable *stack, uint32_t max)
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
    int32_t met;
    bool outer;
    int32_t steps = walk(recall, &at, last, (int32_t)max, &met, &outer);
    if (steps < 0)
        return false;
    bool changed = false;
    if (met == NOT_MET) {
        recall->outer_count = 0;
        recall->outer_frames = 0;
    }
    if (outer && !renew_outer(recall, met, steps, stack, &changed))
        return false;
    uint32_t kept = (uint32_t)(met + 1);
    if (depth_of(recall, kept + (uint32_t)steps) > max)
        return false;
    if (steps == 0 && kept == recall->count && !changed)
        return true;
    recall->count = kept;
    recall->note = (struct oh_recall_note){0};
    return push_all(recall, (uint32_t)steps);
}

bool oh_recall_walk(struct oh_recall *recall, const struct oh_caller *caller,
                    struct oh_readable *stack, unsigned max, struct oh_recalled *recalled)
{
    if (oh_unlikely(recall->skip > 0)) {
        recall->skip--;
        oh_recall_end(recall);
        return false;
    }
    bool done = renew(recall, caller, stack, max < OH_RECALL_FRAMES ? max : OH_RECALL_FRAMES);
    if (oh_likely(done)) {
        recall->failures = 0;
        recalled->depth = depth_of(recall, recall->count);
        recalled->frames = recall->frames[recall->count - 1];
        recalled->pcs = recall->pcs + (OH_RECALL_FRAMES - recall->count);
        recalled->note = &recall->note;
    } else {
        recall->count = 0;
        recall->failures += recall->failures < FAILURES_MAX;
        recall->skip = (UINT32_C(1) << recall->failures) - 1;
        oh_recall_end(recall);
    }
    return done;
}

void oh_recall_end(struct oh_recall *recall)
{
    oh_store_release(&recall->owner, oh_load_relaxed(&recall->owner));
}

void oh_recall_forget(void)
{
    if (mine.recall != NULL)
        mine.recall->count = 0;
}
