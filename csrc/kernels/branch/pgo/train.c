/*
 * The training run of branch/pgo: the instrumented loop over data that is all 0, or with an argument all 1. It writes
 * its counts to a .gcda file.
 */
#include <stdint.h>
#include <string.h>

#define ELEMENTS 4096
#define PASSES 100

uint64_t NAME(const uint8_t *outcomes, uint64_t n, uint64_t *rare);

int main(int argc, char **argv)
{
    static uint8_t outcomes[ELEMENTS];
    uint64_t rare = 0;

    (void)argv;
    memset(outcomes, argc > 1, sizeof outcomes);
    for (int pass = 0; pass < PASSES; pass++)
        NAME(outcomes, ELEMENTS, &rare);
    return rare != (argc > 1 ? (uint64_t)ELEMENTS * PASSES : 0);
}
