// SPDX-License-Identifier: Apache-2.0
//
// What several looks say.

#include "memory/verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"

// What is no growth: the larger of some bytes and a share of the part.
struct oh_noise {
    double bytes;
    double share;
};

static const double kib = 1024;

struct oh_judging {
    const struct oh_look *looks;
    size_t count;
    struct oh_verdict *verdict;
};

typedef double oh_value_fn(const struct oh_look *look);

static struct oh_finding *add(struct oh_verdict *verdict, enum oh_finding_kind kind,
                              enum oh_memory_part part, double bytes, double error)
{
    if (verdict->count == OH_FINDINGS_MAX) {
        return NULL;
    }
    struct oh_finding *const finding = &verdict->findings[verdict->count++];
    *finding = (struct oh_finding){.kind = kind, .part = part, .bytes = bytes, .error = error};
    return finding;
}

__attribute__((format(printf, 2, 3))) static void say(struct oh_finding *finding, const char *fmt,
                                                      ...)
{
    if (finding == NULL) {
        return;
    }
    const size_t used = strlen(finding->text);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(finding->text + used, sizeof finding->text - used, fmt, args);
    va_end(args);
}

struct oh_size {
    char text[OH_HUMAN_BYTES];
};

static struct oh_size size_of(double bytes)
{
    struct oh_size size;
    oh_human_format_bytes(bytes, size.text);
    return size;
}

static double seconds(const struct oh_judging *j)
{
    return (double)(j->looks[j->count - 1].time_ns - j->looks[0].time_ns) / 1e9;
}

// Between the first and the last look, when the later half lies above the earlier one; else 0.
static double growth(const struct oh_judging *j, oh_value_fn *value, double noise)
{
    const double first = value(&j->looks[0]);
    const double last = value(&j->looks[j->count - 1]);
    const size_t early = j->count / 2; // Looks of the earlier half; a middle one is in neither.
    double early_most = first;
    double late_least = last;
    for (size_t i = 0; i < early; i++) {
        early_most = fmax(early_most, value(&j->looks[i]));
        late_least = fmin(late_least, value(&j->looks[j->count - 1 - i]));
    }
    const bool grows = last - first > noise && late_least > early_most;
    return grows ? last - first : 0;
}

static double noise_of(const struct oh_judging *j, oh_value_fn *value, struct oh_noise noise)
{
    return fmax(noise.bytes, noise.share * value(&j->looks[0]));
}

static bool is_same(const struct oh_live_block *a, const struct oh_live_block *b)
{
    return a->address == b->address && a->size == b->size && a->stack == b->stack;
}

static double variance_of(const struct oh_live *live, const struct oh_live_block *block)
{
    const double objects = (double)block->weight / (double)(UINT64_C(1) << live->weight_shift);
    const double size = (double)block->size;
    return live->is_exact || objects <= 1 ? 0 : size * size * objects * (objects - 1);
}

// Of the difference between two looks: a block that is in both adds nothing to it.
static double variance_between(const struct oh_live *older, const struct oh_live *newer)
{
    double variance = 0;
    size_t i = 0;
    size_t k = 0;
    while (i < older->count || k < newer->count) {
        const struct oh_live_block *const a = i < older->count ? &older->blocks[i] : NULL;
        const struct oh_live_block *const b = k < newer->count ? &newer->blocks[k] : NULL;
        if (a != NULL && b != NULL && is_same(a, b)) {
            i++;
            k++;
        } else if (b == NULL || (a != NULL && a->address <= b->address)) {
            variance += variance_of(older, a);
            i++;
        } else {
            variance += variance_of(newer, b);
            k++;
        }
    }
    return variance;
}

static double value_resident(const struct oh_look *look)
{
    return look->resident;
}

