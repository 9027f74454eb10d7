/* ask.c - see ask.h. */
#include "client/admin/mqadmin/ask.h"

#include <stdio.h>

#include "common/protocol/json.h"

struct ask ask_of(int32_t code) { return (struct ask){.code = code, .timeout_ms = ASK_MS, .language = LANGUAGE_CPP}; }

void ask_str(struct ask *q, const char *key, const char *value)
{
    if (value != NULL && q->n < ASK_FIELDS)
        q->field[q->n++] = (struct ext_field){slice_str(key), slice_str(value)};
}

void ask_i64(struct ask *q, const char *key, int64_t value)
{
    if (q->n == ASK_FIELDS)
        return;
    snprintf(q->digits[q->n], sizeof q->digits[0], "%lld", (long long)value);
    ask_str(q, key, q->digits[q->n]);
}

void ask_bool(struct ask *q, const char *key, bool value) { ask_str(q, key, value ? "true" : "false"); }

bool ask_any(struct mqadmin *m, const char *addr, const struct ask *q, struct answer *out)
{
    struct command cmd = client_command(m->client, q->code, q->field, q->n);
    struct cmq_error err;
    cmd.body = q->body;
    cmd.language = q->language;
    if (client_call_any(m->client, addr, &cmd, q->timeout_ms, request_code_name(q->code), out, &err) == CMQ_OK)
        return true;
    return fail(m, -1, "%s", err.words);
}

bool ask_ok(struct mqadmin *m, const char *addr, const struct ask *q, struct answer *out)
{
    struct answer answer;
    if (!ask_any(m, addr, q, &answer))
        return false;
    if (answer.cmd.code != RES_SUCCESS) {
        fail(m, answer.cmd.code, "%.*s", SLICE_ARG(answer.cmd.remark));
        answer_free(&answer);
        return false;
    }
    if (out != NULL)
        *out = answer;
    else
        answer_free(&answer);
    return true;
}

json_t *ask_json(struct mqadmin *m, const char *addr, const struct ask *q)
{
    struct answer answer;
    struct fault why = {0};
    if (!ask_ok(m, addr, q, &answer))
        return NULL;
    json_t *root = json_parse(answer.cmd.body, &why);
    answer_free(&answer);
    if (root == NULL)
        fail(m, -1, "%s: the answer is not JSON: %s", request_code_name(q->code), why.what);
    return root;
}

bool ask_each_name(struct mqadmin *m, const struct ask *q)
{
    bool good = true;
    for (size_t i = 0; i < client_n_names(m->client); i++) {
        struct answer answer;
        if (!ask_any(m, client_name(m->client, i), q, &answer))
            return false;
        if (answer.cmd.code != RES_SUCCESS)
            good = fail(m, answer.cmd.code, "%.*s", SLICE_ARG(answer.cmd.remark));
        answer_free(&answer);
    }
    return good;
}
