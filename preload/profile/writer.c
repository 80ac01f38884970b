// SPDX-License-Identifier: Apache-2.0
//
// See writer.h. The stacks are gone through twice: first their addresses are collected, and named in
// an order of their own (places); then a stack is a row of places. What is in use is what the live
// blocks of a stack add up to: they are read first, and the stacks' counters afterwards, so that no
// block is in use that is not yet counted as allocated. Objects are summed in the recording's fixed
// point and rounded when all is summed, so that alloc >= inuse holds for every sample.

#include "profile/writer.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "offheap/hash.h"
#include "profile/holdings.h"
#include "profile/keymap.h"
#include "profile/label.h"
#include "profile/places.h"
#include "profile/remarks.h"

enum {
    FIRST_FRAMES = 1024,
    STACKS_PER_LOOK = 64, // How often the caller is asked whether to stop.
};

struct build {
    struct oh_view *view;
    struct oh_symbols *symbols;
    const struct oh_writer_options *options;
    struct oh_arena *arena;
    struct oh_profile *profile;

    struct oh_places places;

    struct oh_holdings holdings;

    struct oh_label_frame *frames; // Of the stack that is being written.
    size_t frame_count, frame_room;
    uint32_t locations[OH_FORMAT_MAX_DEPTH + 1];
    uint32_t depth;

    uint32_t truncated_location, unknown_location;
    uint64_t looked;
};

static bool must_stop(struct build *build, uint64_t interval)
{
    const struct oh_writer_options *options = build->options;
    if (options == NULL || options->stop == NULL || build->looked++ % interval != 0)
        return false;
    return options->stop(options->stop_arg);
}

// The executable is the first mapping, whether or not it has samples: pprof shows it as the file.
static int intern_main_mapping(struct build *build)
{
    uint32_t index;
    for (uint32_t i = 0; i < build->symbols->module_count; i++) {
        const struct oh_symbol_module *module = &build->symbols->modules[i];
        if ((module->raw.flags & OH_MODULE_MAIN) != 0)
            return oh_places_intern_mapping(&build->places, module, &index);
    }
    struct oh_profile_mapping mapping = {0};
    size_t length;
    const char *exe = oh_view_text(build->view, build->view->header->exe, &length);
    int rc = oh_profile_intern_string(build->profile, exe, length, &mapping.file);
    return rc != 0 ? rc : oh_profile_intern_mapping(build->profile, &mapping, &index);
}

static int grow_frames(struct build *build, size_t more)
{
    if (build->frame_room - build->frame_count >= more)
        return 0;
    size_t room = build->frame_room == 0 ? FIRST_FRAMES : build->frame_room * 2;
    struct oh_label_frame *frames =
        oh_arena_array(build->arena, room, sizeof *frames, _Alignof(struct oh_label_frame));
    if (frames == NULL)
        return -ENOMEM;
    if (build->frame_count != 0)
        memcpy(frames, build->frames, build->frame_count * sizeof *frames);
    build->frames = frames;
    build->frame_room = room;
    return 0;
}

static int add_address(struct build *build, uint64_t epoch, uint64_t address)
{
    const struct oh_place *place;
    int rc = oh_places_get(&build->places, epoch, address, &place);
    if (rc != 0 || place->frame_count == 0)
        return rc;
    rc = grow_frames(build, place->frame_count);
    if (rc != 0)
        return rc;
    memcpy(build->frames + build->frame_count, place->frames,
           place->frame_count * sizeof *place->frames);
    build->frame_count += place->frame_count;
    build->locations[build->depth++] = place->location;
    return 0;
}

static int set_label(struct build *build, struct oh_profile_sample *sample,
                     enum oh_profile_label label, const char *text, size_t length)
{
    return oh_profile_intern_string(build->profile, text, length, &sample->labels[label]);
}

static int set_labels(struct build *build, const struct oh_view_stack *stack,
                      struct oh_profile_sample *sample)
{
    static const char heap[] = "unmanaged";
    const struct oh_label_stack shown = {
        .frames = build->frames,
        .count = build->frame_count,
        .phase = stack->phase,
        .kind = stack->kind,
        .end = stack->end,
    };
    struct oh_labels labels;
    oh_label_stack(&shown, &labels);
    int rc = set_label(build, sample, OH_LABEL_HEAP, heap, sizeof heap - 1);
    if (rc == 0)
        rc = set_label(build, sample, OH_LABEL_KIND, labels.kind, strlen(labels.kind));
    if (rc == 0)
        rc = set_label(build, sample, OH_LABEL_PHASE, labels.phase, strlen(labels.phase));
    if (rc == 0)
        rc = set_label(build, sample, OH_LABEL_INIT_PACKAGE, labels.package, labels.package_len);
    return rc;
}

