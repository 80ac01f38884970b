// SPDX-License-Identifier: Apache-2.0
#include "support/threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS_MAX = 64 };

struct start {
    pthread_barrier_t *barrier;
    oh_threads_fn *fn;
    void *arg;
    uint32_t number;
};

static void *begin(void *arg)
{
    const struct start *start = arg;
    (void)pthread_barrier_wait(start->barrier);
    start->fn(start->number, start->arg);
    return NULL;
}

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    (void)fprintf(stderr, "%s: error %d\n", what, rc);
    exit(1);
}

void oh_threads_run(uint32_t count, oh_threads_fn *fn, void *arg)
{
    pthread_barrier_t barrier;
    pthread_t threads[THREADS_MAX];
    struct start starts[THREADS_MAX];
    must(count > THREADS_MAX, "too many threads");
    must(pthread_barrier_init(&barrier, NULL, count), "barrier");
    for (uint32_t i = 0; i < count; i++) {
        starts[i] = (struct start){&barrier, fn, arg, i};
        must(pthread_create(&threads[i], NULL, begin, &starts[i]), "thread");
    }
    for (uint32_t i = 0; i < count; i++)
        must(pthread_join(threads[i], NULL), "join");
    (void)pthread_barrier_destroy(&barrier);
}
