/*
 * Long two-thread runs over the rings of csrc/lib/ring: order, loss, duplication and torn items, for `make soak` and, in short, for the
 * tests and the thread sanitizer. A plain program; prints one line a case in the manner of TAP, the exit status is the number of failures.
 *
 *   soak spsc ITEMS    so many items in all, half of them through the lazy form, of several sizes, alone and in batches
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ring/spsc.h"

#define MOST_WORDS 32
#define MOST_BATCH 32

struct stream {
    struct ring_spsc *ring;
    uint64_t items, wrong;
    size_t words, batch;
};

/* Every word of an item follows from its number, so that a torn one shows. */
static uint64_t word_of(uint64_t number, size_t word)
{
    return (number + word) * UINT64_C(0x9e3779b97f4a7c15);
}

static void *produce(void *argument)
{
    struct stream *stream = argument;
    uint64_t items[MOST_BATCH * MOST_WORDS];
    const size_t words = stream->words;

    for (uint64_t number = 0; number < stream->items;) {
        const uint64_t left = stream->items - number;
        const size_t count = left < stream->batch ? (size_t)left : stream->batch;

        for (size_t i = 0; i < count; i++)
            for (size_t word = 0; word < words; word++)
                items[i * words + word] = word_of(number + i, word);
        for (size_t done = 0; done < count;) {
            size_t pushed;

            if (stream->batch > 1)
                pushed = ring_spsc_push_bulk_sized(stream->ring, items + done * words, count - done, words * 8);
            else
                pushed = ring_spsc_try_push_sized(stream->ring, items, words * 8);
            done += pushed;
            if (!pushed)
                sched_yield();
        }
        number += count;
    }
    ring_spsc_flush(stream->ring);
    return NULL;
}

static void consume(struct stream *stream)
{
    uint64_t items[MOST_BATCH * MOST_WORDS];
    const size_t words = stream->words;

    for (uint64_t number = 0; number < stream->items;) {
        size_t popped;

        if (stream->batch > 1)
            popped = ring_spsc_pop_bulk_sized(stream->ring, items, stream->batch, words * 8);
        else
            popped = ring_spsc_try_pop_sized(stream->ring, items, words * 8);
        if (!popped)
            sched_yield();
        for (size_t i = 0; i < popped; i++, number++)
            for (size_t word = 0; word < words; word++)
                stream->wrong += items[i * words + word] != word_of(number, word);
    }
}

static int run(uint64_t items, size_t words, size_t batch, size_t capacity, ring_index start, unsigned flags)
{
    struct stream stream = {.items = items, .words = words, .batch = batch};
    pthread_t producer;
    bool left_over;
    uint64_t rest[MOST_WORDS];

    if (ring_spsc_create(&stream.ring, capacity, words * 8, flags)) {
        printf("not ok - spsc # no ring\n");
        return 1;
    }
    ring_spsc_start_at(stream.ring, start);
    if (pthread_create(&producer, NULL, produce, &stream)) {
        printf("not ok - spsc # no thread\n");
        return 1;
    }
    consume(&stream);
    pthread_join(producer, NULL);
    left_over = ring_spsc_try_pop(stream.ring, rest);
    ring_spsc_destroy(stream.ring);
    printf("%s - spsc%s items=%" PRIu64 " bytes=%zu batch=%zu capacity=%zu # %" PRIu64 " wrong%s\n",
           stream.wrong || left_over ? "not ok" : "ok", flags ? " lazy" : "", items, words * 8, batch, capacity,
           stream.wrong, left_over ? ", one more than was pushed" : "");
    fflush(stdout);
    return stream.wrong || left_over;
}

int main(int argc, char **argv)
{
    const uint64_t items = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    int failures = 0;

    if (argc != 3 || strcmp(argv[1], "spsc") != 0 || items == 0) {
        fprintf(stderr, "usage: soak spsc ITEMS\n");
        return 2;
    }
    /* Each form gets half. Half of that in the common case, across the wrap of 32 bits (and of 64 in the cases after it). */
    for (unsigned flags = 0; flags <= RING_SPSC_LAZY; flags += RING_SPSC_LAZY) {
        failures += run(items / 4, 1, 1, 1024, (ring_index)UINT32_MAX - 1000, flags);
        failures += run(items / 8, 1, 32, 1000, (ring_index)-1000, flags);
        failures += run(items / 32, 1, 7, 3, (ring_index)-1000, flags);
        failures += run(items / 128, 1, 1, 1, (ring_index)-1000, flags);
        failures += run(items / 32, 8, 1, 64, (ring_index)-1000, flags);
        failures += run(items / 32, 8, 8, 100, (ring_index)-1000, flags);
        failures += run(items / 64, 32, 5, 17, (ring_index)-1000, flags);
        failures += run(items / 128, 2, 3, 2, (ring_index)-1000, flags);
    }
    return failures;
}
