/* uniq_id.h - message ids made by producers, unique without asking anybody.
 * Thread: any. */
#ifndef CLIENT_CORE_UNIQ_ID_H
#define CLIENT_CORE_UNIQ_ID_H
#include <stdbool.h>
#include <stdint.h>

enum { UNIQ_ID_MAX = 57 };
struct uniq_origin {   /* where ids come from: fixed for a process */
    uint8_t ip[16];    /* 4 bytes used when !v6 */
    bool v6;
    uint16_t pid;
    uint32_t salt;     /* random per process */
};
/* Pure: upper-case hex of ip, pid, salt, ms since the local month began, counter: 32 digits, 56 with IPv6. */
void uniq_id_format(const struct uniq_origin *o, uint32_t month_ms, uint16_t counter, char out[UNIQ_ID_MAX]);
void uniq_id_next(char out[UNIQ_ID_MAX]); /* the next of this process */
/* This host's address as a text: of the first interface that is up and not loopback, else 127.0.0.1. */
void local_ip(char out[64]);
#endif
