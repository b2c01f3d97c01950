/* What a client does, without Python between the instruction and the clock.
 *
 * touch_pages: touches pages in a given order and records how long each touch took.
 * stress:      threads that read, check and increment their own slot of random pages; a lost
 *              update shows as a value that is not the one the thread wrote last.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 4096, SLOT_STRIDE = 64, INCREMENTS = 8 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Touches base + order[i] * PAGE for each i; returns the time of the whole run in ns. */
uint64_t touch_pages(volatile uint8_t *base, const uint32_t *order, uint64_t nr, uint64_t think_ns,
                     uint32_t *latency_ns)
{
    uint64_t begin = now_ns();
    for (uint64_t i = 0; i < nr; i++) {
        volatile uint8_t *byte = base + (uint64_t)order[i] * PAGE;
        uint64_t t0 = now_ns();
        *byte = (uint8_t)(*byte + 1);
        uint64_t t1 = now_ns();
        latency_ns[i] = (uint32_t)(t1 - t0);
        if (think_ns)
            while (now_ns() - t1 < think_ns)
                ;
    }
    return now_ns() - begin;
}

struct worker {
    volatile uint8_t *base;
    uint64_t nr_pages, hot_pages, deadline_ns, seed, operations, lost, mismatch;
    unsigned slot;
};

static void *work(void *argument)
{
    struct worker *w = argument;
    uint64_t *expected = calloc(w->nr_pages, sizeof *expected);
    uint64_t x = w->seed;
    while (expected && ((w->operations & 255) || now_ns() < w->deadline_ns)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t page = x % w->nr_pages;
        if (w->hot_pages && (x >> 40) % 8)
            page %= w->hot_pages;
        volatile uint64_t *slot = (volatile uint64_t *)(w->base + page * PAGE + w->slot * SLOT_STRIDE);
        uint64_t value = *slot;
        if (value != expected[page]) {
            w->lost++;
            expected[page] = value;
        }
        for (int i = 0; i < INCREMENTS; i++)
            *slot = *slot + 1;
        expected[page] += INCREMENTS;
        w->operations++;
    }
    for (uint64_t page = 0; expected && page < w->nr_pages; page++)
        if (*(volatile uint64_t *)(w->base + page * PAGE + w->slot * SLOT_STRIDE) != expected[page])
            w->mismatch++;
    free(expected);
    return 0;
}

/* result: {operations, lost, mismatch}. Returns 0, or -1 when a thread could not be started. */
int stress(uint8_t *base, uint64_t nr_pages, unsigned threads, uint64_t hot_pages, uint64_t duration_ns,
           uint64_t *result)
{
    struct worker workers[64];
    pthread_t ids[64];
    if (threads == 0 || threads > 64)
        return -1;
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.base = base, .nr_pages = nr_pages, .hot_pages = hot_pages,
                                     .deadline_ns = now_ns() + duration_ns, .slot = i,
                                     .seed = 88172645463325252u + i * 2654435761u};
        if (pthread_create(&ids[i], 0, work, &workers[i]))
            return -1;
    }
    memset(result, 0, 3 * sizeof *result);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], 0);
        result[0] += workers[i].operations;
        result[1] += workers[i].lost;
        result[2] += workers[i].mismatch;
    }
    return 0;
}
