/*
 * The loop of branch/pgo, without any hint. bench/pgo.py compiles it with each profile and sets NAME, the function's
 * name.
 */
#include "kernels/branch/likely.h"

#define LINKAGE
#define LOOP NAME
#define EXPECT(x) (x)
#define CALLEE note_rare
#include "kernels/branch/likely_loop.h"
