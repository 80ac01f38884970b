// SPDX-License-Identifier: Apache-2.0
//
// See remarks.h. The header's values may change while they are read: each is read once.

#include "profile/remarks.h"

#include <string.h>

#include "base/atomic.h"
#include "base/text.h"

enum { REMARK_BYTES = 4096 };

static const char *const counter_texts[OH_COUNTER_COUNT] = {
#define OH_COUNTER(id, text) text,
#include "offheap/counters.def"
#undef OH_COUNTER
};

static const char *const off_texts[OH_OFF_REASON_COUNT] = {
#define OH_OFF_REASON(id, text) text,
#include "offheap/offreasons.def"
#undef OH_OFF_REASON
};

struct remarks {
    const struct oh_view *view;
    const struct oh_symbols *symbols;
    struct oh_profile *profile;
    struct oh_text text;
    int error;
    char buf[REMARK_BYTES];
};

static struct oh_text *begin(struct remarks *remarks)
{
    oh_text_init(&remarks->text, remarks->buf, sizeof remarks->buf);
    return &remarks->text;
}

static void end(struct remarks *remarks)
{
    if (remarks->error == 0)
        remarks->error =
            oh_profile_add_comment(remarks->profile, remarks->text.buf, remarks->text.length);
}

static void add_title(struct remarks *remarks)
{
    const struct oh_format_header *header = remarks->view->header;
    struct oh_text *text = begin(remarks);
    size_t length;
    const char *exe = oh_view_text(remarks->view, header->exe, &length);
    oh_text_add_bytes(text, header->writer, strnlen(header->writer, sizeof header->writer));
    oh_text_add(text, ": unmanaged (C) memory of pid ");
    oh_text_add_u64(text, header->pid);
    if (length != 0) {
        oh_text_add(text, " (");
        oh_text_add_bytes(text, exe, length);
        oh_text_add(text, ")");
    }
    end(remarks);
}

// Whether the remarks below will tell of allocations that the numbers do not hold.
static bool has_losses(const struct oh_view *view)
{
    static const uint8_t losses[] = {OH_COUNTER_dropped_live_full, OH_COUNTER_dropped_stacks_full,
                                     OH_COUNTER_dropped_no_room,   OH_COUNTER_dropped_odd_blocks,
                                     OH_COUNTER_early_calls,       OH_COUNTER_dropped_maps_full,
                                     OH_COUNTER_dropped_map_calls, OH_COUNTER_dropped_early_maps};
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        if (oh_view_counter(view, losses[i]) != 0)
            return true;
    }
    return view->damaged != 0 || oh_load32_acquire(&view->header->state) == OH_STATE_OFF;
}

static uint64_t mean_at(const struct oh_format_header *header, const uint32_t *place)
{
    return header->means[oh_load32_relaxed(place) % OH_FORMAT_MEANS];
}

static void add_means(struct oh_text *text, const struct oh_format_header *header)
{
    const struct oh_format_budget *budget = &header->budget;
    uint64_t finest = mean_at(header, &budget->finest);
    uint64_t coarsest = mean_at(header, &budget->coarsest);
    if (budget->ppm == 0 || finest == coarsest) {
        oh_text_add_u64(text, budget->ppm == 0 ? header->sample_bytes : finest);
        oh_text_add(text, " bytes");
        return;
    }
    oh_text_add_u64(text, finest);
    oh_text_add(text, " to ");
    oh_text_add_u64(text, coarsest);
    oh_text_add(text, " bytes (now ");
    oh_text_add_u64(text, mean_at(header, &budget->mean));
    oh_text_add(text, ")");
}

// A value in millionths as a decimal number of ones and so many digits behind the point, less the
// zeros at its end.
static void add_decimal(struct oh_text *text, uint64_t value, uint32_t digits)
{
    uint64_t one = 1;
    for (uint32_t i = 0; i < digits; i++)
        one *= 10;
    oh_text_add_u64(text, value / one);
    uint64_t rest = value % one;
    if (rest != 0)
        oh_text_add(text, ".");
    for (; rest != 0; rest %= one) {
        one /= 10;
        oh_text_add_bytes(text, &"0123456789"[rest / one], 1);
    }
}

// The shares in per cent, to a ten-thousandth; the times in seconds, to a thousandth.
static void add_budget(struct remarks *remarks)
{
    enum { PPM_DIGITS = 4, NS_PER_US = 1000, US_PER_MS = 1000, MS_DIGITS = 3 };
    const struct oh_format_budget *budget = &remarks->view->header->budget;
    uint64_t spent_us = oh_load_relaxed(&budget->spent_ns) / NS_PER_US;
    uint64_t cpu_us = oh_load_relaxed(&budget->cpu_ns) / NS_PER_US;
    struct oh_text *text = begin(remarks);
    oh_text_add(text, "budget: samples may take ");
    add_decimal(text, budget->ppm, PPM_DIGITS);
    oh_text_add(text, "% of the processor time; ");
    if (cpu_us == 0) {
        oh_text_add(text, "too little was used to measure it");
    } else {
        add_decimal(text, spent_us * 10000 / cpu_us * 100, PPM_DIGITS);
        oh_text_add(text, "% measured, of ");
        add_decimal(text, cpu_us / US_PER_MS, MS_DIGITS);
        oh_text_add(text, " s; changes of the mean: ");
        oh_text_add_u64(text, oh_load32_relaxed(&budget->changes));
    }
    end(remarks);
}

