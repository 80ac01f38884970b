// SPDX-License-Identifier: Apache-2.0
//
// The small workloads of the benchmark: work NAME OPS [LIVE].
//
// Runs OPS operations of the workload NAME and prints one line: nanoseconds an operation, and the
// peak of the resident memory in KiB. One thread: its processor time, so that a busy machine
// disturbs less; two threads: wall time. LIVE blocks that every sampler is nearly certain to sample are
// made before and kept: their addresses fill its filter.

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define NOINLINE __attribute__((noinline))

enum {
    SMALL_BYTES = 64,
    LARGE_BYTES = 8 << 10,  // One in 64 is a sample of the default.
    DEEP_FRAMES = 14,       // With the forks, main and its callers: thirty.
    DEEP_FORKS = 6,         // 64 paths.
    RANDOM_BLOCKS = 100000, // Of 16..4096 bytes: 200 MB.
    HEAP_BLOCKS = 20000,    // Of 16..1000 bytes: 10 MB.
    LIVE_BYTES = 6 << 20,   // Twelve means of the default: missed once in 160,000.
    RING_SLOTS = 1024
};

// The compiler cannot see that nobody looks at the block.
static inline void *keep(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static void *small_block(size_t bytes)
{
    void *block = keep(malloc(bytes));
    if (block == NULL)
        abort();
    return block;
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// --- pair, deep, leak --------------------------------------------------------------------------

static void pair_loop(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        free(small_block(SMALL_BYTES));
}

static void large_loop(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        free(small_block(LARGE_BYTES));
}

static void calloc_loop(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++) {
        void *block = keep(calloc(4, SMALL_BYTES / 4));
        if (block == NULL)
            abort();
        free(block);
    }
}

static void aligned_loop(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++) {
        void *block;
        if (posix_memalign(&block, 64, SMALL_BYTES) != 0)
            abort();
        free(keep(block));
    }
}

// A block that is resized and keeps its place.
static void resize_loop(uint64_t ops)
{
    void *block = small_block(SMALL_BYTES);
    for (uint64_t i = 0; i < ops; i++) {
        block = keep(realloc(block, SMALL_BYTES - (i & 7)));
        if (block == NULL)
            abort();
    }
    free(block);
}

static void leak_loop(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        *(char *)small_block(SMALL_BYTES) = 1;
}

static NOINLINE void fork_left(unsigned forks, uint64_t path);
static NOINLINE void fork_right(unsigned forks, uint64_t path);

// One of 2^forks call paths, then one pair. The empty statements after a call keep it from
// becoming a jump, which would leave no frame.
static inline void fork_on(unsigned forks, uint64_t path)
{
    if (forks == 0) {
        free(small_block(SMALL_BYTES));
    } else if (path & 1) {
        fork_right(forks - 1, path >> 1);
    } else {
        fork_left(forks - 1, path >> 1);
    }
    __asm__ volatile("");
}

static NOINLINE void fork_left(unsigned forks, uint64_t path)
{
    fork_on(forks, path);
}

static NOINLINE void fork_right(unsigned forks, uint64_t path)
{
    fork_on(forks, path);
    __asm__ volatile("nop");
}

static void deep_loop(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++)
        fork_left(DEEP_FORKS, i);
}

// Runs body from so many frames further down.
static NOINLINE void descend(unsigned frames, void (*body)(uint64_t), uint64_t ops)
{
    if (frames == 0)
        body(ops);
    else
        descend(frames - 1, body, ops);
    __asm__ volatile("");
}

static void run_pair(uint64_t ops)
{
    pair_loop(ops);
}

static void run_deep(uint64_t ops)
{
    descend(DEEP_FRAMES, deep_loop, ops);
}

static void run_large(uint64_t ops)
{
    large_loop(ops);
}

static void run_calloc(uint64_t ops)
{
    calloc_loop(ops);
}

static void run_aligned(uint64_t ops)
{
    aligned_loop(ops);
}

static void run_resize(uint64_t ops)
{
    resize_loop(ops);
}

static void run_leak(uint64_t ops)
{
    leak_loop(ops);
}

// --- realloc, mmap -----------------------------------------------------------------------------

// An operation is one growth by half, from 16 bytes to 64 KiB and again.
static void run_realloc(uint64_t ops)
{
    void *block = NULL;
    size_t bytes = 16;
    for (uint64_t i = 0; i < ops; i++) {
        block = keep(realloc(block, bytes));
        if (block == NULL)
            abort();
        *(char *)block = 1;
        bytes += bytes / 2;
        if (bytes > 64 << 10) {
            free(block);
            block = NULL;
            bytes = 16;
        }
    }
    free(block);
}

static void run_mmap(uint64_t ops)
{
    const size_t bytes = 64 << 10;
    for (uint64_t i = 0; i < ops; i++) {
        void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            abort();
        *(char *)map = 1;
        munmap(map, bytes);
    }
}

// --- random, cross -----------------------------------------------------------------------------

struct share {
    uint64_t ops;
    uint64_t seed;
    uint64_t blocks;
    uint64_t bytes_most;
};

static void *random_thread(void *arg)
{
    const struct share *share = arg;
    uint64_t state = share->seed;
    void **blocks = calloc(share->blocks, sizeof *blocks);
    if (blocks == NULL)
        abort();
    for (uint64_t i = 0; i < share->ops; i++) {
        uint64_t draw = random_next(&state);
        void **slot = &blocks[draw % share->blocks];
        free(*slot);
        *slot = small_block(16 + (draw >> 32) % (share->bytes_most - 15));
        *(char *)*slot = 1;
    }
    for (size_t i = 0; i < share->blocks; i++)
        free(blocks[i]);
    free(blocks);
    return NULL;
}

