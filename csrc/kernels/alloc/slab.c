/*
 * alloc/slab: do objects of the kernel come one by one, or in whole slabs?
 *
 * One operation is one object: a mapping of one page, of which the kernel keeps a description (vm_area_struct). Nothing
 * is timed. 16384 of them are made, and /proc/slabinfo is read before and after. Neighbours have different rights, so
 * that no two become one mapping.
 *   objects_grown  how many objects the cache has room for, more than before
 *   slabs_grown    slabs that it got for them, each of pages_per_slab pages and objects_per_slab objects
 *   filled_pct     objects that found no room before, over the room of these slabs: 100 where each slab is filled
 *                  before the next comes
 * Excluded:  memory of the mappings, which nobody touches.
 * Expect:    Linux 6.18 with SLUB: 21 objects of 192 bytes in a slab of one page. Room that was free before needs no
 *            slab.
 * Hazards:   the cache belongs to the whole machine. Others take from it and give back meanwhile, and each CPU keeps
 *            some objects. The looks are repeated until a growth is seen that is large enough for the objects.
 *            /proc/slabinfo is for root.
 * Not shown: the cost of an object, the way back, which is later than munmap, and the buddy allocator, from which slabs
 *            come.
 */
#define _GNU_SOURCE
#include "kernels/system.h"

enum { OBJECTS_PER_SLAB, PAGES_PER_SLAB, OBJECTS_GROWN, SLABS_GROWN, FILLED_PCT };

#define OBJECTS 16384
#define SLABINFO "/proc/slabinfo"
#define CACHE "vm_area_struct"
#define ATTEMPTS 5
/* So small a part may be hidden: what each CPU has in reserve counts as in use (seen 1 % with two CPUs). */
#define HIDDEN_PART 10

struct cache {
    int64_t active, objects, per_slab, pages, slabs;
};

struct slabs {
    struct cache before, after;
    int64_t made;
    unsigned char *first;
    size_t bytes;
};

/* The line of the cache. Read in pieces: the file has some 200 lines. 0 or -errno. */
static int look(struct cache *cache)
{
    const int file = open(SLABINFO, O_RDONLY | O_CLOEXEC);
    char line[256], piece[4096];
    size_t length = 0;
    int status = -ENOENT;
    ssize_t got;

    if (file < 0)
        return -errno;
    while (status && (got = read(file, piece, sizeof piece)) > 0)
        for (ssize_t i = 0; i < got && status; i++) {
            if (piece[i] != '\n') {
                if (length < sizeof line - 1)
                    line[length++] = piece[i];
                continue;
            }
            line[length] = '\0';
            length = 0;
            if (strncmp(line, CACHE " ", sizeof CACHE) == 0 &&
                sscanf(line + sizeof CACHE,
                       "%" SCNd64 " %" SCNd64 " %*d %" SCNd64 " %" SCNd64
                       " : tunables %*d %*d %*d : slabdata %*d %" SCNd64,
                       &cache->active, &cache->objects, &cache->per_slab, &cache->pages, &cache->slabs) == 5)
                status = 0;
        }
    close(file);
    return status;
}

static int setup(struct trial *trial)
{
    struct slabs *slabs = trial_alloc(trial, sizeof *slabs);

    if (!slabs)
        return -ENOMEM;
    slabs->bytes = OBJECTS * (size_t)sysconf(_SC_PAGESIZE);
    if (look(&slabs->before) || slabs->before.per_slab <= 0)
        return trial_needs(trial, "permission to read " SLABINFO " (root), and a cache " CACHE " in it");
    return 0;
}

static void give_back(struct slabs *slabs)
{
    if (slabs->first)
        munmap(slabs->first, slabs->bytes);
    slabs->first = NULL;
    slabs->made = 0;
}

/* Addresses without rights, of which every other page may be read: as many mappings as pages. 0 or -errno. */
static int make_objects(struct slabs *slabs)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *addresses = mmap(NULL, slabs->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (addresses == MAP_FAILED)
        return -errno;
    slabs->first = addresses;
    for (slabs->made = 1; slabs->made < OBJECTS; slabs->made += 2)
        if (mprotect(slabs->first + (size_t)slabs->made * page, page, PROT_READ))
            return -errno;
    slabs->made = OBJECTS;
    return 0;
}

static int64_t grown(const struct slabs *slabs)
{
    return slabs->after.objects - slabs->before.objects;
}

static int work(struct worker *worker)
{
    struct trial *trial = worker->trial;
    struct slabs *slabs = trial->state;

    for (int i = 0; i < ATTEMPTS; i++) {
        int status = look(&slabs->before);

        if (!status)
            status = make_objects(slabs);
        if (status == -ENOMEM)
            return trial_needs(trial, "16384 more mappings (vm.max_map_count, ulimit -v)");
        if (!status)
            status = look(&slabs->after);
        if (status)
            return status;
        /* Room that was there before is used first. The rest must be new. */
        if (slabs->before.objects - slabs->before.active + grown(slabs) >= slabs->made - OBJECTS / HIDDEN_PART)
            return 0;
        give_back(slabs);
        usleep(20000);
    }
    return trial_fault(trial, "the cache has not grown by the %d mappings that were made", OBJECTS);
}

/* The cache grew by whole slabs: its room is a multiple of what a slab holds, and no object came alone. */
static int check(struct trial *trial)
{
    const struct slabs *slabs = trial->state;
    const struct cache *before = &slabs->before;
    const double without_room = (double)(slabs->made - (before->objects - before->active));
    const int64_t slabs_grown = slabs->after.slabs - before->slabs;

    trial->metric[OBJECTS_PER_SLAB] = (double)before->per_slab;
    trial->metric[PAGES_PER_SLAB] = (double)before->pages;
    trial->metric[OBJECTS_GROWN] = (double)grown(slabs);
    trial->metric[SLABS_GROWN] = (double)slabs_grown;
    trial->metric[FILLED_PCT] = 100 * without_room / (double)(slabs_grown * before->per_slab);
    trial_count(trial, 0, grown(slabs), slabs_grown * before->per_slab);
    return 0;
}

static void teardown(struct trial *trial)
{
    if (trial->state)
        give_back(trial->state);
}

static uint64_t cost_ns(const struct trial *trial)
{
    (void)trial;
    return OBJECTS / 2 * UINT64_C(10000);
}

KERNEL(slab,
    .name     = "alloc/slab",
    .summary  = "the kernel makes many objects of one kind: whether they come one by one, or in whole slabs",
    .unit     = "object",
    .threads  = { .min = 1, .max = 1 },
    .metrics  = { [OBJECTS_PER_SLAB] = { "objects_per_slab", "objects", "that a slab of this cache holds" },
                  [PAGES_PER_SLAB]   = { "pages_per_slab", "pages", "of which it is made" },
                  [OBJECTS_GROWN]    = { "objects_grown", "objects", "for which the cache has room, more than before" },
                  [SLABS_GROWN]      = { "slabs_grown", "slabs", "that it has more than before" },
                  [FILLED_PCT]       = { "filled_pct", "%", "of the room of these slabs that is needed" } },
    .counts   = { { "in_slabs", "objects", "objects that came, and as many as whole slabs hold" } },
    .setup    = setup,
    .work     = work,
    .check    = check,
    .teardown = teardown,
    .cost_ns  = cost_ns);
