// SPDX-License-Identifier: Apache-2.0
//
// See writer.h. An address of a module is named once (a "place"), however many epochs the module
// lived through; a stack is then a row of places. What is in use is what the live blocks of a stack
// add up to: they are read first, and the stacks' counters afterwards, so that no block is in use
// that is not yet counted as allocated. Objects are summed in the recording's fixed point and
// rounded when all is summed, so that
// alloc >= inuse holds for every sample.

#include "profile/writer.h"

#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "offheap/hash.h"
#include "profile/keymap.h"
#include "profile/label.h"
#include "profile/ranges.h"
#include "profile/remarks.h"

enum {
    LINES_MAX = 256, // Of one address: calls inlined into each other.
    FIRST_FRAMES = 1024,
    STACKS_PER_LOOK = 64, // How often the caller is asked whether to stop.
    BLOCKS_PER_LOOK = 8192,
    PLACES_FIRST = 1024,
    HOLDINGS_FIRST = 1024,
};

static const char goexit_name[] = "runtime.goexit";

// What an address turned into. A place that is not shown has no lines.
struct place {
    const struct oh_symbol_module *module; // NULL: no module held the address in that epoch.
    uint64_t epoch;                        // The one that it was first seen in.
    uint64_t address;
    const struct oh_label_frame *frames; // One per line of the location.
    uint32_t frame_count;
    uint32_t location;
};

// What the live blocks, or the mapped ranges, of one stack add up to. The variance is that of the
// estimate: a block of n bytes that stands for w objects was taken with probability 1/w; it adds
// w(w-1) to the variance of the objects, n*n*w(w-1) to that of the bytes.
struct holding {
    uint64_t objects, bytes;
    double objects_variance, bytes_variance;
};

struct build {
    struct oh_view *view;
    struct oh_symbols *symbols;
    const struct oh_writer_options *options;
    struct oh_arena *arena;
    struct oh_profile *profile;

    uint32_t *mappings; // By module: its mapping, from 1 on; 0: not interned yet.
    struct place *places;
    uint32_t place_count, place_room;
    struct oh_keymap place_map;  // (epoch, address) to places,
    struct oh_keymap module_map; // and (module, address).

    struct holding *holdings;
    uint32_t holding_count, holding_room;
    struct oh_keymap holding_map; // A stack's reference to what it holds.

