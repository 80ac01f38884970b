// SPDX-License-Identifier: Apache-2.0
//
// What a recording says of a process that is gone.

#include "memory/past.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/human.h"
#include "memory/trend.h"
#include "offheap/step.h"
#include "profile/arena.h"
#include "profile/holdings.h"
#include "profile/writer.h"

enum {
    OH_PAST_STEPS = 10,
    OH_PAST_VALUES = OH_PAST_STEPS + 1,
    OH_PAST_START_PART = 10, // The first tenth of a life is its start.
    OH_PAST_LONGEST_S = 21600,
};

static const double kib = 1024;
static const double ns_per_s = 1e9;
static const double burst_share = 0.1;
static const double overhead_share = 0.2;
static const size_t arena_bytes = (size_t)1 << 36; // Of address space at most.

// --- What was held

struct oh_holding_sum {
    const struct oh_holdings *holdings;
    struct oh_past *past;
    double variance;
    double unit; // Objects are counted in.
};

static void sum_up(struct oh_holding_sum *sum, const struct oh_view_stack *stack,
                   const struct oh_holding *held)
{
    struct oh_past *const past = sum->past;
    past->held[stack->kind].bytes += (double)held->bytes;
    past->held[stack->kind].objects += (double)held->objects * sum->unit;
    past->before[stack->kind] += (double)oh_step_unpack(oh_step_at(&stack->steps, past->past_s));
}

static int add_stack(void *arg, const struct oh_view_stack *stack)
{
    struct oh_holding_sum *const sum = arg;
    const struct oh_holding held = oh_holdings_of(sum->holdings, stack->ref);
    sum->variance += oh_holdings_bytes_variance(sum->holdings, stack);
    if (stack->kind < OH_KIND_COUNT) {
        sum_up(sum, stack, &held);
    }
    return 0;
}

// Fills what is held; *error: that of what changed since the second since_s.
static int read_held(struct oh_reader *reader, uint32_t since_s, struct oh_past *past,
                     double *error)
{
    const struct oh_format_header *const header = reader->view.header;
    const struct oh_writer_options options = {.errors_since_s = since_s};
    const uint64_t damaged = reader->view.damaged;
    struct oh_arena arena;
    struct oh_holdings holdings;
    struct oh_holding_sum sum = {
        .holdings = &holdings, .past = past, .unit = 1 / (double)(1ull << header->weight_shift)};
    memset(past->held, 0, sizeof past->held);
    memset(past->before, 0, sizeof past->before);
    int result = oh_arena_init_large(&arena, arena_bytes);
    if (result == 0) {
        result = oh_holdings_read(&holdings, &reader->view, &options, &arena);
    }
    if (result == 0) {
        result = oh_view_each_stack(&reader->view, add_stack, &sum);
    }
    reader->view.damaged = damaged; // Who reads the stacks next counts the same ones.
    oh_arena_fini(&arena);
    *error = sqrt(sum.variance);
    return result;
}

static double second_of(const struct oh_format_step *step)
{
    return (double)step->time_ns / ns_per_s;
}

uint32_t oh_past_first_second(const struct oh_timeline *timeline)
{
    if (timeline->count == 0) {
        return 0;
    }
    const uint32_t newest = (uint32_t)second_of(&timeline->steps[timeline->count - 1]);
    const uint32_t start = newest / OH_PAST_START_PART;
    const uint32_t longest = newest > OH_PAST_LONGEST_S ? newest - OH_PAST_LONGEST_S : 0;
    const uint32_t first = (uint32_t)second_of(&timeline->steps[0]);
    return (uint32_t)fmax(first, fmax(start, longest));
}

int oh_past_read(struct oh_reader *reader, const struct oh_timeline *timeline, uint32_t past_s,
                 uint32_t end_s, struct oh_past *past, struct oh_err *err)
{
    const struct oh_format_header *const header = reader->view.header;
    *past = (struct oh_past){.timeline = timeline,
                             .start_realtime_ns = header->start_realtime_ns,
                             .pid = header->pid,
                             .past_s = past_s,
                             .end_s = end_s,
                             .is_exact = header->mode == OH_MODE_EXACT,
                             .is_go = (header->flags & OH_FLAG_GO_MAIN) != 0};
    int result = read_held(reader, oh_past_first_second(timeline), past, &past->error);
    past->past_error = past->error;
    if (result == 0 && !past->is_exact) {
        result = read_held(reader, past_s, past, &past->past_error);
    }
    return result < 0 ? oh_err_no_memory(err) : 0;
}

// --- What grew

// Of the steps from a second on to the newest, and (but for the resident size) of the end.
struct oh_series {
    double live[OH_PAST_VALUES];
    double maps[OH_PAST_VALUES];
    double resident[OH_PAST_STEPS];
    double rest[OH_PAST_STEPS]; // Resident, and neither C live nor in C maps.
    double go_mapped[OH_PAST_STEPS];
    size_t count; // Of steps.
    bool has_maps, has_resident;
    double error;        // Of the growth of C live.
    double seconds;      // From the first to the end,
    double step_seconds; // and to the newest step.
};

