// SPDX-License-Identifier: Apache-2.0
#include "capture/budget.h"

#include <stdbool.h>
#include <time.h>

#include "base/atomic.h"
#include "base/attr.h"
#include "base/sys.h"
#include "capture/sampler.h"
#include "offheap/hash.h"

enum {
    FREES_PER_LOOK = 16, // A power of two.
    CALM_STEPS = 5,      // This long there must be room before the mean falls,
    CALM_AGAIN = 3,      // and this long again before it falls further.
};

static const uint64_t step_ns = UINT64_C(100) * 1000 * 1000;
// A step is made this much earlier when more was spent than one processor's budget of this many
// steps.
static const uint64_t early_ns = UINT64_C(90) * 1000 * 1000;
static const double early_steps = 4;
static const uint64_t never = UINT64_MAX;
// The longest that one event counts, and what the clock does not see of it: the hook's slow path,
// the draws, half of each reading.
struct kind {
    uint64_t most_ns;
    uint64_t flat_ns;
    uint64_t times; // It stands for so many.
};

static const struct kind a_sample = {50000, 100, 1};
static const struct kind a_visit = {0, 100, 1};
static const struct kind a_free = {4000, 20, FREES_PER_LOOK};
static const struct kind a_look = {4000, 20, FREES_PER_LOOK}; // For a block that was not recorded.

// A step needs so much time of samples, or so much that the budget would have allowed, to judge by.
static const uint64_t evidence_ns = UINT64_C(100) * 1000;
// And so much processor time, which a busy machine gives a process in more than one step: in less,
// two samples that were put to sleep look like a burst.
static const uint64_t least_processor_ns = UINT64_C(10) * 1000 * 1000;

static const uint64_t finest_bytes = UINT64_C(64) << 10;
static const uint64_t least_first_bytes = 64;

static const double root_two = 1.41421356237309504880;
// The mean is raised when the share is over the limit, until it is expected at or below `aim` of
// it; it falls when it is expected there after the fall. The gap between 1 and aim / root_two is
// wider than one rung, so that a constant load comes to rest.
static const double aim = 0.85;
static const double in_debt = 0.7;
static const double forget = 0.7; // What a step leaves of the ones before it.

static struct {
    uint64_t next_ns;
    uint64_t spent_ns;       // In all,
    uint64_t vain_ns;        // and of it on looks for blocks that were not recorded.
    uint64_t early_spent_ns; // From this on, the next step comes early.

    // Read by every sample, written in steps at most.
    struct oh_budget_clocks clocks OH_OWN_LINES;
    struct oh_format_budget *told;
    double share; // The budget, of 1.
    uint64_t began_processor_ns;
    uint64_t last_processor_ns;
    uint64_t last_spent_ns;
    uint64_t last_vain_ns;
    double recent_sample_ns; // As it would be under the mean of now.
    double recent_vain_ns;
    double recent_processor_ns;
    uint32_t calm; // Steps that had room, in a row.
    bool indebted; // More than the share was used since the begin.
} OH_OWN_LINES budget;