    struct oh_profile_line lines[LINES_MAX]; // Of the address that is being named.
    struct oh_label_frame line_frames[LINES_MAX];
    uint32_t line_count;
    int error; // Of the naming.

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

static int intern_lines(struct build *build, const struct oh_symbol_frame *frame)
{
    struct oh_profile *profile = build->profile;
    struct oh_profile_function function = {.start_line = frame->start_line};
    struct oh_profile_line *line = &build->lines[build->line_count];
    bool has_system_name =
        frame->system_name_len != 0 &&
        (frame->system_name != frame->name || frame->system_name_len != frame->name_len);
    int rc = oh_profile_intern_string(profile, frame->name, frame->name_len, &function.name);
    function.system_name = function.name;
    if (rc == 0 && has_system_name)
        rc = oh_profile_intern_string(profile, frame->system_name, frame->system_name_len,
                                      &function.system_name);
    if (rc == 0 && frame->file_len != 0)
        rc = oh_profile_intern_string(profile, frame->file, frame->file_len, &function.file);
    if (rc == 0)
        rc = oh_profile_intern_function(profile, &function, &line->function);
    line->line = frame->line;
    if (rc != 0)
        return rc;
    const struct oh_profile_string *name = &profile->strings[function.name];
    build->line_frames[build->line_count] = (struct oh_label_frame){
        .name = name->data,
        .length = name->length,
        .flags = frame->flags,
        .roles = oh_label_roles(name->data, name->length, frame->flags),
    };
    build->line_count++;
    return 0;
}

static int take_frame(void *arg, const struct oh_symbol_frame *frame)
{
    struct build *build = arg;
    if (build->line_count == LINES_MAX)
        return 1;
    build->error = intern_lines(build, frame);
    return build->error;
}

static int intern_mapping(struct build *build, const struct oh_symbol_module *module,
                          uint32_t *index)
{
    char hex[2 * OH_FORMAT_BUILD_ID_BYTES];
    const struct oh_format_module *raw = &module->raw;
    bool has_text = raw->text_end != 0;
    struct oh_profile_mapping mapping = {
        .start = has_text ? raw->text_start : raw->start,
        .limit = has_text ? raw->text_end : raw->end,
        .offset = has_text ? raw->text_offset : 0,
    };
    size_t id_bytes = raw->build_id_kind == OH_ID_GNU ? raw->build_id_bytes : 0;
    for (size_t i = 0; i < id_bytes; i++) {
        hex[2 * i] = "0123456789abcdef"[raw->build_id[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[raw->build_id[i] & 15];
    }
    int rc =
        oh_profile_intern_string(build->profile, module->path, module->path_len, &mapping.file);
    if (rc == 0)
        rc = oh_profile_intern_string(build->profile, hex, 2 * id_bytes, &mapping.build_id);
    return rc != 0 ? rc : oh_profile_intern_mapping(build->profile, &mapping, index);
}

static int get_mapping(struct build *build, const struct oh_symbol_module *module, uint32_t *index)
{
    uint32_t *known = &build->mappings[module - build->symbols->modules];
    int rc = *known == 0 ? intern_mapping(build, module, index) : 0;
    if (rc == 0 && *known == 0)
        *known = *index + 1;
    *index = *known - 1;
    return rc;
}

// The executable is the first mapping, whether or not it has samples: pprof shows it as the file.
static int intern_main_mapping(struct build *build)
{
    uint32_t index;
    for (uint32_t i = 0; i < build->symbols->module_count; i++) {
        const struct oh_symbol_module *module = &build->symbols->modules[i];
        if ((module->raw.flags & OH_MODULE_MAIN) != 0)
            return intern_mapping(build, module, &index);
    }
    struct oh_profile_mapping mapping = {0};
    size_t length;
    const char *exe = oh_view_text(build->view, build->view->header->exe, &length);
    int rc = oh_profile_intern_string(build->profile, exe, length, &mapping.file);
    return rc != 0 ? rc : oh_profile_intern_mapping(build->profile, &mapping, &index);
}

// Whether profiles leave the address out: the recorder itself, Go's wrappers, a goroutine's root.
static bool is_hidden(const struct build *build, const struct oh_symbol_module *module)
{
    if (module != NULL && (module->raw.flags & OH_MODULE_SELF) != 0)
        return true;
    return build->line_count == 0 ||
           (build->line_count == 1 && (build->line_frames[0].flags & OH_FRAME_GO) != 0 &&
            strcmp(build->line_frames[0].name, goexit_name) == 0);
}

static int make_location(struct build *build, const struct oh_symbol_module *module,
                         struct place *place)
{
    struct oh_profile_location location = {
        .address = place->address,
        .lines = build->lines,
        .line_count = build->line_count,
        .mapping = OH_PROFILE_NONE,
    };
    int rc = module != NULL ? get_mapping(build, module, &location.mapping) : 0;
    if (rc == 0)
        rc = oh_profile_intern_location(build->profile, &location, &place->location);
    if (rc != 0)
        return rc;
    struct oh_label_frame *frames = oh_arena_array(build->arena, build->line_count, sizeof *frames,
                                                   _Alignof(struct oh_label_frame));
    if (frames == NULL)
        return -ENOMEM;
    memcpy(frames, build->line_frames, build->line_count * sizeof *frames);
    place->frames = frames;
    place->frame_count = build->line_count;
    return 0;
}

static int name_place(struct build *build, struct oh_symbol_module *module, struct place *place)
{
    build->line_count = 0;
    build->error = 0;
    if (module == NULL || (module->raw.flags & OH_MODULE_SELF) == 0)
        (void)oh_symbols_frames(build->symbols, module, place->address, take_frame, build);
    if (build->error != 0)
        return build->error;
    return is_hidden(build, module) ? 0 : make_location(build, module, place);
}

// Room for one more entry in an array of the arena, which doubles.
static int grow(struct build *build, void **entries, uint32_t count, uint32_t *room, size_t bytes,
                uint32_t first)
{
    if (count < *room)
        return 0;
    uint32_t larger = *room == 0 ? first : *room * 2;
    void *moved = oh_arena_array(build->arena, larger, bytes, _Alignof(uint64_t));
    if (moved == NULL)
        return -ENOMEM;
    if (count != 0)
        memcpy(moved, *entries, count * bytes);
    *entries = moved;
    *room = larger;
    return 0;
}

static bool is_place(const struct place *place, uint64_t epoch, uint64_t address)
{
    const struct oh_symbol_module *module = place->module;
    return place->address == address &&
           (module != NULL ? oh_symbols_was_loaded(module, epoch) : place->epoch == epoch);
}

// The place of a pair that has not been seen, or not lately. Two pairs may have one key: the later
// one is named again.
static int get_place_of_module(struct build *build, uint64_t epoch, uint64_t address,
                               struct place *place, uint32_t *number)
{
    struct oh_symbol_module *module = oh_symbols_find_module(build->symbols, epoch, address);
    uint64_t key = oh_hash_mix(module != NULL ? ~(uint64_t)module->number : epoch) ^ address;
    if (oh_keymap_find(&build->module_map, key, number) &&
        build->places[*number].module == module &&
        is_place(&build->places[*number], epoch, address)) {
        *place = build->places[*number];
        return 0;
    }
    *place = (struct place){.module = module, .epoch = epoch, .address = address};
    int rc = name_place(build, module, place);
    void *places = build->places;
    if (rc == 0)
        rc = grow(build, &places, build->place_count, &build->place_room, sizeof *build->places,
                  PLACES_FIRST);
    build->places = places;
    if (rc != 0)
        return rc;
    *number = build->place_count++;
    build->places[*number] = *place;
    return oh_keymap_put(&build->module_map, build->arena, key, *number);
}

static int get_place(struct build *build, uint64_t epoch, uint64_t address, struct place *place)
{
    uint64_t key = oh_hash_mix(epoch) ^ address;
    uint32_t number;
    if (oh_keymap_find(&build->place_map, key, &number) &&
        is_place(&build->places[number], epoch, address)) {
        *place = build->places[number];
        return 0;
    }
    int rc = get_place_of_module(build, epoch, address, place, &number);
    return rc != 0 ? rc : oh_keymap_put(&build->place_map, build->arena, key, number);
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
    struct place place;
    int rc = get_place(build, epoch, address, &place);
    if (rc != 0 || place.frame_count == 0)
        return rc;
    rc = grow_frames(build, place.frame_count);
    if (rc != 0)
        return rc;
    memcpy(build->frames + build->frame_count, place.frames,
           place.frame_count * sizeof *place.frames);
    build->frame_count += place.frame_count;
    build->locations[build->depth++] = place.location;
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

// The clamps are for copies, whose blocks may have been torn, and for damaged files.
static void set_values(const struct build *build, const struct oh_view_stack *stack,
                       struct oh_profile_sample *sample)
{
    uint32_t number;
    struct holding held = {0};
    if (oh_keymap_find(&build->holding_map, stack->ref, &number))
        held = build->holdings[number];
    sample->values[OH_VALUE_ALLOC_OBJECTS] = clamp(stack->alloc_objects);
    sample->values[OH_VALUE_ALLOC_SPACE] = clamp(stack->alloc_bytes);
    sample->values[OH_VALUE_INUSE_OBJECTS] = clamp(at_most(held.objects, stack->alloc_objects));
    sample->values[OH_VALUE_INUSE_SPACE] = clamp(at_most(held.bytes, stack->alloc_bytes));
    sample->variances[OH_VALUE_ALLOC_OBJECTS] = sane_variance(stack->alloc_objects_variance);
    sample->variances[OH_VALUE_ALLOC_SPACE] = sane_variance(stack->alloc_bytes_variance);
    sample->variances[OH_VALUE_INUSE_OBJECTS] = sane_variance(held.objects_variance);
    sample->variances[OH_VALUE_INUSE_SPACE] = sane_variance(held.bytes_variance);
}

// Whether a stack is of a kind that profiles show: what the program, or C code in it, does itself.
static bool is_shown(const struct oh_view_stack *stack)
{
    return stack->kind >= OH_KIND_MALLOC && stack->kind <= OH_KIND_FILE;
}

static int write_stack(void *arg, const struct oh_view_stack *stack)
{
    struct build *build = arg;
    if (must_stop(build, STACKS_PER_LOOK))
        return -ETIMEDOUT;
    if (!is_shown(stack) || (stack->alloc_objects == 0 && stack->alloc_bytes == 0))
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
    set_values(build, stack, &sample);
    uint32_t index;
    return rc != 0 ? rc : oh_profile_add_sample(build->profile, &sample, &index);
}

static int get_holding(struct build *build, uint32_t stack, struct holding **held)
{
    uint32_t number;
    if (!oh_keymap_find(&build->holding_map, stack, &number)) {
        void *holdings = build->holdings;
        number = build->holding_count;
        int rc =
            grow(build, &holdings, number, &build->holding_room, sizeof **held, HOLDINGS_FIRST);
        build->holdings = holdings;
        if (rc == 0)
            rc = oh_keymap_put(&build->holding_map, build->arena, stack, number);
        if (rc != 0)
            return rc;
        build->holdings[build->holding_count++] = (struct holding){0};
    }
    *held = &build->holdings[number];
    return 0;
}

static int add_block(void *arg, const struct oh_view_block *block)
{
    struct build *build = arg;
    struct holding *held;
    if (must_stop(build, BLOCKS_PER_LOOK))
        return -ETIMEDOUT;
    int rc = get_holding(build, block->stack, &held);
    if (rc != 0)
        return rc;
    held->objects += block->weight;
    held->bytes += block->bytes;
    if (build->view->header->mode == OH_MODE_EXACT)
        return 0;
    double weight =
        (double)block->weight / (double)(UINT64_C(1) << build->view->header->weight_shift);
    double size = (double)block->size;
    double variance = weight > 1 ? weight * (weight - 1) : 0;
    held->objects_variance += variance;
    held->bytes_variance += size * size * variance;
    return 0;
}

// A call counts as long as a byte of it is mapped. What is left of one call has one number, and
// other calls may have mapped over its middle.
static int count_call(struct build *build, struct oh_keymap *calls, uint64_t call, bool *is_new)
{
    uint32_t seen;
    *is_new = !oh_keymap_find(calls, call, &seen);
    return *is_new ? oh_keymap_put(calls, build->arena, call, 1) : 0;
}

// Ranges are never estimates.
static int add_ranges(struct build *build)
{
    struct oh_view_ranges ranges;
    struct oh_keymap calls = {0};
    int rc = oh_ranges_read(build->view, build->arena, &ranges);
    for (uint64_t i = 0; i < ranges.count && rc == 0; i++) {
        const struct oh_view_range *range = &ranges.ranges[i];
        struct holding *held = NULL;
        bool is_new = false;
        rc = get_holding(build, range->stack, &held);
        if (rc == 0)
            rc = count_call(build, &calls, range->call, &is_new);
        if (rc != 0)
            break;
        held->bytes += range->end - range->begin;
        if (is_new)
            held->objects += UINT64_C(1) << build->view->header->weight_shift;
    }
    return rc;
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

static int make_named_location(struct build *build, const char *name, uint32_t *location)
{
    const struct oh_symbol_frame frame = {.name = name, .name_len = strlen(name)};
    build->line_count = 0;
    int rc = intern_lines(build, &frame);
    if (rc != 0)
        return rc;
    const struct oh_profile_location made = {
        .lines = build->lines, .line_count = 1, .mapping = OH_PROFILE_NONE};
    return oh_profile_intern_location(build->profile, &made, location);
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
        rc = oh_profile_intern_string(profile, default_type, sizeof default_type - 1,
                                      &profile->default_type);
    if (rc == 0)
        rc = oh_profile_intern_string(profile, doc_url, sizeof doc_url - 1, &profile->doc_url);
    if (rc == 0)
        rc = intern_main_mapping(build);
    if (rc == 0)
        rc = make_named_location(build, "[truncated]", &build->truncated_location);
    if (rc == 0)
        rc = make_named_location(build, "[unknown]", &build->unknown_location);
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
    build->mappings =
        oh_arena_array(arena, symbols->module_count, sizeof *build->mappings, _Alignof(uint32_t));
    if (build->mappings == NULL)
        return -ENOMEM;
    int rc = begin_profile(build);
    if (rc == 0)
        rc = oh_view_each_block(view, add_block, build);
    if (rc == 0)
        rc = add_ranges(build);
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