static double known(uint64_t bytes, bool *has)
{
    *has = *has && bytes != OH_FORMAT_STEP_ABSENT;
    return bytes != OH_FORMAT_STEP_ABSENT ? (double)bytes : 0;
}

static void add_step(struct oh_series *series, const struct oh_format_step *step)
{
    const size_t i = series->count++;
    series->live[i] = (double)step->inuse_bytes[OH_KIND_MALLOC];
    series->maps[i] = known(step->inuse_bytes[OH_KIND_MMAP], &series->has_maps) +
                      known(step->inuse_bytes[OH_KIND_SHM], &series->has_maps);
    series->go_mapped[i] = known(step->inuse_bytes[OH_KIND_GO_RUNTIME], &series->has_maps);
    series->resident[i] = known(step->resident_bytes, &series->has_resident);
    series->rest[i] = series->resident[i] - series->live[i] - series->maps[i];
}

static void collect(const struct oh_past *past, uint32_t from_s, struct oh_series *series)
{
    const struct oh_timeline *const timeline = past->timeline;
    const struct oh_format_step *last = NULL;
    *series = (struct oh_series){.has_maps = true, .has_resident = true, .error = past->error};
    if (from_s == 0 || timeline->count == 0) {
        return;
    }
    const double newest = second_of(&timeline->steps[timeline->count - 1]);
    for (uint32_t i = 0; i < OH_PAST_STEPS; i++) {
        const double second = from_s + (newest - from_s) * i / (OH_PAST_STEPS - 1);
        const struct oh_format_step *const step = oh_timeline_at(timeline, (int64_t)second);
        if (step != NULL && step != last) {
            add_step(series, step);
            last = step;
        }
    }
    series->step_seconds = newest - from_s;
    series->seconds = fmax((double)past->end_s - from_s, series->step_seconds);
    if (from_s == past->past_s) {
        // The steps lie further apart than what the stacks remember: as in the table of stacks.
        series->live[0] = past->before[OH_KIND_MALLOC];
        series->maps[0] = past->before[OH_KIND_MMAP] + past->before[OH_KIND_SHM];
        series->error = past->past_error;
    }
    series->live[series->count] = past->held[OH_KIND_MALLOC].bytes;
    series->maps[series->count] = past->held[OH_KIND_MMAP].bytes + past->held[OH_KIND_SHM].bytes;
}

struct oh_past_part {
    enum oh_finding_kind kind;
    enum oh_memory_part part;
    const double *values;
    size_t count;
    double noise;
    double error;
    double seconds;
    const char *what;
};

// More at the end than ever before, without a trend: what a process that fails at once looks like.
static void judge_burst(const struct oh_past_part *p, struct oh_verdict *verdict)
{
    double most = 0;
    for (size_t i = 0; i + 1 < p->count; i++) {
        most = fmax(most, p->values[i]);
    }
    const double above = p->values[p->count - 1] - most;
    if (above > p->noise && above > burst_share * most) {
        oh_finding_say(oh_finding_add(verdict, OH_FINDING_BURST, p->part, above, p->error),
                       "at its end: %s was %s more than at any time in the %.0f s before (a burst, "
                       "or the top of a wave)",
                       p->what, oh_human_size(above).text, p->seconds);
    }
}

static struct oh_finding *judge(const struct oh_past_part *p, struct oh_verdict *verdict)
{
    const double grown = p->values[p->count - 1] - p->values[0];
    switch (oh_trend_find(p->values, p->count, p->noise)) {
    case OH_TREND_RISES: {
        struct oh_finding *const finding =
            oh_finding_add(verdict, p->kind, p->part, grown, p->error);
        oh_finding_say_growth(finding, p->what, p->seconds);
        return finding;
    }
    case OH_TREND_LEVELS:
        oh_finding_say(oh_finding_add(verdict, OH_FINDING_LEVELS, p->part, grown, p->error),
                       "levels off: %s rose by %s in the first half of %.0f s, and hardly since",
                       p->what, oh_human_size(grown).text, p->seconds);
        return NULL;
    case OH_TREND_NONE: judge_burst(p, verdict); return NULL;
    }
    return NULL;
}

static void judge_live(const struct oh_series *series, struct oh_verdict *verdict)
{
    const struct oh_noise noise = {64 * kib, 0.01};
    const struct oh_past_part part = {
        .kind = OH_FINDING_C_LIVE,
        .part = OH_PART_C_LIVE,
        .values = series->live,
        .count = series->count + 1,
        .noise = fmax(2 * series->error, oh_noise_of(&noise, series->live[0])),
        .error = series->error,
        .seconds = series->seconds,
        .what = "C live"};
    struct oh_finding *const finding = judge(&part, verdict);
    const double resident = series->resident[series->count - 1] - series->resident[0];
    if (finding == NULL) {
        return;
    }
    verdict->c_live_grows = true;
    if (series->has_resident && resident < finding->bytes / 2) {
        oh_finding_say(finding,
                       "; the resident size did not show it (%s%s): it was filled from what the "
                       "allocator had kept, or is not touched",
                       resident >= 0 ? "+" : "", oh_human_size(resident).text);
    }
}

