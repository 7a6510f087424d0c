# The guest that tells whether an accelerator runs guests at all: it enters long mode, uses cmpxchg16b, fxsave and SSE,
# counts to 2*10^8 and ends QEMU with status 33 by isa-debug-exit. Multiboot, flat, with address fields.
#   as --64 -o p.o probe.S && ld -Ttext=0x100000 -e start -o p.elf p.o && objcopy -O binary -j .text p.elf probe.bin
.code32
mb: .long 0x1BADB002, 0x10000, -(0x1BADB002+0x10000), mb, mb, end, end, start
start: mov $0x200000,%edi
 mov %edi,%cr3
 xor %eax,%eax
 mov $0xc00,%ecx
 rep stosl
 movl $0x201003,0x200000
 movl $0x202003,0x201000
 mov $0x202000,%edi                 # identity map of 1 GiB in pages of 2 MiB
 mov $0x83,%eax
 mov $512,%ecx
1: mov %eax,(%edi)
 add $0x200000,%eax
 add $8,%edi
 loop 1b
 mov %cr4,%eax
 or $0x620,%eax
 mov %eax,%cr4
 mov $0xC0000080,%ecx
 rdmsr
 or $0x100,%eax
 wrmsr
 mov %cr0,%eax
 and $~4,%eax
 or $0x80000003,%eax
 mov %eax,%cr0
 lgdt gdtr
 ljmp $8,$long
.code64
long: mov $0x10,%eax
 mov %eax,%ds
 mov %eax,%es
 mov %eax,%ss
 mov $0x300000,%rsp
 lea buf(%rip),%rsi
 xor %eax,%eax
 xor %edx,%edx
 mov $1,%ebx
 xor %ecx,%ecx
 lock cmpxchg16b (%rsi)
 fxsave 0x310000
 fxrstor 0x310000
 movaps (%rsi),%xmm0
 paddq %xmm0,%xmm0
 mov $200000000,%ecx
2: dec %ecx
 jnz 2b
 mov $0x10,%al                      # status = 2 * 0x10 + 1
 mov $0xf4,%dx
 out %al,%dx
3: hlt
 jmp 3b
.align 16
buf: .quad 0,0
gdt: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr: .word 23
 .long gdt
end:
