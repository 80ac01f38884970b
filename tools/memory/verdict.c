// SPDX-License-Identifier: Apache-2.0
//
// What several looks say.

#include "memory/verdict.h"

#include <math.h>
#include <string.h>

#include "base/human.h"
#include "memory/trend.h"

static const double kib = 1024;

struct oh_judging {
    const struct oh_look *looks;
    size_t count;
    struct oh_verdict *verdict;
};

typedef double oh_value_fn(const struct oh_look *look);

static double seconds(const struct oh_judging *j)
{
    return (double)(j->looks[j->count - 1].time_ns - j->looks[0].time_ns) / 1e9;
}

// The trend of a part; *grown: from the first look to the last.
static enum oh_trend trend_of(const struct oh_judging *j, oh_value_fn *value, double noise,
                              double *grown)
{
    double values[OH_VERDICT_LOOKS];
    for (size_t i = 0; i < j->count; i++) {
        values[i] = value(&j->looks[i]);
    }
    *grown = values[j->count - 1] - values[0];
    return oh_trend_find(values, j->count, noise);
}

static double noise_of(const struct oh_judging *j, oh_value_fn *value, struct oh_noise noise)
{
    return oh_noise_of(&noise, value(&j->looks[0]));
}

static double value_resident(const struct oh_look *look)
{
    return look->resident;
}

// What is swapped out is held as well.
static double value_live(const struct oh_look *look)
{
    return look->live.resident + look->live.swapped;
}

static double value_untouched(const struct oh_look *look)
{
    return fmax(0, look->live.allocated - value_live(look));
}

static double value_go(const struct oh_look *look)
{
    return look->parts[OH_PART_GO];
}

static double value_maps(const struct oh_look *look)
{
    return look->parts[OH_PART_MMAP] + look->parts[OH_PART_RESERVE] + look->parts[OH_PART_SHM];
}

static double value_retained(const struct oh_look *look)
{
    return look->parts[OH_PART_RETAINED];
}

static double value_heap(const struct oh_look *look)
{
    return look->parts[OH_PART_HEAP];
}

static double value_unclaimed(const struct oh_look *look)
{
    return look->parts[OH_PART_UNCLAIMED];
}

static double value_stacks(const struct oh_look *look)
{
    return look->parts[OH_PART_STACKS];
}

static double value_files(const struct oh_look *look)
{
    return look->parts[OH_PART_FILES];
}

static double value_static(const struct oh_look *look)
{
    return look->parts[OH_PART_PROGRAM] + look->parts[OH_PART_LIBRARIES];
}

static double value_recorder(const struct oh_look *look)
{
    return look->parts[OH_PART_RECORDER];
}

static void say_level(const struct oh_judging *j, enum oh_memory_part part, double grown,
                      const char *what)
{
    oh_finding_say(
        oh_finding_add(j->verdict, OH_FINDING_LEVELS, part, grown, 0),
        "levels off: %s rose by %s in the first half of %.0f s, and hardly since (one step, or a "
        "warm-up): a longer --watch tells",
        what, oh_human_size(grown).text, seconds(j));
}

// A leak is not seen in the resident size while it is filled from what the allocator keeps.
static void say_hidden(const struct oh_judging *j, struct oh_finding *finding)
{
    const struct oh_look *const first = &j->looks[0];
    const struct oh_look *const last = &j->looks[j->count - 1];
    const double grown = finding->bytes;
    const double resident_grown = last->resident - first->resident;
    const double retained_shrunk = value_retained(first) - value_retained(last);
    const double overhead_grown = last->live.overhead - first->live.overhead;
    if (resident_grown < grown / 2 && retained_shrunk > grown / 2) {
        oh_finding_say(
            finding,
            "; the resident size does not show it (%s%s), for it is filled from what the "
            "allocator had kept (retention -%s)",
            resident_grown >= 0 ? "+" : "", oh_human_size(resident_grown).text,
            oh_human_size(retained_shrunk).text);
    }
    if (overhead_grown > grown / 4) {
        oh_finding_say(finding, "; with what the allocator adds to such blocks +%s",
                       oh_human_size(grown + overhead_grown).text);
    }
}

// What C live must grow by to be told from its error.
static double live_noise(const struct oh_judging *j, double *error)
{
    const struct oh_noise noise = {64 * kib, 0.01};
    *error =
        sqrt(oh_live_variance_between(&j->looks[0].blocks, &j->looks[j->count - 1].blocks, NULL));
    return fmax(2 * *error, noise_of(j, value_live, noise));
}

// How far the value went up and down, from that look on.
static double range_of(const struct oh_judging *j, oh_value_fn *value, size_t first)
{
    double least = value(&j->looks[first]);
    double most = least;
    for (size_t i = first; i < j->count; i++) {
        least = fmin(least, value(&j->looks[i]));
        most = fmax(most, value(&j->looks[i]));
    }
    return most - least;
}

// A few stacks may rise steadily while all of C live goes up and down.
static void judge_stacks(struct oh_judging *j)
{
    struct oh_risers *const risers = &j->verdict->risers;
    double grown = 0;
    double variance = 0;
    oh_risers_find(j->looks, j->count, risers);
    for (size_t i = 0; i < risers->count; i++) {
        grown += risers->list[i].grown;
        variance += risers->list[i].variance;
    }
    // Sums by stack are of what is allocated; what nobody touches is told apart.
    const double untouched =
        value_untouched(&j->looks[j->count - 1]) - value_untouched(&j->looks[0]);
    if (risers->count == 0 || untouched > grown / 2) {
        risers->count = 0;
        return;
    }
    struct oh_finding *const finding =
        oh_finding_add(j->verdict, OH_FINDING_C_LIVE, OH_PART_C_LIVE, grown, sqrt(variance));
    oh_finding_say_growth(finding, "C live of the stacks below", seconds(j));
    oh_finding_say(finding, "; all of C live went up and down by %s meanwhile",
                   oh_human_size(range_of(j, value_live, 0)).text);
    j->verdict->c_live_grows = finding != NULL;
}

static void judge_live(struct oh_judging *j)
{
    double error = 0;
    double grown = 0;
    if (!j->looks[0].has_recording || !j->looks[j->count - 1].has_recording) {
        return;
    }
    const enum oh_trend trend = trend_of(j, value_live, live_noise(j, &error), &grown);
    if (trend == OH_TREND_LEVELS) {
        say_level(j, OH_PART_C_LIVE, grown, "C live");
    }
    if (trend != OH_TREND_RISES) {
        judge_stacks(j);
        return;
    }
    struct oh_finding *const finding =
        oh_finding_add(j->verdict, OH_FINDING_C_LIVE, OH_PART_C_LIVE, grown, error);
    if (finding != NULL) {
        oh_finding_say_growth(finding, "C live", seconds(j));
        say_hidden(j, finding);
        j->verdict->c_live_grows = true;
    }
}

// Blocks that are allocated and never touched are no memory, and may be a leak nevertheless.
static void judge_untouched(struct oh_judging *j)
{
    double error = 0;
    double grown = 0;
    const double noise = fmax(1024 * kib, live_noise(j, &error));
    if (!j->looks[0].has_recording || !j->looks[j->count - 1].has_recording ||
        trend_of(j, value_untouched, noise, &grown) != OH_TREND_RISES) {
        return;
    }
    oh_finding_say(
        oh_finding_add(j->verdict, OH_FINDING_UNTOUCHED, OH_PART_C_LIVE, grown, error),
        "allocated and not touched: %s more in %.0f s; blocks of malloc that are address space, "
        "and "
        "not yet memory",
        oh_human_size(grown).text, seconds(j));
}

struct oh_grower {
    enum oh_finding_kind kind;
    enum oh_memory_part part;
    oh_value_fn *value;
    struct oh_noise noise;
    const char *what;
};

