// SPDX-License-Identifier: Apache-2.0
//
// lines: what a cache line costs that several processors write, and what that makes of an event on
// many processors.
//
//   lines measure          nanoseconds of the operations below, two threads on two processors
//   lines model OWN LINE   nanoseconds of an event on 1 to 64 processors and 1 to 16 shards
//
// The model: each processor works OWN nanoseconds on its own and then needs one of S shared lines
// for LINE nanoseconds (a transfer, and the atomic operations on it while it is there). A line
// serves one at a time, in the order of arrival; each event picks its line at random, or its
// processor's when there are as many. The times between are exponential. Simulated, not solved.

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LINE_BYTES = 64,
    OPS = 400000,
    CORES_MOST = 64,
    SHARDS_MOST = 16,
    EVENTS = 400000,
    RUNS = 15
};

struct line {
    _Alignas(LINE_BYTES) _Atomic(uint64_t) word[LINE_BYTES / 8];
};

static struct line lines[4];
static _Atomic(uint32_t) ready;

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// --- measure -----------------------------------------------------------------------------------

typedef void body_fn(uint32_t number, uint64_t ops);

struct job {
    body_fn *body;
    uint32_t number;
    uint32_t threads;
    double ns;
};

static void pin(uint32_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *job_thread(void *arg)
{
    struct job *job = arg;
    pin(job->number);
    job->body(job->number, OPS / 100);
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < job->threads)
        ;
    double start = now_ns();
    job->body(job->number, OPS);
    job->ns = (now_ns() - start) / OPS;
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

// The median of the runs, each that of its slower thread. On a machine with other work the two threads
// may not run at the same time, and then do not meet.
static double measure(body_fn *body, uint32_t threads)
{
    double ns[RUNS];
    for (int run = 0; run < RUNS; run++) {
        struct job jobs[2] = {{body, 0, threads, 0}, {body, 1, threads, 0}};
        pthread_t ids[2];
        atomic_store(&ready, 0);
        memset(lines, 0, sizeof lines);
        for (uint32_t i = 0; i < threads; i++)
            if (pthread_create(&ids[i], NULL, job_thread, &jobs[i]) != 0)
                abort();
        for (uint32_t i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
        ns[run] = fmax(jobs[0].ns, jobs[1].ns);
    }
    qsort(ns, RUNS, sizeof ns[0], by_value);
    return ns[RUNS / 2];
}

static void add(_Atomic(uint64_t) *word, uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

static void add_shared(uint32_t number, uint64_t ops)
{
    (void)number;
    add(&lines[0].word[0], ops);
}

static void add_own(uint32_t number, uint64_t ops)
{
    add(&lines[number].word[0], ops);
}

static void add_beside(uint32_t number, uint64_t ops)
{
    add(&lines[0].word[number], ops);
}

// Three counters of one line, as an event of exact mode adds to them.
static void add_three(uint32_t number, uint64_t ops)
{
    (void)number;
    for (uint64_t i = 0; i < ops; i++)
        for (int word = 0; word < 3; word++)
            atomic_fetch_add_explicit(&lines[0].word[word], 1, memory_order_relaxed);
}

static void store_own(uint32_t number, uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        atomic_store_explicit(&lines[number].word[0], i, memory_order_relaxed);
}

static void store_beside(uint32_t number, uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        atomic_store_explicit(&lines[0].word[number], i, memory_order_relaxed);
}

// Loads of a line that nobody writes.
static void load_shared(uint32_t number, uint64_t ops)
{
    (void)number;
    for (uint64_t i = 0; i < ops; i++)
        (void)atomic_load_explicit(&lines[3].word[0], memory_order_relaxed);
}

// The second thread writes the line that the first one reads.
static void load_written(uint32_t number, uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++) {
        if (number == 0)
            (void)atomic_load_explicit(&lines[0].word[0], memory_order_relaxed);
        else
            atomic_store_explicit(&lines[0].word[1], i, memory_order_relaxed);
    }
}

// An operation is a line's way there or back.
static void hand_over(uint32_t number, uint64_t ops)
{
    if (ops < OPS)
        return; // Nothing to warm.
    for (uint64_t i = number; i < ops / 4; i += 2) {
        while (atomic_load_explicit(&lines[0].word[0], memory_order_acquire) != i)
            ;
        atomic_store_explicit(&lines[0].word[0], i + 1, memory_order_release);
    }
}

static int measure_all(void)
{
    static const struct {
        const char *name;
        body_fn *body;
        uint32_t threads;
        double scale;
    } rows[] = {
        {"atomic add, one thread", add_own, 1, 1},
        {"atomic add, each on a line of its own", add_own, 2, 1},
        {"atomic add, both to one word", add_shared, 2, 1},
        {"atomic add, neighbours on one line", add_beside, 2, 1},
        {"three atomic adds on one line, one thread", add_three, 1, 1},
        {"three atomic adds on one line, both", add_three, 2, 1},
        {"store, each on a line of its own", store_own, 2, 1},
        {"store, neighbours on one line", store_beside, 2, 1},
        {"load of a line that nobody writes", load_shared, 2, 1},
        {"load of a line that the other writes", load_written, 2, 1},
        {"hand a line over, one way", hand_over, 2, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%-42s %7.1f ns\n", rows[i].name,
               measure(rows[i].body, rows[i].threads) * rows[i].scale);
    return 0;
}

// --- model -------------------------------------------------------------------------------------

static double uniform(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

// Nanoseconds of one event of a processor, when `cores` of them share `shards` lines.
static double simulate(uint32_t cores, uint32_t shards, double own, double line)
{
    double arrives[CORES_MOST];
    double free_at[SHARDS_MOST] = {0};
    uint64_t state = 88172645463325252u;
    for (uint32_t core = 0; core < cores; core++)
        arrives[core] = -own * log(uniform(&state));
    double end = 0;
    for (uint32_t event = 0; event < EVENTS; event++) {
        uint32_t first = 0;
        for (uint32_t core = 1; core < cores; core++)
            if (arrives[core] < arrives[first])
                first = core;
        uint32_t shard = cores <= shards ? first : (uint32_t)(uniform(&state) * shards);
        double begins = fmax(arrives[first], free_at[shard]);
        free_at[shard] = begins + line;
        end = free_at[shard];
        arrives[first] = end - own * log(uniform(&state));
    }
    return end * cores / EVENTS;
}

static int model(double own, double line)
{
    printf("events of %.0f ns, of which %.0f ns on a shared line\nprocessors", own + line, line);
    for (uint32_t shards = 1; shards <= SHARDS_MOST; shards *= 4)
        printf(" %9u line%s", shards, shards > 1 ? "s" : " ");
    printf("\n");
    for (uint32_t cores = 1; cores <= CORES_MOST; cores *= 2) {
        printf("%10u", cores);
        for (uint32_t shards = 1; shards <= SHARDS_MOST; shards *= 4)
            printf(" %12.0f ns", simulate(cores, shards, own, line));
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "measure") == 0)
        return measure_all();
    if (argc == 4 && strcmp(argv[1], "model") == 0)
        return model(strtod(argv[2], NULL), strtod(argv[3], NULL));
    fprintf(stderr, "usage: %s measure | model OWN LINE\n", argv[0]);
    return 2;
}
