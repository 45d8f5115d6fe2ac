/* The loop of branch/pgo, compiled by bench/pgo.py with each profile; NAME is what it is called then. Without any hint. */
#include "kernels/branch/likely.h"

#define LINKAGE
#define LOOP NAME
#define EXPECT(x) (x)
#define CALLEE note_rare
#include "kernels/branch/likely_loop.h"
