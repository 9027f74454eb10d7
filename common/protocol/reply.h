/* reply.h - the answer to a request, while it is being filled in, and the ways in which it leaves.
 * Thread: core. A zeroed reply is ready: code SUCCESS, nothing else. */
#ifndef COMMON_PROTOCOL_REPLY_H
#define COMMON_PROTOCOL_REPLY_H
#include "common/protocol/command.h"

/* Whom to answer: a plain value, good for as long as you like. If the connection is gone meanwhile, the answer is dropped. */
struct ticket {
    uint64_t conn_id; /* never reused */
    int32_t opaque;
    enum serialize serialize;
    bool oneway;      /* nothing is ever written */
};

enum { REPLY_EXT_MAX = 16 };
struct reply {
    int32_t code;
    struct buf remark; /* none when empty */
    struct {
        const char *key;       /* static text, nothing in it needs an escape */
        uint32_t key_n, at, n; /* value: n bytes of `text` at `at` */
    } ext[REPLY_EXT_MAX];
    uint32_t n_ext;
    struct buf text;     /* values of ext, one behind the other */
    struct buf body;
};
void reply_add_int(struct reply *r, struct slice key, int64_t value);
void reply_add(struct reply *r, struct slice key, struct slice value);
static inline void reply_int(struct reply *r, const char *key, int64_t value) { reply_add_int(r, slice_str(key), value); }
static inline void reply_str(struct reply *r, const char *key, struct slice value) { reply_add(r, slice_str(key), value); }
static inline void reply_bool(struct reply *r, const char *key, bool value) /* "true" or "false" */
{
    reply_add(r, slice_str(key), value ? SLICE_LIT("true") : SLICE_LIT("false"));
}
/* Sets code and remark, drops ext fields and body, and returns HANDLED_NOW: `return reply_refuse(out, RES_..., "...", ...);` */
__attribute__((format(printf, 3, 4))) int reply_refuse(struct reply *r, int32_t code, const char *fmt, ...);
void reply_encode(const struct reply *r, const struct ticket *to, struct buf *out); /* a whole frame; nothing for a oneway */
void reply_clear(struct reply *r); /* keeps the memory for the next one */
void reply_free(struct reply *r);

/* ---- requests as processors see them: no socket, no clock ---- */
struct peer {              /* the other end of the connection, fixed for its life */
    uint64_t conn_id;
    char addr[64];         /* "127.0.0.1:40112", "[::1]:40112" */
    uint8_t ip[16];        /* 4 bytes used when !v6 */
    uint16_t port;
    bool v6;
};
struct request {
    const struct command *cmd; /* borrowed for the call */
    const struct peer *peer;   /* borrowed for the call */
    struct ticket ticket;      /* copy it to answer later */
    struct arena *arena;       /* freed when the call returns */
    int64_t now_ms;            /* wall clock at the start of this turn */
    int64_t waited_ms;         /* 0, or how long it waited after HANDLED_WAIT, also on the part of one that came before it */
};
enum handled {
    HANDLED_NOW,   /* `out` is the answer */
    HANDLED_LATER, /* somebody kept the ticket and will finish it through the outbox */
    HANDLED_NONE,  /* never any answer (one-way by nature) */
    HANDLED_WAIT   /* not now, and nothing happened: the request stays where it is, and its connection is not read, until server_resume() */
};
typedef enum handled request_fn(void *ctx, const struct request *rq, struct reply *out);

/* A row of a processor's table; the server looks codes up here and answers REQUEST_CODE_NOT_SUPPORTED else. */
struct request_route {
    int32_t code;
    request_fn *fn;
    void *ctx;
};

/* What the shell offers to the core: late answers, and requests of our own to a connected peer.
 * answer: NULL when it did not come in time or the connection closed; borrowed for the call. */
typedef void answer_fn(void *arg, const struct command *answer);
typedef void frame_fn(const void *arg, const struct ticket *to, struct buf *out); /* appends one whole frame, nothing for a oneway */
struct outbox {
    void *ctx;
    void (*finish)(void *ctx, const struct ticket *to, struct reply *reply);                  /* reply is borrowed */
    void (*write)(void *ctx, const struct ticket *to, frame_fn *fn, const void *arg);         /* as finish(); fn is called before it returns, or never */
    bool (*oneway)(void *ctx, uint64_t conn_id, const struct command *cmd);                   /* false: connection gone */
    bool (*call)(void *ctx, uint64_t conn_id, const struct command *cmd, int32_t timeout_ms, answer_fn *fn, void *arg);
    void (*close)(void *ctx, uint64_t conn_id);
};
#endif
