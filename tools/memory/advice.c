// SPDX-License-Identifier: Apache-2.0
//
// GOMEMLIMIT.

#include "memory/advice.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"

// What Go does not count but needs, and what others of the group may still take.
static const double margin_share = 0.05;
static const double mib = 1024.0 * 1024.0;

// Go 1.19 is the first that knows it.
static const unsigned first_minor = 19;

int oh_advice_parse_limit(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    if (strcmp(text, "off") == 0) {
        *bytes = UINT64_MAX;
        return 0;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (end == text || text[0] == '-' || errno != 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].name) == 0) {
            *bytes = number << units[i].shift;
            return number <= UINT64_MAX >> units[i].shift ? 0 : -EINVAL;
        }
    }
    return -EINVAL;
}

// What of the group's charge stays when Go's share and what can be reclaimed are gone. Pages of
// files that this process maps may be charged to another group.
static double other_bytes(const struct oh_advice_facts *facts)
{
    const uint64_t fixed = oh_cgroup_unreclaimable(facts->group);
    const double charge = fixed != OH_CGROUP_ABSENT ? (double)fixed : (double)facts->group->current;
    return fmax(0, charge - facts->look->parts[OH_PART_GO]);
}

// The least that Go can be held to: what is alive in its heap now, with its stacks and metadata.
static double least_bytes(const struct oh_advice_facts *facts)
{
    const struct oh_gostats *const stats = facts->stats;
    return stats != NULL
               ? (double)stats->heap_alloc + (double)stats->stack_sys + (double)stats->metadata
               : 0;
}

// What is set is less than what Go needs, or holds in spite of it.
static bool is_too_low(const struct oh_advice_facts *facts, double set)
{
    const double held = facts->look->parts[OH_PART_GO];
    return set < least_bytes(facts) || set * 1.1 < held;
}

static void say_current(const struct oh_advice_facts *facts, double advised, char *out, size_t size)
{
    uint64_t set = 0;
    if (facts->gomemlimit == NULL) {
        (void)snprintf(out, size, "it was started without one");
    } else if (oh_advice_parse_limit(facts->gomemlimit, &set) < 0) {
        (void)snprintf(out, size, "GOMEMLIMIT=%.40s in its environment is no size that Go takes",
                       facts->gomemlimit);
    } else if (set == UINT64_MAX) {
        (void)snprintf(out, size, "it was started with GOMEMLIMIT=off");
    } else {
        (void)snprintf(
            out, size, "it was started with GOMEMLIMIT=%.40s, which is %s", facts->gomemlimit,
            (double)set > advised * 1.1      ? "too high to keep it inside the limit"
            : is_too_low(facts, (double)set) ? "less than Go needs: it collects garbage without end"
            : (double)set < advised * 0.5    ? "much lower than it could be"
                                             : "about right");
    }
}

void oh_advice_find(const struct oh_advice_facts *facts, struct oh_advice *advice)
{
    const struct oh_cgroup *const group = facts->group;
    const size_t size = sizeof advice->text;
    *advice = (struct oh_advice){0};
    if (!facts->look->is_go) {
        return;
    }
    const bool gc_is_off = facts->gogc != NULL && strcmp(facts->gogc, "off") == 0;
    const bool has_high = group->version == 2 && group->high < OH_CGROUP_NO_LIMIT;
    if (group->version == 0 || (group->limit >= OH_CGROUP_NO_LIMIT && !has_high)) {
        (void)snprintf(advice->text, size, "no advice: %s%s",
                       group->version == 0 ? "whether the process runs under a limit is not known"
                                           : "the process runs under no memory limit",
                       gc_is_off && facts->gomemlimit == NULL
                           ? "; GOGC=off without GOMEMLIMIT lets the heap grow without bound"
                           : "");
        return;
    }
    if (facts->look->go_minor != 0 && facts->look->go_minor < first_minor) {
        (void)snprintf(advice->text, size,
                       "no advice: GOMEMLIMIT is known to Go 1.19 and later, and this is an older "
                       "one");
        return;
    }
    // Above memory.high a process is slowed down until it is below it again.
    const bool is_high = group->version == 2 && group->high < group->limit;
    const double limit = (double)(is_high ? group->high : group->limit);
    const double other = other_bytes(facts);
    const double room = limit - other - margin_share * limit;
    const double least = fmax(least_bytes(facts), 4 * mib);
    if (room < least) {
        (void)snprintf(advice->text, size,
                       "no GOMEMLIMIT helps: of the limit of %s, %s are not Go's, and Go needs %s; "
                       "with less it would collect garbage without end. Raise the limit, or lower "
                       "what is not Go's",
                       oh_human_size(limit).text, oh_human_size(other).text,
                       oh_human_size(least).text);
        return;
    }
    advice->bytes = (uint64_t)(floor(room / mib) * mib);
    char now[200];
    say_current(facts, room, now, sizeof now);
    (void)snprintf(advice->text, size,
                   "GOMEMLIMIT=%.0fMiB: the limit of %s%s, less %s that are not Go's, less %.0f %% "
                   "to spare; %s%s",
                   (double)advice->bytes / mib, oh_human_size(limit).text,
                   is_high ? " (memory.high)" : "", oh_human_size(other).text, margin_share * 100,
                   now, gc_is_off ? ". GOGC=off: garbage is collected only near that limit" : "");
}
