/*
 * The one source of branch/likely: a loop with a rarely wanted block, written once and compiled once for each way to tell the
 * compiler how rare it is. Included by branch_likely.c with LOOP (the function's name), EXPECT(x) and CALLEE set; no include guard, on purpose.
 */
static __attribute__((noinline)) uint64_t LOOP(const uint8_t *outcomes, uint64_t n, uint64_t *rare)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++) {
        if (EXPECT(outcomes[i])) {
            CALLEE(rare);
        }
        sum += i;
        OPAQUE(sum); /* the loop's own work stays in the loop, one element after the other */
    }
    return sum;
}
#undef LOOP
#undef EXPECT
#undef CALLEE
