/* ask.h - a question to a server, and its answer.
 *     struct ask q = ask_of(REQ_GET_CONSUME_STATS);
 *     ask_str(&q, "consumerGroup", group);
 *     json_t *stats = ask_json(m, addr, &q);
 * Thread: main. addr NULL: the name servers, one after the other until one answers. What fails is kept by fail(). */
#ifndef CLIENT_ADMIN_MQADMIN_ASK_H
#define CLIENT_ADMIN_MQADMIN_ASK_H
#include <jansson.h>
#include "client/admin/mqadmin/mqadmin.h"
#include "client/core/client.h"
#include "common/protocol/codes.h"

enum { ASK_FIELDS = 16, ASK_MS = 5000 };
struct ask { /* its texts are borrowed; not to be copied once it has numbers */
    int32_t code;
    struct ext_field field[ASK_FIELDS];
    char digits[ASK_FIELDS][24];
    uint32_t n;
    struct slice body;
    int64_t timeout_ms;
    uint8_t language; /* LANGUAGE_* */
};
struct ask ask_of(int32_t code);
void ask_str(struct ask *q, const char *key, const char *value); /* NULL: the field is left out */
void ask_i64(struct ask *q, const char *key, int64_t value);
void ask_bool(struct ask *q, const char *key, bool value);
/* True: an answer of whatever code, end with answer_free(). */
bool ask_any(struct mqadmin *m, const char *addr, const struct ask *q, struct answer *out);
/* True: an answer of success; out NULL: it does not matter what is in it. */
bool ask_ok(struct mqadmin *m, const char *addr, const struct ask *q, struct answer *out);
/* The body of an answer of success; yours, json_decref(). NULL: it failed. */
json_t *ask_json(struct mqadmin *m, const char *addr, const struct ask *q);
/* The same question to each name server of -n. False: one of them could not be asked, or the last that refused did so. */
bool ask_each_name(struct mqadmin *m, const struct ask *q);
#endif
