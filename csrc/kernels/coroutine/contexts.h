/*
 * Ways from one stack to another, in assembly. Each saves the registers that a called function must keep, and the
 * stack's place, and takes up those of the other side. They differ in one instruction, or in the other state that they
 * save:
 *
 *   coroutine_jump     leaves by a jump to the place at which the other side was
 *   coroutine_ret      leaves by a return. The core predicts the place of the call, and here it is always wrong
 *   coroutine_jump_fp  as coroutine_jump, and the rounding and exceptions of floating point are kept for each side
 *
 * Vector registers are not saved. The caller of any function takes them for lost, except for those that aarch64 and
 * riscv64 keep. Shadow stacks (CET, GCS) refuse coroutine_ret, since it returns to a place from which nobody called.
 */
#ifndef FENCEPOST_COROUTINE_CONTEXTS_H
#define FENCEPOST_COROUTINE_CONTEXTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void switch_function(void **from, void *to);

switch_function coroutine_jump __attribute__((visibility("hidden")));
switch_function coroutine_ret __attribute__((visibility("hidden")));
switch_function coroutine_jump_fp __attribute__((visibility("hidden")));

/*
 * For the check of these. It puts `values` into the registers that a called function keeps, and calls `by`. When the other side comes back,
 * it puts into `values` what the registers have. The order of the words is that of a saved place, see SAVED_AT.
 */
void coroutine_keep(switch_function *by, void **from, void *to, uint64_t *values) __attribute__((visibility("hidden")));

#define SWITCH_BEGINS(name) ".p2align 6\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n" #name ":\n"
#define SWITCH_ENDS(name) ".size " #name ", . - " #name "\n"

#if defined(__x86_64__)
#define HAS_COROUTINES
/* rdi says where to leave this stack's place, rsi is the other one. Each has 8 bytes of floating point, used or not. */
#define SWITCH(name, save_fp, load_fp, leave)                                                                          \
    __asm__(".text\n" SWITCH_BEGINS(name) "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"         \
                                          "sub $8, %rsp\n" save_fp "mov %rsp, (%rdi)\nmov %rsi, %rsp\n" load_fp        \
                                          "add $8, %rsp\n"                                                             \
                                          "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n" leave         \
                                          "\n" SWITCH_ENDS(name))
SWITCH(coroutine_jump, "", "", "pop %rcx\njmp *%rcx");
SWITCH(coroutine_ret, "", "", "ret");
SWITCH(coroutine_jump_fp, "stmxcsr (%rsp)\nfnstcw 4(%rsp)\n", "ldmxcsr (%rsp)\nfldcw 4(%rsp)\n", "pop %rcx\njmp *%rcx");

/* The stack is a multiple of 16 at a call: after six pushes and the one of `values`. */
#define KEEP_SAVES "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\npush %rcx\n"
#define KEEP_PUTS                                                                                                      \
    "mov 8(%rcx), %r15\nmov 16(%rcx), %r14\nmov 24(%rcx), %r13\nmov 32(%rcx), %r12\nmov 40(%rcx), %rbx\n"              \
    "mov 48(%rcx), %rbp\n"
#define KEEP_CALLS "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\ncall *%rax\npop %rcx\n"
#define KEEP_TAKES                                                                                                     \
    "mov %r15, 8(%rcx)\nmov %r14, 16(%rcx)\nmov %r13, 24(%rcx)\nmov %r12, 32(%rcx)\nmov %rbx, 40(%rcx)\n"              \
    "mov %rbp, 48(%rcx)\n"
#define KEEP_LOADS "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"

/* Floating point, six registers, the address to go on at, and one that the function there would return to. */
enum { SAVED_FP, KEPT_FIRST, SAVED_AT = 7, KEPT_END = 7, SAVED_WORDS = 9 };

static inline uint64_t floating_point_control(void)
{
    uint32_t mxcsr;
    uint16_t x87;

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return mxcsr | (uint64_t)x87 << 32;
}
#elif defined(__aarch64__)
#define HAS_COROUTINES
/* x0 says where to leave this stack's place, x1 is the other one. */
#define SWITCH(name, save_fp, load_fp, leave)                                                                          \
    __asm__(".text\n" SWITCH_BEGINS(                                                                                   \
        name) "sub sp, sp, #176\n"                                                                                     \
              "stp x19, x20, [sp, #16]\nstp x21, x22, [sp, #32]\nstp x23, x24, [sp, #48]\nstp x25, x26, [sp, #64]\n"   \
              "stp x27, x28, [sp, #80]\nstp x29, x30, [sp, #96]\n"                                                     \
              "stp d8, d9, [sp, #112]\nstp d10, d11, [sp, #128]\nstp d12, d13, [sp, #144]\nstp d14, d15, [sp, "        \
              "#160]\n" save_fp "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n" load_fp                                       \
              "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\nldp x25, x26, [sp, #64]\n"   \
              "ldp x27, x28, [sp, #80]\nldp x29, x30, [sp, #96]\n"                                                     \
              "ldp d8, d9, [sp, #112]\nldp d10, d11, [sp, #128]\nldp d12, d13, [sp, #144]\nldp d14, d15, [sp, "        \
              "#160]\n"                                                                                                \
              "add sp, sp, #176\n" leave "\n" SWITCH_ENDS(name))
SWITCH(coroutine_jump, "", "", "mov x16, x30\nbr x16");
SWITCH(coroutine_ret, "", "", "ret");
SWITCH(coroutine_jump_fp, "mrs x9, fpcr\nstr x9, [sp]\n", "ldr x9, [sp]\nmsr fpcr, x9\n", "mov x16, x30\nbr x16");