static void run_random1(uint64_t ops)
{
    random_thread(&(struct share){ops, 1, RANDOM_BLOCKS, 4096});
}

static void run_heap(uint64_t ops)
{
    random_thread(&(struct share){ops, 1, HEAP_BLOCKS, 1000});
}

static void two_threads(void *(*body)(void *), void *first, void *second)
{
    pthread_t other;
    if (pthread_create(&other, NULL, body, second) != 0)
        abort();
    body(first);
    pthread_join(other, NULL);
}

// Each thread does all of ops: with two processors, time an operation is that of random1.
static void run_random2(uint64_t ops)
{
    struct share shares[2] = {{ops, 1, RANDOM_BLOCKS, 4096}, {ops, 2, RANDOM_BLOCKS, 4096}};
    two_threads(random_thread, &shares[0], &shares[1]);
}

static void *pair_thread(void *arg)
{
    pair_loop(*(const uint64_t *)arg);
    return NULL;
}

static void *deep_thread(void *arg)
{
    run_deep(*(const uint64_t *)arg);
    return NULL;
}

// Both threads allocate from the same stack, and from the same 64 stacks.
static void run_pair2(uint64_t ops)
{
    two_threads(pair_thread, &ops, &ops);
}

static void run_deep2(uint64_t ops)
{
    two_threads(deep_thread, &ops, &ops);
}

static void *one_pair_thread(void *arg)
{
    free(small_block(SMALL_BYTES));
    return arg;
}

// An operation is a thread that makes one pair and ends.
static void run_threads(uint64_t ops)
{
    for (uint64_t i = 0; i < ops; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, one_pair_thread, NULL) != 0)
            abort();
        pthread_join(thread, NULL);
    }
}

// A box per direction: its writer fills empty slots, its reader frees and empties them.
struct box {
    _Alignas(64) _Atomic(void *) slots[RING_SLOTS];
};

struct peer {
    struct box *out;
    struct box *in;
    uint64_t ops;
};

static void *cross_thread(void *arg)
{
    struct peer *peer = arg;
    uint64_t sent = 0;
    uint64_t freed = 0;
    while (sent < peer->ops || freed < peer->ops) {
        _Atomic(void *) *out = &peer->out->slots[sent % RING_SLOTS];
        uint64_t before = sent + freed;
        if (sent < peer->ops && atomic_load_explicit(out, memory_order_acquire) == NULL) {
            atomic_store_explicit(out, small_block(SMALL_BYTES), memory_order_release);
            sent++;
        }
        _Atomic(void *) *in = &peer->in->slots[freed % RING_SLOTS];
        void *block = atomic_load_explicit(in, memory_order_acquire);
        if (block != NULL) {
            atomic_store_explicit(in, NULL, memory_order_release);
            free(block);
            freed++;
        }
        if (sent + freed == before)
            sched_yield(); // The other thread may have no processor.
    }
    return NULL;
}

static void run_cross(uint64_t ops)
{
    static struct box boxes[2];
    struct peer peers[2] = {{&boxes[0], &boxes[1], ops}, {&boxes[1], &boxes[0], ops}};
    two_threads(cross_thread, &peers[0], &peers[1]);
}

// --- the program -------------------------------------------------------------------------------

struct workload {
    const char *name;
    void (*run)(uint64_t ops);
    clockid_t clock;
};

static const struct workload workloads[] = {
    {"pair", run_pair, CLOCK_PROCESS_CPUTIME_ID},
    {"deep", run_deep, CLOCK_PROCESS_CPUTIME_ID},
    {"leak", run_leak, CLOCK_PROCESS_CPUTIME_ID},
    {"large", run_large, CLOCK_PROCESS_CPUTIME_ID},
    {"calloc", run_calloc, CLOCK_PROCESS_CPUTIME_ID},
    {"aligned", run_aligned, CLOCK_PROCESS_CPUTIME_ID},
    {"resize", run_resize, CLOCK_PROCESS_CPUTIME_ID},
    {"heap", run_heap, CLOCK_PROCESS_CPUTIME_ID},
    {"threads", run_threads, CLOCK_PROCESS_CPUTIME_ID},
    {"pair2", run_pair2, CLOCK_MONOTONIC},
    {"deep2", run_deep2, CLOCK_MONOTONIC},
    {"realloc", run_realloc, CLOCK_PROCESS_CPUTIME_ID},
    {"mmap", run_mmap, CLOCK_PROCESS_CPUTIME_ID},
    {"random1", run_random1, CLOCK_PROCESS_CPUTIME_ID},
    {"random2", run_random2, CLOCK_MONOTONIC},
    {"cross", run_cross, CLOCK_MONOTONIC},
};

static double now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// Nobody touches these blocks, so they cost address space only.
static void make_live(uint64_t blocks)
{
    for (uint64_t i = 0; i < blocks; i++)
        small_block(LIVE_BYTES);
}

// getrusage would count what the process was before its exec.
static long peak_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL)
        return 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    fclose(status);
    return kib;
}

static int run(const struct workload *workload, uint64_t ops, uint64_t live)
{
    make_live(live);
    workload->run(ops / 100 + 1); // Warm.
    double start = now_ns(workload->clock);
    workload->run(ops);
    double ns = (now_ns(workload->clock) - start) / (double)ops;
    printf("%.3f %ld\n", ns, peak_kib());
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s NAME OPS [LIVE]\n", argv[0]);
        return 2;
    }
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        if (strcmp(workloads[i].name, argv[1]) == 0)
            return run(&workloads[i], strtoull(argv[2], NULL, 10),
                       argc > 3 ? strtoull(argv[3], NULL, 10) : 0);
    fprintf(stderr, "%s: no workload %s\n", argv[0], argv[1]);
    return 2;
}