static void judge_part(struct oh_judging *j, const struct oh_grower *g)
{
    double grown = 0;
    const enum oh_trend trend = trend_of(j, g->value, noise_of(j, g->value, g->noise), &grown);
    if (trend == OH_TREND_RISES) {
        oh_finding_say_growth(oh_finding_add(j->verdict, g->kind, g->part, grown, 0), g->what,
                              seconds(j));
    } else if (trend == OH_TREND_LEVELS) {
        say_level(j, g->part, grown, g->what);
    }
}

static void judge_parts(struct oh_judging *j)
{
    const bool has_mapped = j->looks[j->count - 1].has_mapped;
    const struct oh_grower growers[] = {
        {OH_FINDING_GO, OH_PART_GO, value_go, {1024 * kib, 0.02}, "Go heap (the Go runtime)"},
        {OH_FINDING_MAPS, OH_PART_MMAP, value_maps, {64 * kib, 0.01}, "maps that C code made"},
        {OH_FINDING_OTHER, OH_PART_STACKS, value_stacks, {256 * kib, 0.05}, "thread stacks"},
        {OH_FINDING_OTHER, OH_PART_FILES, value_files, {256 * kib, 0.02}, "mapped files"},
        {OH_FINDING_OTHER,
         OH_PART_PROGRAM,
         value_static,
         {512 * kib, 0.05},
         "program and libraries (code that is used, and static data)"},
        {OH_FINDING_OTHER, OH_PART_RECORDER, value_recorder, {512 * kib, 0.05}, "offheap itself"},
        {OH_FINDING_OTHER,
         OH_PART_HEAP,
         value_heap,
         {256 * kib, 0.01},
         "malloc's areas (not recorded, so live blocks and retention cannot be told apart)"},
        {OH_FINDING_OTHER,
         OH_PART_UNCLAIMED,
         value_unclaimed,
         {256 * kib, 0.02},
         has_mapped ? "memory that nobody claims (mapped by raw system calls)"
                    : "memory that nobody claims (maps are not recorded: C code's, or Go's)"},
    };
    for (size_t i = 0; i < sizeof growers / sizeof growers[0]; i++) {
        judge_part(j, &growers[i]);
    }
}

// When no part alone grows by more than its noise, all of them together may.
static void judge_whole(struct oh_judging *j)
{
    double grown = 0;
    const struct oh_noise noise = {256 * kib, 0.01};
    const enum oh_trend trend =
        trend_of(j, value_resident, noise_of(j, value_resident, noise), &grown);
    if (trend == OH_TREND_RISES) {
        oh_finding_say_growth(
            oh_finding_add(j->verdict, OH_FINDING_OTHER, OH_PART_COUNT, grown, 0),
            "the resident size, of which no one part rises steadily by more than its noise",
            seconds(j));
    }
}

static double retained_grown(const struct oh_judging *j)
{
    const struct oh_noise noise = {512 * kib, 0.02};
    double grown = 0;
    const double least = fmax(2 * oh_look_retained_error(&j->looks[j->count - 1]),
                              noise_of(j, value_retained, noise));
    return trend_of(j, value_retained, least, &grown) == OH_TREND_RISES ? grown : 0;
}

