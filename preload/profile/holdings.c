// SPDX-License-Identifier: Apache-2.0
#include "profile/holdings.h"

#include <errno.h>

#include "offheap/step.h"
#include "profile/ranges.h"
#include "profile/writer.h"

enum {
    BLOCKS_PER_LOOK = 8192, // How often the caller is asked whether to stop.
    HOLDINGS_FIRST = 1024,
};

static const double most_each = 1e200; // Variance of a byte.

static bool must_stop(struct oh_holdings *holdings)
{
    const struct oh_writer_options *options = holdings->options;
    if (options == NULL || options->stop == NULL || holdings->looked++ % BLOCKS_PER_LOOK != 0)
        return false;
    return options->stop(options->stop_arg);
}

static int get_holding(struct oh_holdings *holdings, uint32_t stack, struct oh_holding **held)
{
    uint32_t number;
    if (!oh_keymap_find(&holdings->map, stack, &number)) {
        void *list = holdings->list;
        number = holdings->count;
        int rc = oh_arena_grow(holdings->arena, &list, number, &holdings->room, sizeof **held,
                               HOLDINGS_FIRST);
        holdings->list = list;
        if (rc == 0)
            rc = oh_keymap_put(&holdings->map, holdings->arena, stack, number);
        if (rc != 0)
            return rc;
        holdings->list[holdings->count++] = (struct oh_holding){0};
    }
    *held = &holdings->list[number];
    return 0;
}

// [address, address + size) is held, and stands for so many bytes.
static void hold(const struct oh_holdings *holdings, struct oh_holding *held, uint64_t address,
                 uint64_t size, uint64_t bytes)
{
    const struct oh_writer_options *options = holdings->options;
    held->bytes += bytes;
    if (options != NULL && options->measure != NULL)
        options->measure(options->measure_arg, address, size, (double)bytes, held->residency);
}

static bool has_error(const struct oh_holdings *holdings, const struct oh_view_block *block)
{
    return holdings->view->header->mode != OH_MODE_EXACT &&
           (holdings->options == NULL || block->time_s >= holdings->options->errors_since_s);
}

static int add_block(void *arg, const struct oh_view_block *block)
{
    struct oh_holdings *holdings = arg;
    struct oh_holding *held;
    if (must_stop(holdings))
        return -ETIMEDOUT;
    int rc = get_holding(holdings, block->stack, &held);
    if (rc != 0)
        return rc;
    held->objects += block->weight;
    hold(holdings, held, block->address, block->size, block->bytes);
    if (!has_error(holdings, block)) {
        held->older_bytes += block->bytes;
        return 0;
    }
    double weight =
        (double)block->weight / (double)(UINT64_C(1) << holdings->view->header->weight_shift);
    double size = (double)block->size;
    double variance = weight > 1 ? weight * (weight - 1) : 0;
    held->objects_variance += variance;
    held->bytes_variance += size * size * variance;
    return 0;
}

// A call counts as long as a byte of it is mapped. What is left of one call has one number, and
// other calls may have mapped over its middle.
static int count_call(struct oh_holdings *holdings, struct oh_keymap *calls, uint64_t call,
                      bool *is_new)
{
    uint32_t seen;
    *is_new = !oh_keymap_find(calls, call, &seen);
    return *is_new ? oh_keymap_put(calls, holdings->arena, call, 1) : 0;
}

// Ranges are never estimates.
static int add_ranges(struct oh_holdings *holdings)
{
    struct oh_view_ranges ranges;
    struct oh_keymap calls = {0};
    int rc = oh_ranges_read(holdings->view, holdings->arena, &ranges);
    for (uint64_t i = 0; i < ranges.count && rc == 0; i++) {
        const struct oh_view_range *range = &ranges.ranges[i];
        struct oh_holding *held = NULL;
        bool is_new = false;
        rc = get_holding(holdings, range->stack, &held);
        if (rc == 0)
            rc = count_call(holdings, &calls, range->call, &is_new);
        if (rc != 0)
            break;
        uint64_t bytes = range->end - range->begin;
        hold(holdings, held, range->begin, bytes, bytes);
        if (is_new)
            held->objects += UINT64_C(1) << holdings->view->header->weight_shift;
    }
    return rc;
}

int oh_holdings_read(struct oh_holdings *holdings, struct oh_view *view,
                     const struct oh_writer_options *options, struct oh_arena *arena)
{
    *holdings = (struct oh_holdings){.view = view, .options = options, .arena = arena};
    int rc = oh_view_each_block(view, add_block, holdings);
    return rc != 0 ? rc : add_ranges(holdings);
}

struct oh_holding oh_holdings_of(const struct oh_holdings *holdings, uint32_t stack)
{
    uint32_t number;
    if (!oh_keymap_find(&holdings->map, stack, &number))
        return (struct oh_holding){0};
    return holdings->list[number];
}

// Of blocks that are gone since then.
static double gone_variance(const struct oh_holdings *holdings, const struct oh_holding *held,
                            const struct oh_view_stack *stack)
{
    uint64_t then = oh_step_unpack(oh_step_at(&stack->steps, holdings->options->errors_since_s));
    double each = stack->alloc_bytes_variance / (double)stack->alloc_bytes;
    bool is_sane = each > 0 && each < most_each; // A damaged recording may hold anything.
    if (!is_sane || then <= held->older_bytes)
        return 0;
    return (double)(then - held->older_bytes) * each;
}

double oh_holdings_bytes_variance(const struct oh_holdings *holdings,
                                  const struct oh_view_stack *stack)
{
    const struct oh_holding held = oh_holdings_of(holdings, stack->ref);
    if (holdings->options == NULL || holdings->options->errors_since_s == 0)
        return held.bytes_variance;
    return held.bytes_variance + gone_variance(holdings, &held, stack);
}
