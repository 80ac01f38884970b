// SPDX-License-Identifier: Apache-2.0
//
// See fold.h.

#include "profile/fold.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "offheap/hash.h"
#include "profile/keymap.h"
#include "profile/pprof.h"

enum { LEAST_SAMPLES = 64, BYTES_TRIES = 8, REMARK_BYTES = 160 };

static const char other_name[] = "[other sites]";

struct fold {
    struct oh_profile *profile;
    uint32_t *order; // Samples, the most important first.
    uint8_t *kept;   // By sample.
    uint32_t other;  // The location of `[other sites]`.
    uint32_t folded;
};

static bool is_less(const struct fold *fold, uint32_t a, uint32_t b)
{
    const int64_t *x = fold->profile->samples[a].values;
    const int64_t *y = fold->profile->samples[b].values;
    if (x[OH_VALUE_INUSE_SPACE] != y[OH_VALUE_INUSE_SPACE])
        return x[OH_VALUE_INUSE_SPACE] < y[OH_VALUE_INUSE_SPACE];
    if (x[OH_VALUE_ALLOC_SPACE] != y[OH_VALUE_ALLOC_SPACE])
        return x[OH_VALUE_ALLOC_SPACE] < y[OH_VALUE_ALLOC_SPACE];
    return a > b;
}

// A heap with the least important sample on top.
static void sift(const struct fold *fold, uint32_t *heap, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_less(fold, heap[child + 1], heap[child]))
            child++;
        if (!is_less(fold, heap[child], heap[at]))
            return;
        uint32_t swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
        at = child;
    }
}

static void sort(const struct fold *fold, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        fold->order[i] = i;
    for (uint32_t i = count / 2; i-- > 0;)
        sift(fold, fold->order, count, i);
    for (uint32_t left = count; left > 1; left--) {
        uint32_t least = fold->order[0];
        fold->order[0] = fold->order[left - 1];
        fold->order[left - 1] = least;
        sift(fold, fold->order, left - 1, 0);
    }
}

static int count_label_sets(const struct oh_profile *profile, uint32_t *count)
{
    struct oh_keymap sets = {0};
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        uint64_t hash = 0;
        for (int label = 0; label < OH_LABEL_COUNT; label++)
            hash = oh_hash_mix(hash ^ profile->samples[i].labels[label]);
        int rc = oh_keymap_put(&sets, profile->arena, hash, 0);
        if (rc != 0)
            return rc;
    }
    *count = (uint32_t)sets.count;
    return 0;
}

static int make_other(struct oh_profile *profile, uint32_t *location)
{
    struct oh_profile_function function = {0};
    struct oh_profile_line line = {0};
    int rc = oh_profile_intern_string(profile, other_name, sizeof other_name - 1, &function.name);
    function.system_name = function.name;
    if (rc == 0)
        rc = oh_profile_intern_function(profile, &function, &line.function);
    const struct oh_profile_location made = {
        .lines = &line, .line_count = 1, .mapping = OH_PROFILE_NONE};
    return rc != 0 ? rc : oh_profile_intern_location(profile, &made, location);
}

static bool is_kept(void *arg, const struct oh_profile_sample *sample)
{
    const struct fold *fold = arg;
    return fold->kept[sample - fold->profile->samples] != 0;
}

// Takes the samples out that are not kept, and adds them again without their stacks.
static int fold_rest(struct fold *fold, bool keeps_packages)
{
    struct oh_profile *profile = fold->profile;
    struct oh_profile_sample *rest = oh_arena_array(profile->arena, fold->folded, sizeof *rest,
                                                    _Alignof(struct oh_profile_sample));
    if (rest == NULL)
        return -ENOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < profile->sample_count; i++) {
        if (fold->kept[i] == 0)
            rest[count++] = profile->samples[i];
    }
    oh_profile_keep_samples(profile, is_kept, fold);
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        uint32_t index;
        rest[i].locations = &fold->other;
        rest[i].depth = 1;
        if (!keeps_packages)
            rest[i].labels[OH_LABEL_INIT_PACKAGE] = 0;
        rc = oh_profile_add_sample(profile, &rest[i], &index);
    }
    return rc;
}

static int fold_to(struct oh_profile *profile, uint32_t max_samples, uint32_t *folded)
{
    struct fold fold = {.profile = profile};
    uint32_t count = profile->sample_count;
    uint32_t sets = 0;
    int rc = count_label_sets(profile, &sets);
    if (rc == 0)
        rc = make_other(profile, &fold.other);
    if (rc != 0)
        return rc;
    fold.order = oh_arena_array(profile->arena, count, sizeof *fold.order, _Alignof(uint32_t));
    fold.kept = oh_arena_alloc(profile->arena, count, 1);
    if (fold.order == NULL || fold.kept == NULL)
        return -ENOMEM;
    sort(&fold, count);
    // Without packages there are only a few sets: three phases of two kinds.
    bool keeps_packages = sets <= max_samples / 2;
    uint32_t kept = max_samples - (keeps_packages ? sets : LEAST_SAMPLES / 2);
    for (uint32_t i = 0; i < kept; i++)
        fold.kept[fold.order[i]] = 1;
    fold.folded = count - kept;
    *folded += fold.folded;
    return fold_rest(&fold, keeps_packages);
}

static int count_bytes(void *arg, const void *data, size_t size)
{
    (void)data;
    *(size_t *)arg += size;
    return 0;
}

static int tell(struct oh_profile *profile, uint32_t folded)
{
    char buf[REMARK_BYTES];
    struct oh_text text;
    oh_text_init(&text, buf, sizeof buf);
    oh_text_add(&text, "too large as it was: the smallest sites are shown as [other sites], ");
    oh_text_add_u64(&text, folded);
    oh_text_add(&text, " in all");
    return oh_profile_add_comment(profile, text.buf, text.length);
}

int oh_fold_to_limits(struct oh_profile *profile, uint32_t max_samples, size_t max_raw_bytes)
{
    uint32_t folded = 0;
    int rc = 0;
    if (max_samples < LEAST_SAMPLES)
        max_samples = LEAST_SAMPLES;
    if (profile->sample_count > max_samples)
        rc = fold_to(profile, max_samples, &folded);
    for (int i = 0; i < BYTES_TRIES && rc == 0; i++) {
        size_t bytes = 0;
        rc = oh_pprof_write_raw(profile, count_bytes, &bytes);
        if (rc != 0 || bytes <= max_raw_bytes || profile->sample_count <= LEAST_SAMPLES)
            break;
        // Strings and functions are shared, so less goes away than by proportion: hence the rest.
        max_samples =
            (uint32_t)((double)profile->sample_count * (double)max_raw_bytes / (double)bytes * 0.9);
        if (max_samples < LEAST_SAMPLES)
            max_samples = LEAST_SAMPLES;
        rc = fold_to(profile, max_samples, &folded);
    }
    return rc == 0 && folded != 0 ? tell(profile, folded) : rc;
}
