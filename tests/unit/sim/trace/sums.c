/* The program behind sums.lackey.xz: adds up 64 pages twice, without a C library.
 *
 *   gcc -O1 -nostdlib -static -o sums sums.c
 *   valgrind --tool=lackey --trace-mem=yes --log-file=sums.lackey ./sums; xz -9e sums.lackey
 */
static char area[64 * 4096];

void _start(void)
{
    volatile long sum = 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < (int)sizeof area; i += 512)
            sum += area[i]++;
    __asm__ volatile("syscall" : : "a"(60), "D"(0));
}