// Worth a word from a fifth of the resident size on, when it is not all error; or when it grows.
static void judge_retained(struct oh_judging *j)
{
    const struct oh_look *const last = &j->looks[j->count - 1];
    const double retained = value_retained(last);
    const double error = oh_look_retained_error(last);
    const double grown = last->has_recording ? retained_grown(j) : 0;
    const bool is_large = retained > last->resident / 5 && retained > 4 * 1024 * kib;
    if (!last->has_recording || retained < 2 * error || (!is_large && grown <= 0)) {
        return;
    }
    struct oh_finding *const finding =
        oh_finding_add(j->verdict, grown > 0 ? OH_FINDING_RETAINED_GROWS : OH_FINDING_RETAINED,
                       OH_PART_RETAINED, grown > 0 ? grown : retained, error);
    if (grown > 0) {
        oh_finding_say_growth(finding, "allocator retention", seconds(j));
        oh_finding_say(finding, "%s; ",
                       last->is_exact
                           ? ""
                           : ": freed blocks that are kept, or live ones so small that samples "
                             "do not show them (--exact would)");
    }
    oh_finding_say(finding, "retained by the allocator: %s of its %s hold no live block",
                   oh_human_size(retained).text, oh_human_size(last->heap).text);
    if (error > 0) {
        oh_finding_say(finding, " (±%s)", oh_human_size(error).text);
    }
    oh_finding_say(finding, ", C live is %s", oh_human_size(value_live(last)).text);
    if (last->free_pages > 0) {
        oh_finding_say(finding,
                       "; %s are whole free pages, which %s could give back (--trim tries)",
                       oh_human_size(last->free_pages).text,
                       last->allocator == OH_ALLOCATOR_JEMALLOC ? "a purge" : "malloc_trim");
    }
}

static void say_not_growing(struct oh_judging *j)
{
    double error = 0;
    const struct oh_look *const last = &j->looks[j->count - 1];
    const double change = value_resident(last) - value_resident(&j->looks[0]);
    struct oh_finding *const finding =
        oh_finding_add(j->verdict, OH_FINDING_NOT_GROWING, OH_PART_COUNT, change, 0);
    oh_finding_say(finding, "not growing: no part rose steadily in %.0f s (resident size %s%s)",
                   seconds(j), change >= 0 ? "+" : "", oh_human_size(change).text);
    if (last->has_recording) {
        const double unseen = last->is_exact ? 0 : 2 * (double)last->blocks.mean_bytes;
        const double least = fmax(live_noise(j, &error), unseen);
        oh_finding_say(finding, "; of C live, less than %s would not show",
                       oh_human_size(fmax(least, range_of(j, value_live, j->count / 2))).text);
    }
}

static void judge_growth(struct oh_judging *j)
{
    judge_live(j);
    judge_parts(j);
    judge_retained(j);
    if (!oh_verdict_is_growing(j->verdict)) {
        judge_whole(j);
    }
    oh_verdict_sort(j->verdict);
    if (!oh_verdict_is_growing(j->verdict)) {
        say_not_growing(j);
        oh_verdict_bring_to_front(j->verdict);
    }
    judge_untouched(j);
}

void oh_verdict_find(const struct oh_look *looks, size_t count, struct oh_verdict *verdict)
{
    struct oh_judging j = {.looks = looks, .count = count, .verdict = verdict};
    *verdict = (struct oh_verdict){0};
    if (count >= OH_TREND_LEAST) {
        judge_growth(&j);
        return;
    }
    oh_finding_say(oh_finding_add(verdict, OH_FINDING_ONE_LOOK, OH_PART_COUNT, 0, 0), "%s",
                   count == 1
                       ? "one look shows where memory is, not what grows: --watch 30s"
                       : "two looks show a change, not a trend: a longer --watch tells what grows");
    judge_retained(&j);
}

void oh_verdict_explain_go(struct oh_verdict *verdict, const struct oh_gostats *first,
                           const struct oh_gostats *last)
{
    const double least_rise = 1.05;
    for (size_t i = 0; i < verdict->count; i++) {
        struct oh_finding *const finding = &verdict->findings[i];
        if (finding->kind != OH_FINDING_GO) {
            continue;
        }
        if (first == NULL || last == NULL) {
            oh_finding_say(finding,
                           "; garbage that is not collected yet is in it (--go URL tells)");
            continue;
        }
        const bool is_alive = (double)last->next_gc > least_rise * (double)first->next_gc;
        oh_finding_say(finding, "; the collector's goal (NextGC) went from %s to %s: %s",
                       oh_human_size((double)first->next_gc).text,
                       oh_human_size((double)last->next_gc).text,
                       is_alive ? "more is alive" : "it is garbage so far");
    }
}
