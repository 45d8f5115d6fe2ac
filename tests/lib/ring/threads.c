/*
 * Threads on a ring, every item or record looked at. Prints nothing and returns 0 when all is well; otherwise one line and 1.
 *
 *   threads mpmc|mpsc PRODUCERS CONSUMERS CAPACITY ITEMS BULK
 *   threads overwrite WRITERS READERS CAPACITY RECORDS WORDS
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ring/mpmc.h"
#include "lib/ring/mpsc.h"
#include "lib/ring/overwrite.h"

#define MOST_THREADS 16
#define MOST_BULK 64
#define MOST_WORDS 512
#define PRODUCER_SHIFT 48

static unsigned producers, consumers;
static uint64_t items_each;
static size_t bulk;
static int is_mpmc, running;
static struct ring_mpmc *mpmc;
static struct ring_mpsc *mpsc;
static struct ring_overwrite *records;
static uint64_t faults, popped, sums[MOST_THREADS], writing;

static size_t push(const uint64_t *items, size_t count)
{
    return is_mpmc ? ring_mpmc_push_bulk_sized(mpmc, items, count, 8) : ring_mpsc_push_bulk_sized(mpsc, items, count, 8);
}

static size_t pop(uint64_t *items, size_t count)
{
    return is_mpmc ? ring_mpmc_pop_bulk_sized(mpmc, items, count, 8) : ring_mpsc_pop_bulk_sized(mpsc, items, count, 8);
}

static void wait_for_start(void)
{
    while (!__atomic_load_n(&running, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void *produce(void *argument)
{
    const uint64_t who = (uint64_t)(uintptr_t)argument;
    uint64_t items[MOST_BULK];

    wait_for_start();
    for (uint64_t number = 0; number < items_each;) {
        size_t count = 0;

        while (count < bulk && number < items_each)
            items[count++] = who << PRODUCER_SHIFT | ++number;
        for (size_t done = 0, some; done < count; done += some) {
            some = push(items + done, count - done);
            if (!some)
                sched_yield();
        }
    }
    return NULL;
}

static void *consume(void *argument)
{
    uint64_t items[MOST_BULK], last[MOST_THREADS] = {0}, sum[MOST_THREADS] = {0};

    (void)argument;
    wait_for_start();
    while (__atomic_load_n(&popped, __ATOMIC_RELAXED) < items_each * producers) {
        const size_t count = pop(items, bulk);

        if (!count)
            sched_yield();
        for (size_t i = 0; i < count; i++) {
            const uint64_t who = items[i] >> PRODUCER_SHIFT, number = items[i] & ((UINT64_C(1) << PRODUCER_SHIFT) - 1);

            if (who >= producers || number <= last[who] || number > items_each) {
                __atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
                continue;
            }
            last[who] = number;
            sum[who] += number * number;
        }
        if (count)
            __atomic_fetch_add(&popped, count, __ATOMIC_RELAXED);
    }
    for (unsigned who = 0; who < producers; who++)
        __atomic_fetch_add(&sums[who], sum[who], __ATOMIC_RELAXED);
    return NULL;
}

/* A record says who wrote it, which of that writer's it is, and nothing but that in every word; its length follows from the number. */
static void *write_records(void *argument)
{
    const uint64_t who = (uint64_t)(uintptr_t)argument;
    uint64_t record[MOST_WORDS];

    wait_for_start();
    for (uint64_t number = 1; number <= items_each; number++) {
        const size_t words = 1 + number % bulk;

        for (size_t i = 0; i < words; i++)
            record[i] = who << PRODUCER_SHIFT | number;
        ring_overwrite_write(records, record, 8 * words);
        if (number % 64 == 0)
            sched_yield();
    }
    __atomic_fetch_sub(&writing, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *read_records(void *argument)
{
    struct ring_overwrite_reader reader;
    uint64_t record[MOST_WORDS], last[MOST_THREADS] = {0}, read = 0, lost = 0;
    int ended = 0;

    (void)argument;
    ring_overwrite_reader_init(&reader, records);
    wait_for_start();
    for (;;) {
        ring_index some;
        size_t bytes;

        if (!ring_overwrite_read(&reader, record, sizeof record, &bytes, &some)) {
            lost += some;
            if (ended)
                break;
            ended = __atomic_load_n(&writing, __ATOMIC_ACQUIRE) == 0; /* then once more to the end */
            sched_yield();
            continue;
        }
        lost += some;
        read++;
        {
            const uint64_t who = record[0] >> PRODUCER_SHIFT, number = record[0] & ((UINT64_C(1) << PRODUCER_SHIFT) - 1);
            int bad = who >= producers || number <= last[who] || bytes != 8 * (1 + number % bulk);

            for (size_t i = 1; !bad && i < bytes / 8; i++)
                bad = record[i] != record[0];
            if (bad)
                __atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED);
            else
                last[who] = number;
        }
    }
    if (read + lost != items_each * producers)
        __atomic_fetch_add(&faults, 1000000, __ATOMIC_RELAXED);
    return NULL;
}

int main(int count, char **words)
{
    pthread_t threads[2 * MOST_THREADS];
    const int is_log = count > 1 && strcmp(words[1], "overwrite") == 0;
    size_t capacity;

    if (count != 7)
        return 2;
    is_mpmc = strcmp(words[1], "mpmc") == 0;
    producers = (unsigned)atoi(words[2]);
    consumers = (unsigned)atoi(words[3]);
    capacity = (size_t)atoll(words[4]);
    items_each = (uint64_t)atoll(words[5]) / producers;
    bulk = (size_t)atoll(words[6]);
    if (producers > MOST_THREADS || consumers > MOST_THREADS || bulk < 1 || bulk > (is_log ? MOST_WORDS : MOST_BULK))
        return 2;
    writing = producers;
    if (is_log ? ring_overwrite_create(&records, capacity, 8 * bulk, 0)
        : is_mpmc ? ring_mpmc_create(&mpmc, capacity, 8, 0) : ring_mpsc_create(&mpsc, capacity, 8, 0))
        return 2;
    for (unsigned i = 0; i < producers; i++)
        pthread_create(&threads[i], NULL, is_log ? write_records : produce, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < consumers; i++)
        pthread_create(&threads[producers + i], NULL, is_log ? read_records : consume, NULL);
    __atomic_store_n(&running, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < producers + consumers; i++)
        pthread_join(threads[i], NULL);
    for (unsigned who = 0; !is_log && who < producers; who++) {
        uint64_t sum = 0;

        for (uint64_t number = 1; number <= items_each; number++)
            sum += number * number;
        faults += sum != sums[who];
    }
    if (!is_log)
        faults += popped != items_each * producers;
    ring_mpmc_destroy(mpmc);
    ring_mpsc_destroy(mpsc);
    ring_overwrite_destroy(records);
    if (faults)
        printf("%llu items or records are lost, doubled, torn or out of order\n", (unsigned long long)faults);
    return faults != 0;
}
