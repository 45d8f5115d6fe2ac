/*
 * The one source of branch/likely and branch/pgo: a loop with a block that may be rare. It is written once and compiled
 * once for each way to tell the compiler how rare the block is. The includer sets LOOP (the function's name), EXPECT(x)
 * and CALLEE(count). It has no include guard, on purpose.
 */
#ifndef LINKAGE
#define LINKAGE static
#endif
LINKAGE __attribute__((noinline)) uint64_t LOOP(const uint8_t *outcomes, uint64_t n, uint64_t *rare)
{
    uint64_t sum = 0, count = 0;

    for (uint64_t i = 0; i < n; i++) {
        if (EXPECT(outcomes[i]))
            count = CALLEE(count);
        sum += i;
        OPAQUE(sum); /* the loop's own work stays in the loop, one element after the other */
    }
    *rare += count;
    return sum;
}
#undef LOOP
#undef EXPECT
#undef CALLEE
