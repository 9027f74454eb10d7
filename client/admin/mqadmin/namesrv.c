/* namesrv.c - mqadmin's commands to the name servers: their configuration, their pairs, whether a broker's queues may be written. */
#include <stdio.h>

#include "client/admin/mqadmin/ask.h"
#include "client/admin/mqadmin/properties.h"

bool namesrv_get_config(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_GET_NAMESRV_CONFIG);
    for (size_t i = 0; i < client_n_names(m->client); i++) {
        struct answer answer;
        if (!ask_ok(m, client_name(m->client, i), &q, &answer))
            return false;
        print("============%s============\n", client_name(m->client, i));
        properties_print(answer.cmd.body);
        answer_free(&answer);
    }
    return true;
}

bool namesrv_update_config(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_UPDATE_NAMESRV_CONFIG);
    struct buf body = {0}, told = {0};
    buf_printf(&body, "%s=%s\n", opt_text(m, 'k'), opt_text(m, 'v'));
    q.body = buf_view(&body);
    bool good = ask_each_name(m, &q);
    for (size_t i = 0; opt_is(m, 'n') && i < client_n_names(m->client); i++)
        buf_printf(&told, "%s%s", i ? ", " : "[", client_name(m->client, i));
    if (opt_is(m, 'n'))
        buf_u8(&told, ']');
    if (good)
        print("update name server config success!%.*s\n%s : %s\n", SLICE_ARG(buf_view(&told)), opt_text(m, 'k'), opt_text(m, 'v'));
    buf_free(&body);
    buf_free(&told);
    return good;
}

bool namesrv_put_kv(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_PUT_KV_CONFIG);
    ask_str(&q, "namespace", opt_text(m, 's'));
    ask_str(&q, "key", opt_text(m, 'k'));
    ask_str(&q, "value", opt_text(m, 'v'));
    if (!ask_each_name(m, &q))
        return false;
    print("create or update kv config to namespace success.\n");
    return true;
}

bool namesrv_delete_kv(struct mqadmin *m)
{
    struct ask q = ask_of(REQ_DELETE_KV_CONFIG);
    ask_str(&q, "namespace", opt_text(m, 's'));
    ask_str(&q, "key", opt_text(m, 'k'));
    if (!ask_each_name(m, &q))
        return false;
    print("delete kv config from namespace success.\n");
    return true;
}

/* Each name server is told; one that fails does not keep the others from it. */
static bool change_perm(struct mqadmin *m, int32_t code, const char *verb, const char *count)
{
    for (size_t i = 0; i < client_n_names(m->client); i++) {
        struct ask q = ask_of(code);
        struct answer answer;
        const char *name = client_name(m->client, i), *broker = opt_text(m, 'b');
        ask_str(&q, "brokerName", broker);
        if (!ask_ok(m, name, &q, &answer)) {
            print("%s write perm of broker[%s] in name server[%s] Failed\n", verb, broker, name);
            fail_tell(m);
            continue;
        }
        struct fields f = fields_of(&answer.cmd);
        print("%s write perm of broker[%s] in name server[%s] OK, %d\n", verb, broker, name, (int)field_i32_or(&f, count, 0));
        answer_free(&answer);
    }
    return true;
}

bool namesrv_wipe_perm(struct mqadmin *m) { return change_perm(m, REQ_WIPE_WRITE_PERM_OF_BROKER, "wipe", "wipeTopicCount"); }
bool namesrv_add_perm(struct mqadmin *m) { return change_perm(m, REQ_ADD_WRITE_PERM_OF_BROKER, "add", "addTopicCount"); }
