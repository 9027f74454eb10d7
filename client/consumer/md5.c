/* md5.c - RFC 1321. No secret depends on it. */
#include "client/consumer/md5.h"

#include <math.h>

static const uint8_t turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static uint32_t rotate(uint32_t v, unsigned n) { return v << n | v >> (32 - n); }

static void block(uint32_t state[4], const uint8_t *p)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], x[16];
    for (unsigned i = 0; i < 16; i++)
        x[i] = (uint32_t)p[i * 4] | (uint32_t)p[i * 4 + 1] << 8 | (uint32_t)p[i * 4 + 2] << 16 | (uint32_t)p[i * 4 + 3] << 24;
    for (unsigned i = 0; i < 64; i++) {
        uint32_t f;
        unsigned at;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), at = i; break;
        case 1: f = (d & b) | (~d & c), at = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, at = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), at = 7 * i % 16; break;
        }
        uint32_t sine = (uint32_t)(int64_t)floor(fabs(sin((double)(i + 1))) * 4294967296.0); /* the RFC's table T */
        uint32_t next = b + rotate(a + f + x[at] + sine, turns[i / 16][i % 4]);
        a = d, d = c, c = b, b = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

void md5(struct slice text, uint8_t out[16])
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t tail[128] = {0};
    size_t whole = text.n / 64 * 64, left = text.n - whole, tail_n = left < 56 ? 64 : 128;
    for (size_t i = 0; i < whole; i += 64)
        block(state, text.p + i);
    if (left > 0)
        memcpy(tail, text.p + whole, left);
    tail[left] = 0x80;
    uint64_t bits = (uint64_t)text.n * 8;
    for (unsigned i = 0; i < 8; i++)
        tail[tail_n - 8 + i] = (uint8_t)(bits >> (8 * i));
    for (size_t i = 0; i < tail_n; i += 64)
        block(state, tail + i);
    for (unsigned i = 0; i < 16; i++)
        out[i] = (uint8_t)(state[i / 4] >> (8 * (i % 4)));
}
