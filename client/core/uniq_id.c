/* uniq_id.c - Apache's format of UNIQ_KEY: brokers index by it and tools read time and address out of it.
 *
 * Two ids of one process differ while fewer than 65,536 are made in one millisecond; ids of two processes differ by address, process
 * id and salt. (Apache's salt is the hash of a class loader, which serves the same end.) The month's beginning is local time, as in
 * Apache's clients; it is worked out again when the month ends. */
#include "client/core/uniq_id.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

static struct uniq_origin origin;
static char host_text[64] = "127.0.0.1";
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint32_t counter;
static _Atomic int64_t month_begin_ms, month_end_ms;

static void find_host(void)
{
    struct ifaddrs *all = NULL;
    const struct sockaddr_in *best4 = NULL;
    const struct sockaddr_in6 *best6 = NULL;
    if (getifaddrs(&all) != 0)
        all = NULL;
    for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        if (a->ifa_addr == NULL || !(a->ifa_flags & IFF_UP) || (a->ifa_flags & IFF_LOOPBACK))
            continue;
        if (a->ifa_addr->sa_family == AF_INET && best4 == NULL)
            best4 = (const struct sockaddr_in *)(const void *)a->ifa_addr;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a->ifa_addr;
        if (a->ifa_addr->sa_family == AF_INET6 && best6 == NULL && !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
            best6 = in6;
    }
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    memcpy(origin.ip, loopback, 4);
    if (best4 != NULL) {
        memcpy(origin.ip, &best4->sin_addr, 4);
        inet_ntop(AF_INET, &best4->sin_addr, host_text, sizeof host_text);
    } else if (best6 != NULL) {
        origin.v6 = true;
        memcpy(origin.ip, &best6->sin6_addr, 16);
        inet_ntop(AF_INET6, &best6->sin6_addr, host_text, sizeof host_text);
    }
    if (all != NULL)
        freeifaddrs(all);
}

static void begin(void)
{
    find_host();
    origin.pid = (uint16_t)getpid();
    if (getrandom(&origin.salt, sizeof origin.salt, GRND_NONBLOCK) != sizeof origin.salt)
        origin.salt = (uint32_t)clock_mono_us();
}

static uint32_t ms_of_month(int64_t now_ms)
{
    if (now_ms >= atomic_load_explicit(&month_end_ms, memory_order_acquire)) {
        time_t s = (time_t)(now_ms / 1000);
        struct tm tm;
        localtime_r(&s, &tm);
        tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1, .tm_isdst = -1};
        struct tm next = tm;
        next.tm_mon++;
        atomic_store(&month_begin_ms, (int64_t)mktime(&tm) * 1000);
        atomic_store_explicit(&month_end_ms, (int64_t)mktime(&next) * 1000, memory_order_release);
    }
    int64_t since = now_ms - atomic_load(&month_begin_ms);
    return since > 0 ? (uint32_t)since : 0;
}

static char *hex(char *out, uint64_t v, unsigned bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    for (unsigned i = bytes * 2; i-- > 0; v >>= 4)
        out[i] = digits[v & 15];
    return out + bytes * 2;
}

void uniq_id_format(const struct uniq_origin *o, uint32_t month_ms, uint16_t n, char out[UNIQ_ID_MAX])
{
    for (unsigned i = 0; i < (o->v6 ? 16u : 4u); i++)
        out = hex(out, o->ip[i], 1);
    out = hex(out, o->pid, 2);
    out = hex(out, o->salt, 4);
    out = hex(out, month_ms, 4);
    out = hex(out, n, 2);
    *out = '\0';
}

void uniq_id_next(char out[UNIQ_ID_MAX])
{
    pthread_once(&once, begin);
    uniq_id_format(&origin, ms_of_month(clock_wall_ms()), (uint16_t)atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed), out);
}

void local_ip(char out[64])
{
    pthread_once(&once, begin);
    snprintf(out, 64, "%s", host_text);
}
