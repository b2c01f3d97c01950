/* The pager's loop in C, for one enclave: the yardstick of benchmarks/pager.py.
 *
 * The same system calls in the same order as the pager makes: epoll, read, evict a batch by splice,
 * punch, one read and AES-256-GCM, open the seal, UFFDIO_COPY or UFFDIO_ZEROPAGE. What C can have for
 * nothing it has: a counter and a ring instead of groups and lists, no statistics, one enclave.
 *
 * usage: twin SOCKET LIMIT_PAGES BACKGROUND(0|1)
 * Handshake: that of abi/protocol.py, as far as the benchmark's client needs it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/userfaultfd.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PAGE = 4096, TAG = 16, BATCH = 16, LOW = 32 };
enum { ABSENT, RESIDENT, EVICTED };

static struct {
    int uffd, file, socket, pipe_read, pipe_write;
    uint64_t base, nr_pages, limit, resident;
    uint8_t *state;
    uint64_t *version;
    uint8_t *sealed; /* nr_pages slots of PAGE + TAG bytes */
    uint32_t *fifo;  /* ring of resident pages, oldest at head */
    uint64_t head, tail;
    uint8_t key[32], buffer[BATCH * PAGE], bounce[PAGE];
    EVP_CIPHER_CTX *sealing, *opening; /* the key is set once in each */
} p;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint8_t *record_of(uint32_t page)
{
    return p.sealed + (uint64_t)page * (PAGE + TAG);
}

static void begin(EVP_CIPHER_CTX *cipher, uint32_t page)
{
    uint8_t nonce[12];
    uint64_t binding[2] = {1, page};
    int n;
    memcpy(nonce, &p.version[page], 8);
    memcpy(nonce + 8, &page, 4);
    EVP_CipherInit_ex(cipher, NULL, NULL, NULL, nonce, -1);
    EVP_CipherUpdate(cipher, NULL, &n, (uint8_t *)binding, sizeof binding);
}

