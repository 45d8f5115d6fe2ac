/*
 * A user's kernels: shared objects loaded beside the engine, each with nothing in it but its kernels.
 *
 * Such an object is one or more kernel files compiled with -DFENCEPOST_OBJECT -fPIC -fvisibility=hidden -shared and the
 * suite's other flags (`fencepost config --cflags`). kernel.h then leaves one symbol in it, fencepost_object, that
 * leads to its kernels. It takes trial_alloc and its like from the engine. So the engine is made visible to objects
 * that are loaded after it. The object itself is loaded RTLD_LOCAL. Two objects never see each other's symbols, so both
 * sides of a comparison may have the same names.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

/* The engine came in as a Python extension: RTLD_LOCAL. NULL, or why it could not be made visible. */
static const char *show_engine(void)
{
    static const char anchor; /* anything of this object */
    Dl_info self;

    if (!dladdr(&anchor, &self) || !self.dli_fname)
        return "the engine does not find itself";
    return dlopen(self.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD) ? NULL : dlerror();
}

const struct kernel *const *object_load(const char *path, unsigned *count, char *reason)
{
    const char *hidden = show_engine();
    const struct kernel_object *object;
    void *handle;

    *count = 0;
    if (hidden) {
        snprintf(reason, REASON_BYTES, "cannot be loaded (%.200s)", hidden);
        return NULL;
    }
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *said = dlerror();
        const size_t path_bytes = strlen(path);

        if (said && strncmp(said, path, path_bytes) == 0 && said[path_bytes] == ':')
            said += path_bytes + 2; /* the caller names the file as the user did */
        snprintf(reason, REASON_BYTES, "cannot be loaded (%.200s)", said ? said : "no reason given");
        return NULL;
    }
    object = dlsym(handle, "fencepost_object");
    if (!object)
        snprintf(reason, REASON_BYTES,
                 "registers no kernel: it must include kernel.h, be compiled with the flags of `fencepost config "
                 "--cflags`, and hold a KERNEL(...)");
    else if (object->abi != ENGINE_ABI || object->kernel_bytes != sizeof(struct kernel))
        snprintf(reason, REASON_BYTES,
                 "was compiled for engine ABI %u, this fencepost has %u: compile it again with the headers of "
                 "`fencepost config --include-dir`",
                 object->abi, (unsigned)ENGINE_ABI);
    else if (object->begin == object->end)
        snprintf(reason, REASON_BYTES, "registers no kernel: it needs a KERNEL(...) line");
    else if (!kernels_fault(object->begin, (unsigned)(object->end - object->begin), reason)) {
        *count = (unsigned)(object->end - object->begin);
        return object->begin;
    }
    dlclose(handle);
    return NULL;
}
