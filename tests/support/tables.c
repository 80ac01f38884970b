// SPDX-License-Identifier: Apache-2.0
#include "support/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic.h"
#include "recording/recording.h"
#include "support/child.h"
#include "tables/live.h"
#include "tables/maps.h"
#include "tables/stacks.h"

void oh_tables_config(struct oh_config *config, const char *dir, uint64_t max_bytes)
{
    oh_config_read(config, NULL);
    config->exact = true;
    config->dir = dir;
    config->max_bytes = max_bytes;
}

void oh_tables_begin(const struct oh_config *config)
{
    enum oh_format_off_reason reason;
    struct oh_process_facts process;
    oh_process_read(&process);
    int rc = oh_recording_create(config, &process, &reason);
    if (rc < 0) {
        (void)fprintf(stderr, "no recording in %s: %s (reason %d)\n", config->dir, strerror(-rc),
                      (int)reason);
        exit(1);
    }
    oh_stacks_init();
    oh_live_init();
    oh_maps_init();
}

static int add_stack(void *arg, const struct oh_view_stack *stack)
{
    struct oh_tables_sum *sum = arg;
    sum->stacks++;
    sum->alloc_objects += stack->alloc_objects;
    sum->alloc_bytes += stack->alloc_bytes;
    sum->samples += stack->samples;
    return 0;
}

static int add_block(void *arg, const struct oh_view_block *block)
{
    struct oh_tables_sum *sum = arg;
    sum->blocks++;
    sum->blocks_bytes += block->size;
    sum->inuse_objects += block->weight;
    sum->inuse_bytes += block->bytes;
    return 0;
}

static int add_module(void *arg, const struct oh_format_module *module, uint32_t number)
{
    struct oh_tables_sum *sum = arg;
    (void)module;
    (void)number;
    sum->modules++;
    return 0;
}

int oh_tables_sum(const void *base, size_t size, struct oh_tables_sum *sum)
{
    struct oh_view view;
    struct oh_view_fault fault;
    memset(sum, 0, sizeof *sum);
    int rc = oh_view_open(&view, base, size, &fault);
    if (rc < 0) {
        (void)fprintf(stderr, "refused: section %s, offset %llu, found %llu, bound %llu\n",
                      fault.section, (unsigned long long)fault.offset,
                      (unsigned long long)fault.found, (unsigned long long)fault.bound);
        return rc;
    }
    (void)oh_view_each_block(&view, add_block, sum);
    (void)oh_view_each_stack(&view, add_stack, sum);
    (void)oh_view_each_module(&view, add_module, sum);
    sum->damaged = view.damaged;
    return 0;
}

void *oh_tables_map_file(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) < 0 || st.st_size == 0) {
        (void)close(fd);
        errno = ENODATA;
        return NULL;
    }
    *size = (size_t)st.st_size;
    void *base = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    return base != MAP_FAILED ? base : NULL;
}

int oh_tables_sum_file(const char *path, struct oh_tables_sum *sum)
{
    size_t size;
    void *base = oh_tables_map_file(path, &size);
    if (base == NULL)
        return -errno;
    int rc = oh_tables_sum(base, size, sum);
    (void)munmap(base, size);
    return rc;
}

static int look_at_stack(void *arg, const struct oh_view_stack *stack)
{
    (void)arg;
    (void)stack;
    return 0;
}

uint64_t oh_tables_counter(enum oh_format_counter counter)
{
    struct oh_view view;
    struct oh_view_fault fault;
    size_t size;
    const void *base = oh_recording_base(&size);
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    oh_require(oh_view_each_stack(&view, look_at_stack, NULL) == 0);
    return oh_view_counter(&view, counter);
}

bool oh_tables_enter(const struct oh_block *block)
{
    bool replaced = true;
    struct oh_format_block *entry = oh_live_claim(block->address, &replaced);
    oh_require(!replaced);
    if (entry == NULL)
        return false;
    oh_live_publish(entry, block);
    return true;
}

void oh_tables_ranges(struct oh_arena *arena, struct oh_view_ranges *ranges)
{
    size_t size;
    struct oh_view view;
    struct oh_view_fault fault;
    const void *base = oh_recording_base(&size);
    oh_require(oh_view_open(&view, base, size, &fault) == 0);
    oh_require(oh_arena_init(arena, UINT64_C(64) << 20) == 0);
    oh_require(oh_ranges_read(&view, arena, ranges) == 0);
    oh_require_equal(view.damaged, 0);
}

uint64_t oh_tables_mapped(uint64_t *count)
{
    struct oh_arena arena;
    struct oh_view_ranges ranges;
    uint64_t bytes = 0;
    oh_tables_ranges(&arena, &ranges);
    for (uint64_t i = 0; i < ranges.count; i++)
        bytes += ranges.ranges[i].end - ranges.ranges[i].begin;
    if (count != NULL)
        *count = ranges.count;
    oh_arena_fini(&arena);
    return bytes;
}

uint32_t oh_tables_stack(uint8_t kind, uint64_t number)
{
    const uint64_t pc = 0x401000 + number;
    const struct oh_stack_key key = {.kind = kind, .phase = OH_PHASE_MAIN, .depth = 1, .pcs = &pc};
    uint32_t stack = oh_stacks_intern(&key);
    oh_require(stack != 0);
    return stack;
}