static void seal(uint32_t page, const uint8_t *plain)
{
    uint8_t *record = record_of(page);
    int n;
    p.version[page]++;
    begin(p.sealing, page);
    EVP_CipherUpdate(p.sealing, record, &n, plain, PAGE);
    if (EVP_CipherFinal_ex(p.sealing, record + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(p.sealing, EVP_CTRL_GCM_GET_TAG, TAG, record + PAGE) != 1)
        die("seal");
}

static void open_seal(uint32_t page, uint8_t *plain)
{
    uint8_t *record = record_of(page);
    int n;
    begin(p.opening, page);
    EVP_CipherUpdate(p.opening, plain, &n, record, PAGE);
    EVP_CIPHER_CTX_ctrl(p.opening, EVP_CTRL_GCM_SET_TAG, TAG, record + PAGE);
    if (EVP_CipherFinal_ex(p.opening, plain + n, &n) != 1) {
        fprintf(stderr, "twin: seal of page %u is broken\n", page);
        exit(1);
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Calls act(first page, number of pages) for each run of neighbours. */
static void each_run(const uint32_t *pages, uint64_t nr, void (*act)(uint32_t, uint32_t))
{
    for (uint64_t first = 0, i = 1; i <= nr; i++)
        if (i == nr || pages[i] != pages[i - 1] + 1) {
            act(pages[first], (uint32_t)(i - first));
            first = i;
        }
}

static void refer(uint32_t first, uint32_t count)
{
    loff_t at = (loff_t)first * PAGE;
    for (int64_t left = (int64_t)count * PAGE; left > 0;) {
        ssize_t n = splice(p.file, &at, p.pipe_write, NULL, (size_t)left, 0);
        if (n <= 0)
            die("splice");
        left -= n;
    }
}

static void punch(uint32_t first, uint32_t count)
{
    if (fallocate(p.file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (loff_t)first * PAGE,
                  (loff_t)count * PAGE))
        die("fallocate");
}

static void evict_batch(void)
{
    uint32_t victims[BATCH];
    uint64_t nr = 0;
    while (nr < BATCH && p.head != p.tail)
        victims[nr++] = p.fifo[p.head++ % p.nr_pages];
    qsort(victims, nr, sizeof *victims, by_number);
    each_run(victims, nr, refer);
    each_run(victims, nr, punch);
    for (uint64_t done = 0; done < nr * PAGE;) {
        ssize_t n = read(p.pipe_read, p.buffer + done, nr * PAGE - done);
        if (n <= 0)
            die("read pipe");
        done += (uint64_t)n;
    }
    for (uint64_t i = 0; i < nr; i++) {
        seal(victims[i], p.buffer + i * PAGE);
        p.state[victims[i]] = EVICTED;
    }
    p.resident -= nr;
}

static void fault(uint32_t page)
{
    uint64_t at = p.base + (uint64_t)page * PAGE;
    if (p.state[page] == RESIDENT) {
        struct uffdio_range range = {at, PAGE};
        ioctl(p.uffd, UFFDIO_WAKE, &range);
        return;
    }
    while (p.resident >= p.limit)
        evict_batch();
    if (p.state[page] == EVICTED) {
        open_seal(page, p.bounce);
        struct uffdio_copy copy = {.dst = at, .src = (uint64_t)(uintptr_t)p.bounce, .len = PAGE};
        if (ioctl(p.uffd, UFFDIO_COPY, &copy))
            die("UFFDIO_COPY");
    } else {
        struct uffdio_zeropage zero = {.range = {at, PAGE}};
        if (ioctl(p.uffd, UFFDIO_ZEROPAGE, &zero))
            die("UFFDIO_ZEROPAGE");
    }
    p.state[page] = RESIDENT;
    p.resident++;
    p.fifo[p.tail++ % p.nr_pages] = page;
}

static void serve(int background)
{
    struct epoll_event events[4], watch = {.events = EPOLLIN};
    int poller = epoll_create1(EPOLL_CLOEXEC);
    watch.data.fd = p.uffd;
    epoll_ctl(poller, EPOLL_CTL_ADD, p.uffd, &watch);
    watch.data.fd = p.socket;
    epoll_ctl(poller, EPOLL_CTL_ADD, p.socket, &watch);
    for (;;) {
        int has_work = background && p.resident + LOW > p.limit;
        int n = epoll_wait(poller, events, 4, has_work ? 0 : -1);
        if (n == 0) {
            evict_batch();
            continue;
        }
        for (int i = 0; i < n; i++) {
            struct uffd_msg messages[64];
            if (events[i].data.fd == p.socket)
                return;
            ssize_t got = read(p.uffd, messages, sizeof messages);
            for (ssize_t k = 0; k < got / (ssize_t)sizeof *messages; k++)
                if (messages[k].event == UFFD_EVENT_PAGEFAULT)
                    fault((uint32_t)((messages[k].arg.pagefault.address - p.base) / PAGE));
        }
    }
}

/* Layouts of abi/protocol.py, version 1; all x86-64, so native order is the wire's. */
struct header { uint32_t magic; uint16_t version, kind; };
enum { MAGIC = 0x47435045, VERSION = 1, HELLO = 1, WELCOME = 2, MAPPED = 3, GO = 4, SPLICE_MODE = 1 };
struct hello { struct header h; uint32_t page_size, pad; uint64_t nr_pages; } __attribute__((packed));
struct welcome { struct header h; uint32_t enclave, flags; uint64_t mode, features, nr_pages; } __attribute__((packed));
struct mapped { struct header h; uint64_t base, length; } __attribute__((packed));

static void send_with_fd(const void *packet, size_t length, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {(void *)packet, length};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(p.socket, &m, 0) < 0)
        die("sendmsg");
}

static int receive_with_fd(void *packet, size_t length)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {packet, length};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd = -1;
    if (recvmsg(p.socket, &m, MSG_CMSG_CLOEXEC) != (ssize_t)length)
        die("recvmsg");
    if (CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    return fd;
}

static void handshake(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct hello hello;
    struct mapped mapped;
    struct header go = {MAGIC, VERSION, GO};
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1))
        die("socket");
    puts("ready");
    fflush(stdout);
    if ((p.socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
        die("accept");
    if (recv(p.socket, &hello, sizeof hello, 0) != sizeof hello || hello.h.magic != MAGIC)
        die("hello");
    p.nr_pages = hello.nr_pages;
    p.file = memfd_create("twin", MFD_CLOEXEC);
    if (ftruncate(p.file, (off_t)(p.nr_pages * PAGE)))
        die("ftruncate");
    struct welcome welcome = {{MAGIC, VERSION, WELCOME}, 1, 0, SPLICE_MODE, 0, p.nr_pages};
    send_with_fd(&welcome, sizeof welcome, p.file);
    p.uffd = receive_with_fd(&mapped, sizeof mapped);
    p.base = mapped.base;
    p.state = calloc(p.nr_pages, 1);
    p.version = calloc(p.nr_pages, sizeof *p.version);
    p.sealed = malloc(p.nr_pages * (PAGE + TAG));
    p.fifo = malloc(p.nr_pages * sizeof *p.fifo);
    if (!p.state || !p.version || !p.sealed || !p.fifo)
        die("memory");
    if (send(p.socket, &go, sizeof go, 0) != sizeof go)
        die("go");
}

int main(int argc, char **argv)
{
    int pipes[2];
    if (argc != 4) {
        fprintf(stderr, "usage: twin SOCKET LIMIT_PAGES BACKGROUND(0|1)\n");
        return 2;
    }
    p.limit = strtoull(argv[2], NULL, 10);
    p.sealing = EVP_CIPHER_CTX_new();
    p.opening = EVP_CIPHER_CTX_new();
    if (pipe2(pipes, O_CLOEXEC) || RAND_bytes(p.key, sizeof p.key) != 1 ||
        !EVP_CipherInit_ex(p.sealing, EVP_aes_256_gcm(), NULL, p.key, NULL, 1) ||
        !EVP_CipherInit_ex(p.opening, EVP_aes_256_gcm(), NULL, p.key, NULL, 0))
        die("set-up");
    p.pipe_read = pipes[0];
    p.pipe_write = pipes[1];
    handshake(argv[1]);
    serve(atoi(argv[3]));
    return 0;
}