#define EACH_KEPT(op, base)                                                                                            \
    op " x19, x20, [" base ", #16]\n" op " x21, x22, [" base ", #32]\n" op " x23, x24, [" base ", #48]\n" op           \
       " x25, x26, [" base ", #64]\n" op " x27, x28, [" base ", #80]\n" op " d8, d9, [" base ", #112]\n" op            \
       " d10, d11, [" base ", #128]\n" op " d12, d13, [" base ", #144]\n" op " d14, d15, [" base ", #160]\n"
#define KEEP_SAVES "sub sp, sp, #176\nstp x29, x30, [sp, #96]\nstr x3, [sp]\n" EACH_KEPT("stp", "sp")
#define KEEP_PUTS "ldr x29, [x3, #96]\n" EACH_KEPT("ldp", "x3")
#define KEEP_CALLS "mov x9, x0\nmov x0, x1\nmov x1, x2\nblr x9\nldr x3, [sp]\n"
#define KEEP_TAKES "str x29, [x3, #96]\n" EACH_KEPT("stp", "x3")
#define KEEP_LOADS EACH_KEPT("ldp", "sp") "ldp x29, x30, [sp, #96]\nadd sp, sp, #176\nret\n"
enum { SAVED_FP, KEPT_FIRST = 2, SAVED_AT = 13, KEPT_END = 22, SAVED_WORDS = 22 };

static inline uint64_t floating_point_control(void)
{
    uint64_t control;

    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
}
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__riscv_flen) && __riscv_flen == 64
#define HAS_COROUTINES
#define FOR_EACH_KEPT(op, fop, base)                                                                                   \
    op " s0, 16(" base ")\n" op " s1, 24(" base ")\n" op " s2, 32(" base ")\n" op " s3, 40(" base ")\n" op             \
       " s4, 48(" base ")\n" op " s5, 56(" base ")\n" op " s6, 64(" base ")\n" op " s7, 72(" base ")\n" op             \
       " s8, 80(" base ")\n" op " s9, 88(" base ")\n" op " s10, 96(" base ")\n" op " s11, 104(" base ")\n" op          \
       " ra, 112(" base ")\n" fop " fs0, 120(" base ")\n" fop " fs1, 128(" base ")\n" fop " fs2, 136(" base ")\n" fop  \
       " fs3, 144(" base ")\n" fop " fs4, 152(" base ")\n" fop " fs5, 160(" base ")\n" fop " fs6, 168(" base ")\n" fop \
       " fs7, 176(" base ")\n" fop " fs8, 184(" base ")\n" fop " fs9, 192(" base ")\n" fop " fs10, 200(" base          \
       ")\n" fop " fs11, 208(" base ")\n"
/* a0 says where to leave this stack's place, a1 is the other one. The core takes a jump through ra for a return, and no other. */
#define SWITCH(name, save_fp, load_fp, leave)                                                                          \
    __asm__(".text\n" SWITCH_BEGINS(name) "addi sp, sp, -224\n" FOR_EACH_KEPT("sd", "fsd", "sp") save_fp               \
            "sd sp, 0(a0)\nmv sp, a1\n" load_fp FOR_EACH_KEPT("ld", "fld", "sp") "addi sp, sp, 224\n" leave            \
                                                                                 "\n" SWITCH_ENDS(name))
SWITCH(coroutine_jump, "", "", "mv t1, ra\njr t1");
SWITCH(coroutine_ret, "", "", "ret");
SWITCH(coroutine_jump_fp, "frcsr t0\nsd t0, 0(sp)\n", "ld t0, 0(sp)\nfscsr t0\n", "mv t1, ra\njr t1");

#define KEEP_SAVES "addi sp, sp, -224\nsd a3, 0(sp)\n" FOR_EACH_KEPT("sd", "fsd", "sp")
#define KEEP_PUTS FOR_EACH_KEPT("ld", "fld", "a3")
#define KEEP_CALLS "mv t1, a0\nmv a0, a1\nmv a1, a2\njalr t1\nld a3, 0(sp)\n"
#define KEEP_TAKES FOR_EACH_KEPT("sd", "fsd", "a3")
#define KEEP_LOADS FOR_EACH_KEPT("ld", "fld", "sp") "addi sp, sp, 224\nret\n"
enum { SAVED_FP, KEPT_FIRST = 2, SAVED_AT = 14, KEPT_END = 27, SAVED_WORDS = 28 };

static inline uint64_t floating_point_control(void)
{
    uint64_t control;

    __asm__ volatile("frcsr %0" : "=r"(control));
    return control;
}
#endif

#ifdef HAS_COROUTINES
__asm__(".text\n" SWITCH_BEGINS(coroutine_keep)
            KEEP_SAVES KEEP_PUTS KEEP_CALLS KEEP_TAKES KEEP_LOADS SWITCH_ENDS(coroutine_keep));

/* The place of a new stack that ends at `end`, a multiple of 16: the first switch to it begins `entry`, which must not return. */
static inline void *new_stack(unsigned char *end, void (*entry)(void))
{
    uint64_t *saved = (uint64_t *)(void *)end - SAVED_WORDS;

    memset(saved, 0, SAVED_WORDS * sizeof *saved);
    saved[SAVED_FP] = floating_point_control();
    saved[SAVED_AT] = (uint64_t)(uintptr_t)entry;
    return saved;
}
#endif

#endif