static int64_t clamp(uint64_t value)
{
    return value < INT64_MAX ? (int64_t)value : INT64_MAX;
}

// A damaged recording may hold anything in a variance; what is none is none.
static double sane_variance(double variance)
{
    const double largest = 1e300;
    return variance > 0 && variance < largest ? variance : 0;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

static void set_past_values(const struct build *build, const struct oh_view_stack *stack,
                            struct oh_profile_sample *sample)
{
    uint64_t bytes = oh_step_unpack(oh_step_at(&stack->steps, build->options->past_s));
    sample->values[OH_VALUE_INUSE_SPACE] = clamp(at_most(bytes, stack->alloc_bytes));
}

static bool is_past(const struct build *build)
{
    return build->options != NULL && build->options->past_s != 0;
}

// The clamps are for copies, whose blocks may have been torn, and for damaged files.
static void set_values(const struct build *build, const struct oh_view_stack *stack,
                       struct oh_profile_sample *sample)
{
    const struct oh_holding held = oh_holdings_of(&build->holdings, stack->ref);
    sample->values[OH_VALUE_ALLOC_OBJECTS] = clamp(stack->alloc_objects);
    sample->values[OH_VALUE_ALLOC_SPACE] = clamp(stack->alloc_bytes);
    sample->values[OH_VALUE_INUSE_OBJECTS] = clamp(at_most(held.objects, stack->alloc_objects));
    sample->values[OH_VALUE_INUSE_SPACE] = clamp(at_most(held.bytes, stack->alloc_bytes));
    sample->variances[OH_VALUE_ALLOC_OBJECTS] = sane_variance(stack->alloc_objects_variance);
    sample->variances[OH_VALUE_ALLOC_SPACE] = sane_variance(stack->alloc_bytes_variance);
    sample->variances[OH_VALUE_INUSE_OBJECTS] = sane_variance(held.objects_variance);
    sample->variances[OH_VALUE_INUSE_SPACE] =
        sane_variance(oh_holdings_bytes_variance(&build->holdings, stack));
    memcpy(sample->residency, held.residency, sizeof sample->residency);
}

// Whether a stack is wanted, has anything to show and is of a kind that profiles show: what the
// program, or C code in it, does itself.
static bool is_shown(const struct build *build, const struct oh_view_stack *stack)
{
    const struct oh_writer_options *options = build->options;
    if (options != NULL && options->want != NULL && !options->want(options->want_arg, stack->ref))
        return false;
    return stack->kind >= OH_KIND_MALLOC && stack->kind <= OH_KIND_FILE &&
           (stack->alloc_objects != 0 || stack->alloc_bytes != 0);
}

static int write_stack(void *arg, const struct oh_view_stack *stack)
{
    struct build *build = arg;
    if (must_stop(build, STACKS_PER_LOOK))
        return -ETIMEDOUT;
    if (!is_shown(build, stack))
        return 0;
    build->depth = 0;
    build->frame_count = 0;
    int rc = 0;
    for (uint32_t i = 0; i < stack->depth && rc == 0; i++)
        rc = add_address(build, stack->epoch, stack->pcs[i] - 1);
    if (stack->end != OH_STACK_END_CLEAN)
        build->locations[build->depth++] = build->truncated_location;
    else if (build->depth == 0)
        build->locations[build->depth++] = build->unknown_location;

    struct oh_profile_sample sample = {.locations = build->locations, .depth = build->depth};
    if (rc == 0)
        rc = set_labels(build, stack, &sample);
    if (is_past(build))
        set_past_values(build, stack, &sample);
    else
        set_values(build, stack, &sample);
    uint32_t index;
    return rc != 0 ? rc : oh_profile_add_sample(build->profile, &sample, &index);
}

static int collect_stack(void *arg, const struct oh_view_stack *stack)
{
    struct build *build = arg;
    uint32_t number;
    int rc = 0;
    if (must_stop(build, STACKS_PER_LOOK))
        return -ETIMEDOUT;
    if (!is_shown(build, stack))
        return 0;
    for (uint32_t i = 0; i < stack->depth && rc == 0; i++)
        rc = oh_places_add(&build->places, stack->epoch, stack->pcs[i] - 1, &number);
    return rc;
}

// Stacks that come later, in a recording that lives, are named when they are written.
static int name_stacks(struct build *build)
{
    const struct oh_writer_options *options = build->options;
    uint64_t damaged = build->view->damaged;
    int rc = oh_view_each_stack(build->view, collect_stack, build);
    build->view->damaged = damaged; // Writing them counts the same ones.
    if (rc != 0)
        return rc;
    return oh_places_name(&build->places, options == NULL ? NULL : options->stop,
                          options == NULL ? NULL : options->stop_arg);
}

static int64_t round_objects(int64_t fixed, uint32_t shift)
{
    uint64_t half = shift != 0 ? UINT64_C(1) << (shift - 1) : 0;
    return (int64_t)(((uint64_t)fixed + half) >> shift);
}

static bool has_value(void *arg, const struct oh_profile_sample *sample)
{
    (void)arg;
    for (int i = 0; i < OH_VALUE_COUNT; i++) {
        if (sample->values[i] != 0)
            return true;
    }
    return false;
}

static void round_samples(struct build *build)
{
    uint32_t shift = build->view->header->weight_shift;
    for (uint32_t i = 0; i < build->profile->sample_count; i++) {
        int64_t *values = build->profile->samples[i].values;
        values[OH_VALUE_ALLOC_OBJECTS] = round_objects(values[OH_VALUE_ALLOC_OBJECTS], shift);
        values[OH_VALUE_INUSE_OBJECTS] = round_objects(values[OH_VALUE_INUSE_OBJECTS], shift);
    }
    oh_profile_keep_samples(build->profile, has_value, NULL);
}

// With a budget, of the means that there were. So what knows the period alone, and not the samples'
// own means, takes no error for smaller than it is.
static uint64_t largest_mean(const struct oh_format_header *header)
{
    uint32_t coarsest = oh_load32_relaxed(&header->budget.coarsest);
    return header->budget.ppm != 0 && coarsest < OH_FORMAT_MEANS ? header->means[coarsest]
                                                                 : header->sample_bytes;
}

static int begin_profile(struct build *build)
{
    static const char default_type[] = "inuse_space";
    static const char doc_url[] = OH_DOC_URL;
    const struct oh_format_header *header = build->view->header;
    struct oh_profile *profile = build->profile;
    int rc = oh_profile_init(profile, build->arena);
    if (rc == 0)
        rc = oh_places_init(&build->places, build->symbols, profile);
    if (rc == 0)
        rc = oh_profile_intern_string(profile, default_type, sizeof default_type - 1,
                                      &profile->default_type);
    if (rc == 0)
        rc = oh_profile_intern_string(profile, doc_url, sizeof doc_url - 1, &profile->doc_url);
    if (rc == 0)
        rc = intern_main_mapping(build);
    if (rc == 0)
        rc = oh_places_make_location(&build->places, "[truncated]", &build->truncated_location);
    if (rc == 0)
        rc = oh_places_make_location(&build->places, "[unknown]", &build->unknown_location);
    uint64_t time_ns = build->options != NULL ? build->options->time_ns : 0;
    profile->time_ns = clamp(time_ns != 0 ? time_ns : oh_sys_clock_ns(CLOCK_REALTIME));
    profile->period = header->mode == OH_MODE_EXACT ? 1 : clamp(largest_mean(header));
    profile->has_means = header->budget.ppm != 0;
    return rc;
}

int oh_writer_build(struct oh_view *view, struct oh_symbols *symbols,
                    const struct oh_writer_options *options, struct oh_arena *arena,
                    struct oh_profile *profile)
{
    struct build *build = oh_arena_alloc(arena, sizeof *build, _Alignof(struct build));
    if (build == NULL)
        return -ENOMEM;
    *build = (struct build){
        .view = view, .symbols = symbols, .options = options, .arena = arena, .profile = profile};
    int rc = begin_profile(build);
    if (rc == 0 && !is_past(build))
        rc = oh_holdings_read(&build->holdings, view, options, arena);
    if (rc == 0)
        rc = name_stacks(build);
    if (rc == 0)
        rc = oh_view_each_stack(view, write_stack, build);
    if (rc != 0)
        return rc;
    round_samples(build);
    rc = oh_remarks_add(view, symbols, profile);
    for (size_t i = 0; options != NULL && i < options->comment_count && rc == 0; i++)
        rc = oh_profile_add_comment(profile, options->comments[i], strlen(options->comments[i]));
    return rc;
}
