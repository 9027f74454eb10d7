/* md5.h - the MD5 of RFC 1321, for consistent hashing only: the other members of a group may be Apache's clients.
 * Thread: any; pure. */
#ifndef CLIENT_CONSUMER_MD5_H
#define CLIENT_CONSUMER_MD5_H
#include "common/base/slice.h"

void md5(struct slice text, uint8_t out[16]);
#endif