static uint64_t system_now_ns(void)
{
    struct timespec ts;
    // libc's, not a raw system call: it reads the clock from the vDSO without entering the kernel.
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static uint64_t system_processor_ns(void)
{
    return oh_sys_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint32_t oh_budget_make_ladder(uint64_t first, uint64_t means[OH_FORMAT_MEANS])
{
    uint32_t place = 0;
    double lowest = (double)(first > least_first_bytes ? first : least_first_bytes);
    while (lowest >= (double)finest_bytes * root_two * 0.999) {
        lowest /= root_two;
        place++;
    }
    double mean = lowest;
    for (uint32_t i = 0; i < OH_FORMAT_MEANS; i++) {
        means[i] = (uint64_t)(mean + 0.5);
        mean *= root_two;
    }
    return place;
}

static void set_early(uint64_t spent_ns)
{
    double most = early_steps * budget.share * (double)step_ns;
    oh_store_relaxed(&budget.early_spent_ns, spent_ns + (uint64_t)most);
}

void oh_budget_init(struct oh_format_header *header, const struct oh_budget_clocks *clocks)
{
    static const struct oh_budget_clocks system = {system_now_ns, system_processor_ns};
    uint32_t first = oh_budget_make_ladder(header->sample_bytes, header->means);
    header->sample_bytes = header->means[first];
    header->budget.mean = header->budget.finest = header->budget.coarsest = first;
    oh_sampler_init_ladder(header->means, first, header->weight_shift);
    budget.clocks = clocks != NULL ? *clocks : system;
    budget.told = &header->budget;
    budget.share = (double)header->budget.ppm / 1e6;
    budget.spent_ns = budget.last_spent_ns = 0;
    budget.vain_ns = budget.last_vain_ns = 0;
    budget.recent_sample_ns = budget.recent_vain_ns = budget.recent_processor_ns = 0;
    budget.calm = 0;
    budget.indebted = false;
    budget.began_processor_ns = budget.last_processor_ns = budget.clocks.processor_ns();
    budget.next_ns = budget.clocks.now_ns() + step_ns;
    set_early(0);
}

// What the looks in vain leave of the limit. They do not follow the mean, so it cannot make up for
// more than so much of them: a quarter is for samples.
static double left_for_samples(double limit)
{
    double left = limit - budget.recent_vain_ns / budget.recent_processor_ns;
    return left > limit / 4 ? left : limit / 4;
}

// Repaying a debt, the process gets a part of its budget until nine tenths of all are used again.
static double limit_of_now(uint64_t processor_ns, uint64_t spent_ns)
{
    double used = (double)spent_ns / (double)(processor_ns - budget.began_processor_ns);
    budget.indebted = used > budget.share * (budget.indebted ? 0.9 : 1);
    return budget.indebted ? budget.share * in_debt : budget.share;
}

static int rungs_up(double used, double limit, uint32_t place)
{
    int rungs = 0;
    for (; used > aim * limit && place + 1 < OH_FORMAT_MEANS; place++, rungs++)
        used /= root_two;
    return rungs;
}

// Further than one only while there is twice the room.
static int rungs_down(double used, double limit, uint32_t place)
{
    int rungs = 1;
    for (used *= root_two; used * root_two <= aim * limit / 2 && place > (uint32_t)rungs; rungs++)
        used *= root_two;
    return rungs;
}

// By how many rungs the mean is to rise; negative: to fall.
static int choose(double used, double limit, uint32_t place)
{
    if (used > limit) {
        budget.calm = 0;
        return rungs_up(used, limit, place);
    }
    if (used * root_two > aim * limit || place == 0) {
        budget.calm = 0;
        return 0;
    }
    if (++budget.calm < CALM_STEPS)
        return 0;
    budget.calm = CALM_STEPS - CALM_AGAIN;
    return -rungs_down(used, limit, place);
}

static void move(int rungs)
{
    struct oh_format_budget *told = budget.told;
    uint32_t place = (uint32_t)((int)told->mean + rungs);
    for (; rungs > 0; rungs--)
        budget.recent_sample_ns /= root_two;
    for (; rungs < 0; rungs++)
        budget.recent_sample_ns *= root_two;
    // The range first: whoever reads finds the mean of now inside.
    if (place < told->finest)
        oh_store32_relaxed(&told->finest, place);
    if (place > told->coarsest)
        oh_store32_relaxed(&told->coarsest, place);
    oh_store32_relaxed(&told->mean, place);
    oh_store32_relaxed(&told->changes, told->changes + 1);
    oh_sampler_set_mean(place);
}

static void step(void)
{
    uint64_t processor_ns = budget.clocks.processor_ns();
    uint64_t vain_ns = oh_load_relaxed(&budget.vain_ns);
    uint64_t spent_ns = oh_load_relaxed(&budget.spent_ns);
    double processor = (double)(processor_ns - budget.last_processor_ns);
    double spent = (double)(spent_ns - budget.last_spent_ns);
    if (processor_ns < budget.last_processor_ns + least_processor_ns ||
        (spent < (double)evidence_ns && processor * budget.share < (double)evidence_ns))
        return;
    double vain = (double)(vain_ns - budget.last_vain_ns);
    budget.last_processor_ns = processor_ns;
    budget.last_spent_ns = spent_ns;
    budget.last_vain_ns = vain_ns;
    budget.recent_processor_ns = budget.recent_processor_ns * forget + processor;
    budget.recent_vain_ns = budget.recent_vain_ns * forget + vain;
    budget.recent_sample_ns = budget.recent_sample_ns * forget + (spent > vain ? spent - vain : 0);
    oh_store_relaxed(&budget.told->spent_ns, spent_ns);
    oh_store_relaxed(&budget.told->cpu_ns, processor_ns - budget.began_processor_ns);
    double limit = limit_of_now(processor_ns, spent_ns);
    int rungs = choose(budget.recent_sample_ns / budget.recent_processor_ns,
                       left_for_samples(limit), budget.told->mean);
    if (rungs != 0)
        move(rungs);
}

static OH_COLD OH_NOINLINE void take_step(uint64_t next_ns, uint64_t now_ns)
{
    if (!oh_cas_acq_rel(&budget.next_ns, &next_ns, never))
        return;
    step();
    set_early(oh_load_relaxed(&budget.spent_ns));
    oh_store_release(&budget.next_ns, now_ns + step_ns);
}

static void account(const struct kind *kind, uint64_t began, uint64_t ended)
{
    uint64_t took = ended > began ? ended - began : 0;
    took = ((took < kind->most_ns ? took : kind->most_ns) + kind->flat_ns) * kind->times;
    uint64_t spent_ns = oh_add_relaxed(&budget.spent_ns, took) + took;
    if (kind == &a_look)
        (void)oh_add_relaxed(&budget.vain_ns, took);
    uint64_t next_ns = oh_load_relaxed(&budget.next_ns);
    bool early = spent_ns >= oh_load_relaxed(&budget.early_spent_ns);
    if (oh_unlikely(ended >= (early ? next_ns - early_ns : next_ns)))
        take_step(next_ns, ended);
}

uint64_t oh_budget_begin(void)
{
    return budget.clocks.now_ns();
}

void oh_budget_end(uint64_t began)
{
    account(&a_sample, began, budget.clocks.now_ns());
}

void oh_budget_visit(void)
{
    uint64_t now = budget.clocks.now_ns();
    account(&a_visit, now, now);
}

// One in sixteen of each thread, and not by the block: a loop that frees one block whose flag is
// set by another's would have all of its looks timed or none. Where a thread begins is left to its
// address, so that the first looks of many count neither always nor never.
uint64_t oh_budget_begin_free(struct oh_thread *thread)
{
    uint64_t number = oh_hash_mix((uint64_t)(uintptr_t)thread) + thread->looks++;
    return number % FREES_PER_LOOK == 0 ? budget.clocks.now_ns() : 0;
}

void oh_budget_end_free(uint64_t began, bool recorded)
{
    if (began != 0)
        account(recorded ? &a_free : &a_look, began, budget.clocks.now_ns());
}