static double value_live(const struct oh_look *look)
{
    return look->live.resident;
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

static void say_growth(const struct oh_judging *j, struct oh_finding *finding, const char *what)
{
    if (finding == NULL) {
        return;
    }
    char error[OH_HUMAN_BYTES + 8] = "";
    if (finding->error > 0) {
        (void)snprintf(error, sizeof error, " ±%s", size_of(finding->error).text);
    }
    const double per_hour = finding->bytes / fmax(seconds(j), 0.001) * 3600;
    say(finding, "growing: %s, +%s%s in %.0f s (%s an hour)", what, size_of(finding->bytes).text,
        error, seconds(j), size_of(per_hour).text);
}

// A leak is not seen in the resident size while it is filled from what the allocator keeps.
static void judge_live(struct oh_judging *j)
{
    const struct oh_look *const first = &j->looks[0];
    const struct oh_look *const last = &j->looks[j->count - 1];
    if (!first->has_recording || !last->has_recording) {
        return;
    }
    const double error = sqrt(variance_between(&first->blocks, &last->blocks));
    const struct oh_noise noise = {64 * kib, 0.01};
    const double grown = growth(j, value_live, fmax(2 * error, noise_of(j, value_live, noise)));
    if (grown <= 0) {
        return;
    }
    struct oh_finding *const finding =
        add(j->verdict, OH_FINDING_C_LIVE, OH_PART_C_LIVE, grown, error);
    say_growth(j, finding, "C live");
    const double resident_grown = last->resident - first->resident;
    const double retained_shrunk = value_retained(first) - value_retained(last);
    if (resident_grown < grown / 2 && retained_shrunk > grown / 2) {
        say(finding,
            "; the resident size does not show it (%s%s), for it is filled from what the "
            "allocator had kept (retention -%s)",
            resident_grown >= 0 ? "+" : "", size_of(resident_grown).text,
            size_of(retained_shrunk).text);
    }
    j->verdict->c_live_grows = true;
}

struct oh_grower {
    enum oh_finding_kind kind;
    enum oh_memory_part part;
    oh_value_fn *value;
    struct oh_noise noise;
    const char *what;
};

static void judge_parts(struct oh_judging *j)
{
    const struct oh_grower growers[] = {
        {OH_FINDING_GO, OH_PART_GO, value_go, {1024 * kib, 0.02}, "Go heap (the Go runtime)"},
        {OH_FINDING_MAPS, OH_PART_MMAP, value_maps, {64 * kib, 0.01}, "maps that C code made"},
        {OH_FINDING_OTHER, OH_PART_STACKS, value_stacks, {512 * kib, 0.05}, "thread stacks"},
        {OH_FINDING_OTHER, OH_PART_FILES, value_files, {1024 * kib, 0.05}, "mapped files"},
        {OH_FINDING_OTHER,
         OH_PART_HEAP,
         value_heap,
         {512 * kib, 0.01},
         "malloc's areas (not recorded, so live blocks and retention cannot be told apart)"},
        {OH_FINDING_OTHER,
         OH_PART_UNCLAIMED,
         value_unclaimed,
         {512 * kib, 0.02},
         "memory that nobody claims (mapped by raw system calls)"},
    };
    for (size_t i = 0; i < sizeof growers / sizeof growers[0]; i++) {
        const struct oh_grower *const g = &growers[i];
        const double grown = growth(j, g->value, noise_of(j, g->value, g->noise));
        if (grown > 0) {
            say_growth(j, add(j->verdict, g->kind, g->part, grown, 0), g->what);
        }
    }
}

static void sort(struct oh_verdict *verdict)
{
    for (size_t i = 1; i < verdict->count; i++) {
        for (size_t k = i; k > 0 && verdict->findings[k].bytes > verdict->findings[k - 1].bytes;
             k--) {
            const struct oh_finding swapped = verdict->findings[k];
            verdict->findings[k] = verdict->findings[k - 1];
            verdict->findings[k - 1] = swapped;
        }
    }
}

// Worth a word from a fifth of the resident size on, when it is not all error; or when it grows.
static void judge_retained(struct oh_judging *j)
{
    const struct oh_look *const last = &j->looks[j->count - 1];
    const double retained = value_retained(last);
    const double error = oh_look_error(last);
    const struct oh_noise noise = {1024 * kib, 0.02};
    const double grown = j->count > 1 ? growth(j, value_retained,
                                               fmax(2 * error, noise_of(j, value_retained, noise)))
                                      : 0;
    const bool is_large = retained > last->resident / 5 && retained > 4 * 1024 * kib;
    if (!last->has_recording || retained < 2 * error || (!is_large && grown <= 0)) {
        return;
    }
    struct oh_finding *const finding =
        add(j->verdict, OH_FINDING_RETAINED, OH_PART_RETAINED, retained, error);
    say(finding, "retained by the allocator: %s of its %s hold no live block",
        size_of(retained).text, size_of(last->heap).text);
    if (error > 0) {
        say(finding, " (±%s)", size_of(error).text);
    }
    say(finding, ", C live is %s", size_of(value_live(last)).text);
    if (grown > 0) {
        say(finding, "; it grew by %s in %.0f s", size_of(grown).text, seconds(j));
    }
    if (last->free_pages > 0) {
        say(finding, "; %s are whole free pages, which %s could give back (--trim tries)",
            size_of(last->free_pages).text,
            last->allocator == OH_ALLOCATOR_JEMALLOC ? "a purge" : "malloc_trim");
    }
}

void oh_verdict_find(const struct oh_look *looks, size_t count, struct oh_verdict *verdict)
{
    struct oh_judging j = {.looks = looks, .count = count, .verdict = verdict};
    *verdict = (struct oh_verdict){0};
    if (count > 1) {
        judge_live(&j);
        judge_parts(&j);
        sort(verdict);
    }
    const bool grows = verdict->count > 0;
    if (count == 1) {
        say(add(verdict, OH_FINDING_ONE_LOOK, OH_PART_COUNT, 0, 0),
            "one look shows where memory is, not what grows: --watch 30s");
    } else if (!grows) {
        const double change = value_resident(&looks[count - 1]) - value_resident(&looks[0]);
        say(add(verdict, OH_FINDING_NOT_GROWING, OH_PART_COUNT, change, 0),
            "not growing: no part rose steadily in %.0f s (resident size %s%s)", seconds(&j),
            change >= 0 ? "+" : "", size_of(change).text);
    }
    judge_retained(&j);
}

const char *oh_finding_key(enum oh_finding_kind kind)
{
    static const char *const keys[OH_FINDING_KIND_COUNT] = {
        [OH_FINDING_C_LIVE] = "growing_c_live", [OH_FINDING_GO] = "growing_go",
        [OH_FINDING_MAPS] = "growing_maps",     [OH_FINDING_OTHER] = "growing_other",
        [OH_FINDING_RETAINED] = "retained",     [OH_FINDING_NOT_GROWING] = "not_growing",
        [OH_FINDING_ONE_LOOK] = "one_look",
    };
    return keys[kind];
}
