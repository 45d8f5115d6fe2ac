/*
 * A small process: libc and this object, and none of the interpreter's memory.
 *
 * A child of fork has all the memory of its parent, so a small process has to come from exec. Its program is this
 * object once more. A copy in a file in memory begins at a function of the kernel instead of at main. The copy asks for
 * no symbol of Python's. The linker leaves those that nobody has at 0, and that function calls nothing but libc. So an
 * installed engine brings no second file.
 *
 * The engine and the process talk over a socket. It closes when either dies, however it died, and then the other knows.
 */
#ifndef FENCEPOST_SMALL_PROCESS_H
#define FENCEPOST_SMALL_PROCESS_H

#ifndef _GNU_SOURCE
#error "_GNU_SOURCE first: for dl_iterate_phdr and memfd_create"
#endif
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kernels/system.h"

#ifndef MFD_EXEC /* headers older than Linux 6.3, whose systems refuse it */
#define MFD_EXEC 0x10U
#endif

/* In the small process: where it hears of its orders, and its program, which the loader has opened by then. */
#define SMALL_SOCKET 0
#define SMALL_PROGRAM 3
#define SMALL_PROGRAM_PATH "/proc/self/fd/3"
/* With which it ends where it could not begin. The loader itself ends with 127. */
#define SMALL_NOT_BEGUN 126
#define LOADER_FAILED 127

/* The system jumps here as to the first function of a program: x86-64 then has its stack aligned otherwise than after a call. */
#if defined(__x86_64__)
#define SMALL_MAIN __attribute__((noreturn, force_align_arg_pointer))
#else
#define SMALL_MAIN __attribute__((noreturn))
#endif

struct small {
    pid_t pid;  /* 0: none */
    int socket; /* for send and recv of whole messages. A recv of 0 bytes says that it has died */
};

/* Where an address lies: the object's shift from its file, and the segment. */
struct place {
    uintptr_t address, shift;
    const ElfW(Phdr) * segment;
};

static int find_segment(struct dl_phdr_info *object, size_t bytes, void *context)
{
    struct place *place = context;

    (void)bytes;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

        if (segment->p_type != PT_LOAD || place->address - object->dlpi_addr - segment->p_vaddr >= segment->p_filesz)
            continue;
        place->shift = object->dlpi_addr;
        place->segment = segment;
        return 1;
    }
    return 0;
}

/* The file that is mapped at an address: its path, as long as `path` has room. 0 or -errno. */
static int file_at(uintptr_t address, char *path, size_t room)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[PATH_MAX + 128];
    int status = -ENOENT;

    if (!maps)
        return -errno;
    while (status && fgets(line, sizeof line, maps)) {
        uintptr_t low, high;
        int name = 0;

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %*s %n", &low, &high, &name) < 2 || !name ||
            address < low || address >= high || line[name] != '/')
            continue;
        line[strcspn(line, "\n")] = '\0';
        status = snprintf(path, room, "%s", line + name) < (int)room ? 0 : -ENAMETOOLONG;
    }
    fclose(maps);
    return status;
}

/* Let a copy of an object, as it lies in a file, begin at its address `entry`. Whether it is such an object. */
static int let_begin_at(unsigned char *file, size_t bytes, uintptr_t entry)
{
    ElfW(Ehdr) *header = (void *)file;
    const ElfW(Shdr) *section = (const void *)(file + header->e_shoff);

    if (header->e_shoff > bytes || bytes - header->e_shoff < (size_t)header->e_shnum * sizeof *section)
        return 0;
    header->e_entry = entry;
    for (unsigned i = 0; i < header->e_shnum; i++, section++) {
        ElfW(Sym) *symbol = (void *)(file + section->sh_offset);

        if (section->sh_type != SHT_DYNSYM || section->sh_offset > bytes ||
            bytes - section->sh_offset < section->sh_size)
            continue;
        /* Weak: 0 where nobody has it. The form of st_info is that of both classes of ELF. */
        for (size_t rest = section->sh_size / sizeof *symbol; rest; rest--, symbol++)
            if (symbol->st_shndx == SHN_UNDEF)
                symbol->st_info = ELF64_ST_INFO(STB_WEAK, ELF64_ST_TYPE(symbol->st_info));
        return 1;
    }
    return 0;
}

/* The same of the copy in this file. 0 or -errno. -ESTALE if it was built anew, and is not the object that runs here. */
static int make_program(int copy, size_t bytes, const struct place *place)
{
    const ElfW(Phdr) *segment = place->segment;
    unsigned char *file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0);
    int status = 0;

    if (file == MAP_FAILED)
        return -errno;
    if (segment->p_offset > bytes || bytes - segment->p_offset < segment->p_filesz ||
        memcmp(file + segment->p_offset, (const void *)(place->shift + segment->p_vaddr), segment->p_filesz) != 0)
        status = -ESTALE;
    else if (!let_begin_at(file, bytes, place->address - place->shift))
        status = -ENOEXEC;
    munmap(file, bytes);
    return status;
}

/* A file in memory that may be executed, or -errno. */
static int executable_file(const char *name)
{
    int file = memfd_create(name, MFD_CLOEXEC | MFD_EXEC);

    if (file < 0 && errno == EINVAL)
        file = memfd_create(name, MFD_CLOEXEC);
    return file < 0 ? -errno : file;
}

