/*
 * own/lookup: what does a lookup in std::unordered_map cost beside one in a sorted vector?
 *
 *   fencepost run --kernel examples/own/lookup.cc
 *
 * One operation is one successful lookup. Its key comes from the lookup before. The parameter says how many keys there are.
 */
#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel.h"

namespace
{

enum { KEYS, CONTAINER };
enum { HASH, SORTED };

struct Table {
    std::unordered_map<uint64_t, uint64_t> hash;
    std::vector<std::pair<uint64_t, uint64_t>> sorted;
    uint64_t count = 0, key = 0, lookups = 0;
};

/* Keys are 0 … count - 1 scattered by an odd factor. Each leads to the next of one long cycle. */
uint64_t scattered(uint64_t number)
{
    return number * UINT64_C(0x9e3779b97f4a7c15);
}

int setup(struct trial *trial)
try {
    auto table = std::make_unique<Table>();

    if (trial->value[KEYS] < 1 || trial->value[KEYS] > INT64_C(1) << 24)
        return trial_fault(trial, "keys=%" PRId64 " is not from 1 to 16 Mi", trial->value[KEYS]);
    table->count = static_cast<uint64_t>(trial->value[KEYS]);
    for (uint64_t i = 0; i < table->count; i++) {
        table->hash.emplace(scattered(i), scattered((i + 1) % table->count));
        table->sorted.emplace_back(scattered(i), scattered((i + 1) % table->count));
    }
    std::sort(table->sorted.begin(), table->sorted.end());
    trial->state = table.release();
    return 0;
} catch (const std::bad_alloc &) {
    return -ENOMEM;
}

void run(struct worker *worker, uint64_t operations)
{
    auto &table = *static_cast<Table *>(worker->trial->state);
    uint64_t key = table.key;

    if (worker->trial->value[CONTAINER] == HASH)
        for (uint64_t i = 0; i < operations; i++)
            key = table.hash.find(key)->second;
    else
        for (uint64_t i = 0; i < operations; i++)
            key = std::lower_bound(table.sorted.begin(), table.sorted.end(), std::make_pair(key, uint64_t{0}))->second;
    table.key = key;
    table.lookups += operations;
}

int check(struct trial *trial)
{
    const auto &table = *static_cast<Table *>(trial->state);

    if (table.key != scattered(table.lookups % table.count))
        return trial_fault(trial, "after %" PRIu64 " lookups the walk is not where they lead", table.lookups);
    return 0;
}

void teardown(struct trial *trial)
{
    delete static_cast<Table *>(trial->state);
}

} // namespace

/* C++ wants the members in the order of struct kernel, and none of a parameter's left out between two. */
KERNEL(lookup, .name = "own/lookup", .summary = "a successful lookup in a container", .unit = "lookup",
       .threads = {1, 1},
       .parameters = {{"keys", "keys", "in the container", nullptr, 1024, "64 16384", "64 1024 16384 262144",
                       "64 1024 16384 262144"},
                      {"container", "", "which", "unordered_map sorted_vector", HASH, "*", "*", "*"}},
       .setup = setup, .run = run, .check = check, .teardown = teardown)