static void add_mode(struct remarks *remarks)
{
    const struct oh_format_header *header = remarks->view->header;
    struct oh_text *text = begin(remarks);
    if (header->mode == OH_MODE_EXACT) {
        oh_text_add(text, has_losses(remarks->view)
                              ? "exact: no sampling, but not every allocation was recorded"
                              : "exact: every allocation was recorded");
    } else {
        oh_text_add(text, "sampled: one sample per ");
        add_means(text, header);
        oh_text_add(text, " on average; the values are estimates");
    }
    end(remarks);
    if (header->budget.ppm != 0)
        add_budget(remarks);
    if ((oh_load32_relaxed(&header->flags) & OH_FLAG_PHASE_KNOWN) != 0)
        return;
    text = begin(remarks);
    oh_text_add(text, "phase: the begin of main was not seen; it is told from the stacks alone");
    end(remarks);
}

static void add_allocator(struct remarks *remarks)
{
    uint32_t flags = oh_load32_relaxed(&remarks->view->header->flags);
    if ((flags & OH_FLAG_REDIRECTED) == 0)
        return;
    oh_text_add(begin(remarks),
                (flags & OH_FLAG_JEMALLOC) != 0
                    ? "allocator: jemalloc, whose functions are redirected"
                    : "allocator: the program's own, whose functions are redirected");
    end(remarks);
}

static void add_sandbox(struct remarks *remarks)
{
    if ((oh_load32_relaxed(&remarks->view->header->flags) & OH_FLAG_SANDBOX) == 0)
        return;
    oh_text_add(begin(remarks), "sandbox: the process confined itself (prctl); since then the "
                                "recorder asks the system nothing, and its tables do not grow");
    end(remarks);
}

static void add_state(struct remarks *remarks)
{
    const struct oh_format_header *header = remarks->view->header;
    if (oh_load32_acquire(&header->state) != OH_STATE_OFF)
        return;
    uint32_t reason = oh_load32_relaxed(&header->off_reason);
    uint64_t error = oh_load_relaxed(&header->off_errno);
    struct oh_text *text = begin(remarks);
    oh_text_add(text, "no longer recorded: ");
    oh_text_add(text, reason < OH_OFF_REASON_COUNT ? off_texts[reason] : "for an unknown reason");
    if (error != 0) {
        oh_text_add(text, " (error ");
        oh_text_add_u64(text, error);
        oh_text_add(text, ")");
    }
    end(remarks);
}

static void add_count(struct remarks *remarks, uint64_t count, const char *of_what)
{
    if (count == 0)
        return;
    struct oh_text *text = begin(remarks);
    oh_text_add_u64(text, count);
    oh_text_add(text, " ");
    oh_text_add(text, of_what);
    end(remarks);
}

static void add_counters(struct remarks *remarks)
{
    for (int i = 0; i < OH_COUNTER_COUNT; i++)
        add_count(remarks, oh_view_counter(remarks->view, i), counter_texts[i]);
    add_count(remarks, remarks->view->damaged, "damaged entries of the recording, left out");
}

static void add_modules(struct remarks *remarks)
{
    const struct oh_symbols *symbols = remarks->symbols;
    for (uint32_t i = 0; i < symbols->module_count; i++) {
        const struct oh_symbol_module *module = &symbols->modules[i];
        if (module->fallback_pcs == 0)
            continue;
        struct oh_text *text = begin(remarks);
        oh_text_add(text, "addresses without a name in ");
        oh_text_add(text, module->path_len != 0 ? module->path : "a module without a path");
        oh_text_add(text, ": ");
        oh_text_add_u64(text, module->fallback_pcs);
        oh_text_add(text, " (");
        oh_text_add(text, oh_symbol_verdict_text(module->verdict));
        oh_text_add(text, ")");
        end(remarks);
    }
    add_count(remarks, symbols->unknown_pcs, "addresses outside of every recorded module");
}

static void add_notes(struct remarks *remarks)
{
    for (int i = 0; i < OH_FORMAT_NOTES; i++) {
        size_t length;
        const char *note = oh_view_text(remarks->view, remarks->view->header->notes[i], &length);
        if (length == 0)
            continue;
        oh_text_add_bytes(begin(remarks), note, length);
        end(remarks);
    }
}

int oh_remarks_add(const struct oh_view *view, const struct oh_symbols *symbols,
                   struct oh_profile *profile)
{
    struct remarks remarks = {.view = view, .symbols = symbols, .profile = profile};
    add_title(&remarks);
    add_mode(&remarks);
    add_allocator(&remarks);
    add_sandbox(&remarks);
    add_state(&remarks);
    add_counters(&remarks);
    add_modules(&remarks);
    add_notes(&remarks);
    return remarks.error;
}