/* This object as a program that begins with `begin`: a file in memory, or -errno. */
static int program_of(void (*begin)(void))
{
    struct place place = {.address = (uintptr_t)begin};
    char path[PATH_MAX];
    int from, copy, status = file_at(place.address, path, sizeof path);
    struct stat about;

    if (status)
        return status;
    if (!dl_iterate_phdr(find_segment, &place))
        return -ENOENT;
    from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return -errno;
    copy = executable_file("small");
    if (copy < 0)
        status = copy;
    else if (fstat(from, &about))
        status = -errno;
    for (off_t done = 0; !status && done < about.st_size;) {
        const ssize_t got = sendfile(copy, from, &done, (size_t)(about.st_size - done));

        if (got <= 0)
            status = got < 0 ? -errno : -ESTALE;
    }
    close(from);
    if (!status)
        status = make_program(copy, (size_t)about.st_size, &place);
    if (status && copy >= 0)
        close(copy);
    return status ? status : copy;
}

/* Variables by which a user, or a library in this process, sets up the allocator of glibc. */
static int sets_malloc(const char *variable)
{
    return strncmp(variable, "MALLOC_", 7) == 0 || strncmp(variable, "GLIBC_TUNABLES=", 15) == 0;
}

/* The environment without them: a small process finds its allocator as nobody has set it up. To be freed. NULL: no memory. */
static char **plain_environment(void)
{
    char **plain;
    size_t count = 0, kept = 0;

    while (environ && environ[count])
        count++;
    plain = malloc((count + 1) * sizeof *plain);
    if (!plain)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!sets_malloc(environ[i]))
            plain[kept++] = environ[i];
    plain[kept] = NULL;
    return plain;
}

/* The new process up to its exec, which ends it where it fails. Only what a child of several threads may call. */
static __attribute__((noreturn)) void become_small(char *const *arguments, char *const *environment, int socket,
                                                   int program, pid_t engine)
{
    /* The numbers that these get may be in use: first out of their way, then there. */
    socket = fcntl(socket, F_DUPFD_CLOEXEC, SMALL_PROGRAM + 1);
    program = fcntl(program, F_DUPFD_CLOEXEC, SMALL_PROGRAM + 1);
    if (die_with_parent() == 0 && getppid() == engine && dup2(socket, SMALL_SOCKET) >= 0 &&
        dup2(program, SMALL_PROGRAM) >= 0)
        execve(arguments[0], arguments, environment);
    _exit(SMALL_NOT_BEGUN);
}

/*
 * Start a small process that begins with `begin`, on this thread's CPU. 0, or -errno: trial_needs() where there can be none. With `preload` it
 * has the library in this file before libc.
 */
static inline int small_start_with(struct trial *trial, struct small *small, void (*begin)(void), char *preload)
{
    const pid_t engine = getpid();
    char loader[PATH_MAX], path[] = SMALL_PROGRAM_PATH, option[] = "--preload";
    char *plain[] = {loader, path, NULL}, *preloading[] = {loader, option, preload, path, NULL}, **environment;
    int ends[2], program;

    if (file_at(getauxval(AT_BASE), loader, sizeof loader))
        return trial_needs(trial, "a dynamic loader (this program is linked statically)");
    program = program_of(begin);
    if (program == -EMFILE || program == -ENFILE)
        return program;
    if (program < 0)
        return trial_needs(trial, program == -ESTALE ? "the engine's file as it was when it was loaded"
                                                     : "permission to execute a file in memory (vm.memfd_noexec)");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
        const int status = -errno;

        close(program);
        return status;
    }
    environment = plain_environment();
    small->pid = environment ? fork() : -1;
    if (small->pid == 0)
        become_small(preload ? preloading : plain, environment, ends[1], program, engine);
    free(environment);
    close(program);
    close(ends[1]);
    small->socket = ends[0];
    if (small->pid > 0)
        return 0;
    close(ends[0]);
    small->pid = 0;
    return errno == EAGAIN ? trial_needs(trial, "permission for one more process (ulimit -u, pids.max of the cgroup)")
                           : -errno;
}

static inline int small_start(struct trial *trial, struct small *small, void (*begin)(void))
{
    return small_start_with(trial, small, begin, NULL);
}

/* End it and wait for it. Returns the answer of wait_for_child(). Does nothing if it was not started. */
static int small_end(struct small *small)
{
    const pid_t pid = small->pid;

    if (!pid)
        return 0;
    small->pid = 0;
    close(small->socket);
    return wait_for_child(pid);
}

/* Send it an order and read its answer, messages of this many bytes. 0 or -errno. If it has died, a failure says how. */
static int small_ask(struct trial *trial, struct small *small, const void *order, size_t order_bytes, void *answer,
                     size_t answer_bytes)
{
    ssize_t got;
    int ended;

    if (send(small->socket, order, order_bytes, MSG_NOSIGNAL) != (ssize_t)order_bytes && errno != EPIPE)
        return -errno;
    do
        got = recv(small->socket, answer, answer_bytes, 0);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)answer_bytes)
        return 0;
    ended = small_end(small);
    if (ended == SMALL_NOT_BEGUN || ended == LOADER_FAILED)
        return trial_needs(trial, "permission to execute a file in memory (vm.memfd_noexec)");
    if (ended >= ENDED_BY_SIGNAL)
        return trial_fault(trial, "the small process was ended by signal %d", ended - ENDED_BY_SIGNAL);
    return trial_fault(trial, "the small process left with status %d", ended);
}

/* For its own children, as wait_for_child(), which is the engine's and asks who ignores SIGCHLD. */
static inline int small_await(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ENDED_BY_SIGNAL + WTERMSIG(status);
}

#endif
