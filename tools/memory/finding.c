// SPDX-License-Identifier: Apache-2.0
//
// What a verdict is made of.

#include "memory/finding.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"

double oh_noise_of(const struct oh_noise *noise, double first)
{
    return fmax(noise->bytes, noise->share * first);
}

struct oh_finding *oh_finding_add(struct oh_verdict *verdict, enum oh_finding_kind kind,
                                  enum oh_memory_part part, double bytes, double error)
{
    if (verdict->count == OH_FINDINGS_MAX) {
        return NULL;
    }
    struct oh_finding *const finding = &verdict->findings[verdict->count++];
    *finding = (struct oh_finding){.kind = kind, .part = part, .bytes = bytes, .error = error};
    return finding;
}

void oh_finding_say(struct oh_finding *finding, const char *fmt, ...)
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

void oh_finding_say_growth(struct oh_finding *finding, const char *what, double seconds)
{
    if (finding == NULL) {
        return;
    }
    char error[OH_HUMAN_BYTES + 8] = "";
    if (finding->error > 0) {
        (void)snprintf(error, sizeof error, " ±%s", oh_human_size(finding->error).text);
    }
    const double per_hour = finding->bytes / fmax(seconds, 0.001) * 3600;
    oh_finding_say(finding, "growing: %s, +%s%s in %.0f s (%s an hour)", what,
                   oh_human_size(finding->bytes).text, error, seconds,
                   oh_human_size(per_hour).text);
}

static bool is_growth(const struct oh_finding *finding)
{
    return finding->kind <= OH_FINDING_OTHER;
}

bool oh_verdict_is_growing(const struct oh_verdict *verdict)
{
    for (size_t i = 0; i < verdict->count; i++) {
        if (is_growth(&verdict->findings[i])) {
            return true;
        }
    }
    return false;
}

static bool comes_before(const struct oh_finding *a, const struct oh_finding *b)
{
    return is_growth(a) != is_growth(b) ? is_growth(a) : a->bytes > b->bytes;
}

void oh_verdict_sort(struct oh_verdict *verdict)
{
    for (size_t i = 1; i < verdict->count; i++) {
        for (size_t k = i; k > 0 && comes_before(&verdict->findings[k], &verdict->findings[k - 1]);
             k--) {
            const struct oh_finding swapped = verdict->findings[k];
            verdict->findings[k] = verdict->findings[k - 1];
            verdict->findings[k - 1] = swapped;
        }
    }
}

void oh_verdict_bring_to_front(struct oh_verdict *verdict)
{
    const struct oh_finding last = verdict->findings[verdict->count - 1];
    memmove(&verdict->findings[1], &verdict->findings[0],
            (verdict->count - 1) * sizeof verdict->findings[0]);
    verdict->findings[0] = last;
}

const char *oh_finding_key(enum oh_finding_kind kind)
{
    static const char *const keys[OH_FINDING_KIND_COUNT] = {
        [OH_FINDING_C_LIVE] = "growing_c_live",
        [OH_FINDING_GO] = "growing_go",
        [OH_FINDING_MAPS] = "growing_maps",
        [OH_FINDING_OTHER] = "growing_other",
        [OH_FINDING_RETAINED_GROWS] = "growing_retained",
        [OH_FINDING_RETAINED] = "retained",
        [OH_FINDING_LEVELS] = "levels_off",
        [OH_FINDING_BURST] = "burst_at_end",
        [OH_FINDING_UNTOUCHED] = "untouched",
        [OH_FINDING_NOT_GROWING] = "not_growing",
        [OH_FINDING_ONE_LOOK] = "one_look",
    };
    return keys[kind];
}