static void judge_maps(const struct oh_series *series, struct oh_verdict *verdict)
{
    const struct oh_noise noise = {64 * kib, 0.01};
    const struct oh_past_part part = {.kind = OH_FINDING_MAPS,
                                      .part = OH_PART_MMAP,
                                      .values = series->maps,
                                      .count = series->count + 1,
                                      .noise = oh_noise_of(&noise, series->maps[0]),
                                      .seconds = series->seconds,
                                      .what = "maps that C code made"};
    if (series->has_maps) {
        (void)judge(&part, verdict);
    }
}

// Memory that was allocated and not touched makes the rest smaller, and then larger when it is
// touched. Where there is more of it than of the rest, that is all that a rise can tell.
static bool is_hidden(const struct oh_series *series)
{
    for (size_t i = 0; i < series->count; i++) {
        if (series->rest[i] < 0) {
            return true;
        }
    }
    return false;
}

// What the allocator adds to live blocks, headers and rounding, grows with them.
static void judge_rest(const struct oh_past *past, const struct oh_series *series,
                       struct oh_verdict *verdict)
{
    const double allocators = overhead_share * (series->live[series->count - 1] - series->live[0]);
    const struct oh_noise noise = {1024 * kib, 0.02};
    const bool hidden = is_hidden(series);
    const bool is_go = past->is_go && !hidden;
    const struct oh_past_part part = {
        .kind = is_go ? OH_FINDING_GO : OH_FINDING_OTHER,
        .part = is_go ? OH_PART_GO : OH_PART_COUNT,
        .values = series->rest,
        .count = series->count,
        .noise = allocators + fmax(3 * series->error, oh_noise_of(&noise, series->resident[0])),
        .error = series->error,
        .seconds = series->step_seconds,
        .what = hidden  ? "the resident size, but not what C has allocated: of that much was not "
                          "resident before, and is touched now"
                : is_go ? "the resident size beyond C live and C's maps: Go's heap, or what the "
                          "allocator keeps, files, memory that is touched late"
                        : "the resident size beyond C live and C's maps: what the allocator keeps "
                          "or adds, thread stacks, files, offheap's tables, memory that is touched "
                          "late"};
    const double mapped = series->go_mapped[series->count - 1] - series->go_mapped[0];
    if (!series->has_resident || !series->has_maps) {
        return;
    }
    struct oh_finding *const finding = judge(&part, verdict);
    if (past->is_go) {
        oh_finding_say(finding, "; the Go runtime mapped %s more meanwhile",
                       mapped > 0 ? oh_human_size(mapped).text : "nothing");
    }
}

static void say_not_growing(const struct oh_past *past, const struct oh_series *series,
                            struct oh_verdict *verdict)
{
    const double change = series->resident[series->count - 1] - series->resident[0];
    struct oh_finding *const finding = oh_finding_add(
        verdict, OH_FINDING_NOT_GROWING, OH_PART_COUNT, series->has_resident ? change : 0, 0);
    oh_finding_say(finding, "not growing: neither C live nor C's maps rose steadily in %.0f s",
                   series->seconds);
    if (series->has_resident) {
        oh_finding_say(finding, " (resident size %s%s)", change >= 0 ? "+" : "",
                       oh_human_size(change).text);
    }
    if (!past->is_exact) {
        oh_finding_say(finding, "; of C live, less than %s would not show",
                       oh_human_size(fmax(2 * series->error, 64 * kib)).text);
    }
}

static void judge_from(struct oh_past *past, uint32_t from_s, struct oh_verdict *verdict)
{
    struct oh_series series;
    *verdict = (struct oh_verdict){0};
    past->judged_s = from_s;
    collect(past, from_s, &series);
    if (series.count + 1 < OH_TREND_LEAST) {
        oh_finding_say(oh_finding_add(verdict, OH_FINDING_ONE_LOOK, OH_PART_COUNT, 0, 0),
                       "what grew cannot be told: the recording is too young, or has no time line");
        return;
    }
    judge_live(&series, verdict);
    judge_maps(&series, verdict);
    judge_rest(past, &series, verdict);
    oh_verdict_sort(verdict);
    if (!oh_verdict_is_growing(verdict)) {
        say_not_growing(past, &series, verdict);
        oh_verdict_bring_to_front(verdict);
    }
}

void oh_past_judge(struct oh_past *past, struct oh_verdict *verdict)
{
    const uint32_t first_s = past->past_s != 0 ? oh_past_first_second(past->timeline) : 0;
    judge_from(past, first_s, verdict);
    if (!oh_verdict_is_growing(verdict) && past->past_s > first_s) {
        struct oh_verdict late;
        judge_from(past, past->past_s, &late);
        if (oh_verdict_is_growing(&late)) {
            *verdict = late;
        } else {
            past->judged_s = first_s;
        }
    }
}
