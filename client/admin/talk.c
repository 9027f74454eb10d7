/* talk.c - errors in words: what, where, what to do.
 *
 * The library says what happened (err.words) and what the server said (err.remark); here comes what a person can do next. */
#include "client/admin/talk.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/admin/out.h"

const char *paint(FILE *to, enum paint p)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[2m", "\033[31m", "\033[32m"};
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if ((no && no[0]) || (term && strcmp(term, "dumb") == 0) || !isatty(fileno(to)))
        return "";
    return codes[p];
}

void complain(const struct call *c, const char *fmt, ...)
{
    va_list ap;
    const char *name = c && c->command ? c->command->name : "";
    fprintf(stderr, "%scmq%s%s:%s ", paint(stderr, PAINT_RED), name[0] ? " " : "", name, paint(stderr, PAINT_PLAIN));
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

int exit_code_of(enum cmq_code code)
{
    switch (code) {
    case CMQ_OK: return DONE;
    case CMQ_ERR_CONFIG:
    case CMQ_ERR_ARGUMENT: return USAGE;
    case CMQ_ERR_UNREACHABLE:
    case CMQ_ERR_TIMEOUT:
    case CMQ_ERR_CLOSED: return UNREACHABLE;
    case CMQ_ERR_NO_MEMORY:
    case CMQ_ERR_STATE:
    case CMQ_ERR_NO_ROUTE:
    case CMQ_ERR_REFUSED:
    case CMQ_ERR_PROTOCOL:
    case CMQ_ERR_FULL:
    case CMQ_ERR_NOT_FOUND:
    case CMQ_ERR_SYSTEM: break;
    }
    return REFUSED;
}

/* Servers' words reach terminals only without what a terminal would obey. */
static void complain_tame(const struct call *c, const char *words)
{
    struct buf tame = {0};
    out_tame(&tame, slice_str(words));
    buf_u8(&tame, 0);
    complain(c, "%s", tame.failed ? "out of memory" : (const char *)tame.p);
    buf_free(&tame);
}

int complain_error(const struct call *c, const struct cmq_error *err, const char *topic)
{
    complain_tame(c, err->words[0] ? err->words : cmq_code_name(err->code));
    bool missing = topic && (err->code == CMQ_ERR_NO_ROUTE || err->code == CMQ_ERR_NOT_FOUND);
    if (err->remark[0] && strstr(err->words, err->remark) == NULL && !missing) {
        struct buf tame = {0};
        out_tame(&tame, slice_make(err->remark, strcspn(err->remark, "\r\n"))); /* Java appends links and stacks */
        say("  The server said: %.*s", SLICE_ARG(buf_view(&tame)));
        buf_free(&tame);
    }
    if (missing)
        say("  `cmq topic list` shows the topics; `cmq topic create %s` makes this one.", topic);
    switch (err->code) {
    case CMQ_ERR_UNREACHABLE: say("  Are the servers running? `cmq up` starts some; -n or NAMESRV_ADDR names the ones you mean."); break;
    case CMQ_ERR_TIMEOUT:
    case CMQ_ERR_CLOSED: say("  It is not known whether the server did it. --timeout waits longer."); break;
    case CMQ_ERR_FULL: say("  Try again later."); break;
    default: break;
    }
    return exit_code_of(err->code);
}

int table_end(const struct call *c, struct out *o, enum cmq_code code, const struct cmq_error *err, const char *about)
{
    if (code == CMQ_OK)
        return out_end(o) ? DONE : REFUSED;
    out_drop(o);
    return complain_error(c, err, about);
}

/* ---- session ---- */

const char *session_namesrv(const struct call *c)
{
    const char *env = getenv("NAMESRV_ADDR");
    if (c->opt[OPT_NAMESRV])
        return c->opt[OPT_NAMESRV];
    return env && env[0] ? env : "127.0.0.1:9876";
}

int session_config(const struct call *c, struct cmq_config **out)
{
    struct cmq_error err = {0};
    int64_t ms;
    char text[32];
    const char *pair;
    if (!call_number(c, OPT_TIMEOUT, 1, 600000, 3000, &ms))
        return USAGE;
    struct cmq_config *cfg = cmq_config_new();
    if (cfg == NULL) {
        complain(c, "out of memory");
        return REFUSED;
    }
    snprintf(text, sizeof text, "%lld", (long long)ms);
    enum cmq_code code = cmq_config_set(cfg, "namesrvAddr", session_namesrv(c), &err);
    if (code == CMQ_OK)
        code = cmq_config_set(cfg, "mqClientApiTimeout", text, &err);
    if (code == CMQ_OK)
        code = cmq_config_set(cfg, "sendMsgTimeout", text, &err);
    for (int at = 0; code == CMQ_OK && (pair = call_next(c, OPT_SET, &at)) != NULL;) {
        char key[64];
        size_t n = strcspn(pair, "=");
        snprintf(key, sizeof key, "%.*s", (int)(n < sizeof key ? n : sizeof key - 1), pair);
        code = cmq_config_set(cfg, key, pair[n] ? pair + n + 1 : "", &err);
    }
    if (code != CMQ_OK) {
        cmq_config_free(cfg);
        return complain_error(c, &err, NULL);
    }
    *out = cfg;
    return DONE;
}

int session_admin(const struct call *c, struct cmq_admin **out)
{
    struct cmq_config *cfg;
    struct cmq_error err = {0};
    int rc = session_config(c, &cfg);
    if (rc != DONE)
        return rc;
    if (cmq_admin_new(cfg, out, &err) != CMQ_OK)
        rc = complain_error(c, &err, NULL);
    cmq_config_free(cfg);
    return rc;
}
