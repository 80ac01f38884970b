// SPDX-License-Identifier: Apache-2.0
//
// How long single calls of the allocator take: stall THREADS SECONDS [BLOCKS].
//
// Each thread replaces blocks of 16 to 1,039 bytes at random places of an array of its own (BLOCKS,
// 20,000), through 64 call paths, and measures every malloc and every free by itself. Prints one
// line: calls; how many took longer than 10 us, 100 us, 1 ms, 10 ms and 100 ms; the longest in
// microseconds; the same two for calls in which the thread waited (a voluntary switch: the kernel
// had it wait for something, and did not only run another thread): how many over 100 us, the
// longest in microseconds, and the sum of all these waits in milliseconds.

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define NOINLINE __attribute__((noinline))

enum { THREADS_MAX = 16, FORKS = 6, LIMITS = 5, SMALLEST = 16, SIZES = 1024, CLOCK_CALLS = 512 };

static const uint64_t limits_ns[LIMITS] = {10000, 100000, 1000000, 10000000, 100000000};

struct thread {
    pthread_t handle;
    uint64_t calls;
    uint64_t over[LIMITS];
    uint64_t worst_ns;
    uint64_t waits;
    uint64_t worst_wait_ns;
    uint64_t sum_wait_ns;
    uint64_t random;
    long switches; // Voluntary ones, when last looked at.
};

static struct thread threads[THREADS_MAX];
static uint64_t end_ns;
static size_t blocks = 20000;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static long switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

static uint64_t random_next(struct thread *self)
{
    self->random ^= self->random << 13;
    self->random ^= self->random >> 7;
    self->random ^= self->random << 17;
    return self->random;
}

static void count(struct thread *self, uint64_t ns)
{
    self->calls++;
    if (ns < limits_ns[0])
        return;
    for (int i = 0; i < LIMITS; i++)
        self->over[i] += ns >= limits_ns[i];
    if (ns > self->worst_ns)
        self->worst_ns = ns;
    long seen = switches();
    if (seen != self->switches && ns >= limits_ns[1]) {
        self->waits++;
        self->sum_wait_ns += ns;
        if (ns > self->worst_wait_ns)
            self->worst_wait_ns = ns;
    }
    self->switches = seen;
}

static NOINLINE void *left(struct thread *self, unsigned forks, uint64_t path);
static NOINLINE void *right(struct thread *self, unsigned forks, uint64_t path);

// One of 2^forks call paths. The empty statement keeps the call from becoming a jump.
static inline void *go_on(struct thread *self, unsigned forks, uint64_t path)
{
    void *block;
    if (forks == 0) {
        size_t bytes = SMALLEST + (path >> 1) % SIZES;
        uint64_t begin = now_ns();
        block = malloc(bytes);
        count(self, now_ns() - begin);
    } else if (path & 1) {
        block = right(self, forks - 1, path >> 1);
    } else {
        block = left(self, forks - 1, path >> 1);
    }
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

static NOINLINE void *left(struct thread *self, unsigned forks, uint64_t path)
{
    return go_on(self, forks, path);
}

static NOINLINE void *right(struct thread *self, unsigned forks, uint64_t path)
{
    void *block = go_on(self, forks, path);
    __asm__ volatile("");
    return block;
}

static void *run(void *arg)
{
    struct thread *self = arg;
    void **held = calloc(blocks, sizeof *held);
    if (held == NULL)
        abort();
    self->switches = switches();
    while (now_ns() < end_ns) {
        for (int i = 0; i < CLOCK_CALLS; i++) {
            size_t at = (size_t)(random_next(self) % blocks);
            uint64_t begin = now_ns();
            free(held[at]);
            count(self, now_ns() - begin);
            held[at] = go_on(self, FORKS, random_next(self));
        }
    }
    free(held); // The blocks stay: their pages are those that are written.
    return NULL;
}

static void report(int number)
{
    struct thread sum = {0};
    for (int i = 0; i < number; i++) {
        sum.calls += threads[i].calls;
        sum.waits += threads[i].waits;
        sum.sum_wait_ns += threads[i].sum_wait_ns;
        for (int l = 0; l < LIMITS; l++)
            sum.over[l] += threads[i].over[l];
        if (threads[i].worst_ns > sum.worst_ns)
            sum.worst_ns = threads[i].worst_ns;
        if (threads[i].worst_wait_ns > sum.worst_wait_ns)
            sum.worst_wait_ns = threads[i].worst_wait_ns;
    }
    printf("%llu", (unsigned long long)sum.calls);
    for (int l = 0; l < LIMITS; l++)
        printf(" %llu", (unsigned long long)sum.over[l]);
    printf(" %.0f %llu %.0f %.1f\n", (double)sum.worst_ns / 1e3, (unsigned long long)sum.waits,
           (double)sum.worst_wait_ns / 1e3, (double)sum.sum_wait_ns / 1e6);
}

int main(int argc, char **argv)
{
    int number = argc > 1 ? atoi(argv[1]) : 0;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 0;
    if (argc > 3)
        blocks = strtoul(argv[3], NULL, 10);
    if (number < 1 || number > THREADS_MAX || seconds <= 0 || blocks == 0)
        return 2;
    end_ns = now_ns() + (uint64_t)(seconds * 1e9);
    for (int i = 0; i < number; i++) {
        threads[i].random = 0x9e3779b97f4a7c15u + (uint64_t)i;
        if (pthread_create(&threads[i].handle, NULL, run, &threads[i]) != 0)
            return 1;
    }
    for (int i = 0; i < number; i++)
        pthread_join(threads[i].handle, NULL);
    report(number);
    return 0;
}
