/*
 * A program of three instructions: it ends with the number of its arguments. It is written as bytes, since no compiler
 * is at hand where an engine is installed. It has no loader and no library, and sets up no stack.
 */
#ifndef FENCEPOST_PROCESS_TINY_H
#define FENCEPOST_PROCESS_TINY_H

#include "kernels/small_process.h"

/* Of the small process, beside its socket and its program. */
#define TINY_FILE 4
#define TINY_PATH "/proc/self/fd/4"
/* Where a program without a shift may lie on all three architectures. */
#define TINY_ADDRESS 0x400000

/* Load the number at the stack pointer, which is the count of arguments. Then exit_group. */
#if defined(HAS_X86_64)
#define TINY_MACHINE EM_X86_64
#define TINY_CODE 0x48, 0x8b, 0x3c, 0x24, 0xb8, 0xe7, 0x00, 0x00, 0x00, 0x0f, 0x05
#elif defined(HAS_AARCH64)
#define TINY_MACHINE EM_AARCH64
#define TINY_CODE 0xe0, 0x03, 0x40, 0xf9, 0xc8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4
#elif defined(HAS_RISCV64)
#define TINY_MACHINE EM_RISCV
#define TINY_CODE 0x03, 0x35, 0x01, 0x00, 0x93, 0x08, 0xe0, 0x05, 0x73, 0x00, 0x00, 0x00
#endif

#ifdef TINY_CODE
static const struct {
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    unsigned char code[16];
} tiny = {
    .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
               .e_type = ET_EXEC,
               .e_machine = TINY_MACHINE,
               .e_version = EV_CURRENT,
               .e_entry = TINY_ADDRESS + sizeof(ElfW(Ehdr)) + sizeof(ElfW(Phdr)),
               .e_phoff = sizeof(ElfW(Ehdr)),
               .e_ehsize = sizeof(ElfW(Ehdr)),
               .e_phentsize = sizeof(ElfW(Phdr)),
               .e_phnum = 1},
    .segment = {.p_type = PT_LOAD,
                .p_flags = PF_R | PF_X,
                .p_vaddr = TINY_ADDRESS,
                .p_filesz = sizeof tiny,
                .p_memsz = sizeof tiny,
                .p_align = 0x10000}, /* the largest page of aarch64 */
    .code = {TINY_CODE},
};

/* The same file at TINY_FILE, for reading only: one that somebody may write to cannot be executed. 0 or -errno. */
static inline int tiny_for_reading(int file)
{
    char path[32];
    int readable, status;

    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    readable = open(path, O_RDONLY | O_CLOEXEC);
    close(file);
    if (readable < 0 || readable == TINY_FILE)
        return readable < 0 ? -errno : 0;
    status = dup3(readable, TINY_FILE, O_CLOEXEC) < 0 ? -errno : 0;
    close(readable);
    return status;
}

/* In a small process: the program as a file in memory, which TINY_PATH names. 0 or -errno. */
static inline int tiny_program(void)
{
    const int file = executable_file("tiny");

    if (file < 0)
        return file;
    if (write(file, &tiny, sizeof tiny) == (ssize_t)sizeof tiny)
        return tiny_for_reading(file);
    close(file);
    return -ENOSPC;
}
#else
static inline int tiny_program(void)
{
    return -ENOTSUP;
}
#endif

#endif
