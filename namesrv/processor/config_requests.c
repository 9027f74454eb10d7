/* config_requests.c - the running configuration is shown (319) and changed (318). A change is saved before it applies, and is
 * refused as a whole when one of its keys or values is not allowed; Apache passes over values that do not parse. */
#include "common/base/log.h"
#include "common/protocol/codes.h"
#include "namesrv/config.h"
#include "namesrv/processor/processors.h"

static enum handled update_config(void *ctx, const struct request *rq, struct reply *out)
{
    struct namesrv *ns = ctx;
    struct namesrv_config changed;
    struct fault why = {0};

    if (rq->cmd->body.n == 0)
        return HANDLED_NOW;
    enum mq_err err = namesrv_config_changed(ns->config, rq->cmd->body, &changed, &why);
    if (err == MQ_EREFUSED)
        return reply_refuse(out, RES_NO_PERMISSION, "%s", why.what);
    if (err == MQ_OK && (err = ns->shell.save_config(ns->shell.ctx, &changed, &why)) != MQ_OK) {
        namesrv_config_free(&changed);
        log_error("namesrv", "configuration not saved why=%s", why.what);
    }
    if (err != MQ_OK)
        return refuse_fault(out, &why);

    if (changed.order_message_enable != ns->config->order_message_enable)
        routes_touch_all(ns->routes);
    namesrv_config_free(ns->config);
    *ns->config = changed;
    ns->shell.config_changed(ns->shell.ctx);
    log_info("namesrv", "configuration changed peer=%s", rq->peer->addr);
    return HANDLED_NOW;
}

static enum handled show_config(void *ctx, const struct request *rq, struct reply *out)
{
    const struct namesrv *ns = ctx;
    (void)rq;
    namesrv_config_text(ns->config, &out->body);
    return finish_body(out);
}

void config_requests(struct namesrv *ns, struct request_table *t)
{
    requests_add(t, ns, REQ_UPDATE_NAMESRV_CONFIG, update_config);
    requests_add(t, ns, REQ_GET_NAMESRV_CONFIG, show_config);
}
