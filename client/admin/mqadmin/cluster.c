/* cluster.c - clusterList: a row for each broker, from its runtime information. clusterRT: how long sends to each broker take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/admin/mqadmin/lookup.h"
#include "client/admin/mqadmin/sends.h"
#include "client/admin/mqadmin/words.h"
#include "common/base/clock.h"
#include "common/protocol/json.h"

/* ---- clusterList ---- */

/* NULL: the broker did not tell, which was said. Else its runtime information; json_decref() the root. */
static json_t *runtime_of(struct mqadmin *m, const char *addr, const json_t **table)
{
    struct ask q = ask_of(REQ_GET_BROKER_RUNTIME_INFO);
    json_t *root = ask_json(m, addr, &q);
    *table = json_object_get(root, "table");
    if (root == NULL)
        fail_tell(m);
    return root;
}

/* A broker that did not answer has told nothing; one that did, and knows no such figure, gets Java's "null". */
static const char *told(const json_t *t, const char *key) { return t != NULL ? words_member(t, key) : ""; }

/* "     0.00(0,0ms)": the newest of the rates, how many requests wait, and for how long the first of them. */
static void load_text(const json_t *t, const char *rate, const char *waiting, const char *wait_ms, char out[80])
{
    snprintf(out, 80, "%9.2f(%.20s,%.20sms)", strtod(told(t, rate), NULL), told(t, waiting), told(t, wait_ms));
}

static void print_load(const struct place *p, const json_t *t)
{
    char in[80], out[80], hour[32] = "0.00", space[32] = "0.0000";
    const char *earliest = json_string_value(json_object_get(t, "earliestMessageTimeStamp"));
    const char *ratio = json_string_value(json_object_get(t, "commitLogDiskRatio"));
    load_text(t, "putTps", "sendThreadPoolQueueSize", "sendThreadPoolQueueHeadWaitTimeMills", in);
    load_text(t, "getTransferedTps", "pullThreadPoolQueueSize", "pullThreadPoolQueueHeadWaitTimeMills", out);
    if (earliest != NULL && earliest[0])
        snprintf(hour, sizeof hour, "%2.2f", (double)(clock_wall_ms() - strtoll(earliest, NULL, 10)) / 1000.0 / 60.0 / 60.0);
    if (ratio != NULL && ratio[0])
        snprintf(space, sizeof space, "%.4f", strtod(ratio, NULL));
    print("%-16s  %-22s  %-4lld  %-22s %-16s %19s %19s %10s %5s %6s\n", p->cluster, p->broker, (long long)p->id, p->addr,
          told(t, "brokerVersionDesc"), in, out, told(t, "pageCacheLockTimeMills"), hour, space);
}

static int64_t number(const json_t *t, const char *key) { return json_i64(t, key, 0); }

static void print_totals(const struct place *p, const json_t *t)
{
    int64_t in_morning = number(t, "msgPutTotalTodayMorning"), out_morning = number(t, "msgGetTotalTodayMorning");
    print("%-16s  %-32s %14lld %14lld %14lld %14lld\n", p->cluster, p->broker, (long long)(in_morning - number(t, "msgPutTotalYesterdayMorning")),
          (long long)(out_morning - number(t, "msgGetTotalYesterdayMorning")), (long long)(number(t, "msgPutTotalTodayNow") - in_morning),
          (long long)(number(t, "msgGetTotalTodayNow") - out_morning));
}

static bool print_clusters(struct mqadmin *m)
{
    struct places places;
    bool more = opt_is(m, 'm');
    if (!places_get(m, &places))
        return false;
    if (more)
        print("%-16s  %-32s %14s %14s %14s %14s\n", "#Cluster Name", "#Broker Name", "#InTotalYest", "#OutTotalYest", "#InTotalToday", "#OutTotalToday");
    else
        print("%-16s  %-22s  %-4s  %-22s %-16s %19s %19s %10s %5s %6s\n", "#Cluster Name", "#Broker Name", "#BID", "#Addr", "#Version", "#InTPS(LOAD)",
              "#OutTPS(LOAD)", "#PCWait(ms)", "#Hour", "#SPACE");
    for (size_t i = 0; i < places.n; i++) {
        const json_t *table;
        json_t *root = runtime_of(m, places.at[i].addr, &table);
        if (more)
            print_totals(&places.at[i], table);
        else
            print_load(&places.at[i], table);
        json_decref(root);
    }
    places_free(&places);
    return true;
}

bool cluster_list(struct mqadmin *m)
{
    int64_t every_s;
    if (!opt_i64(m, 'i', 0, &every_s))
        return false;
    bool good = print_clusters(m);
    while (good && opt_is(m, 'i') && fflush(stdout) == 0) {
        sleep((unsigned)(every_s > 0 ? every_s : 0));
        good = print_clusters(m);
    }
    return good;
}

/* ---- clusterRT ---- */

struct rt_plan {
    int64_t amount, size, every_s;
    bool as_log;
    const char *room;
};

static void print_rt(const struct rt_plan *plan, const char *cluster, const char *broker, const struct sends_result *r)
{
    double rt = plan->amount > 1 ? (double)r->ms_but_first / (double)(plan->amount - 1) : 0;
    char text[40], now[40];
    if (!plan->as_log) {
        snprintf(text, sizeof text, "%.2f", rt);
        print("%-24s  %-24s  %-8s  %-16lld  %-16lld\n", cluster, broker, text, (long long)r->sent, (long long)r->failed);
        return;
    }
    time_t china = (time_t)(clock_wall_ms() / 1000 + 8 * 3600); /* Apache logs in GMT+8 wherever it runs */
    struct tm tm;
    gmtime_r(&china, &tm);
    now[strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", &tm)] = '\0';
    print("%s|%s|%s|%s|%.0f\n", now, plan->room, cluster, broker, rt);
}

static bool rt_round(struct mqadmin *m, struct cmq_producer *p, const struct rt_plan *plan)
{
    struct places places;
    const char *only = opt_text(m, 'c');
    if (!places_get(m, &places))
        return false;
    if (only != NULL && !places_have(&places, only))
        print("cluster [%s] not exist", only);
    for (size_t i = 0; i < places.n; i++) {
        struct sends_result r;
        const struct place *at = &places.at[i];
        if (at->id != 0 || (only != NULL && strcmp(at->cluster, only) != 0))
            continue;
        sends_many(p, at->broker, plan->size, plan->amount, NULL, &r); /* each broker has a topic of its own name */
        print_rt(plan, at->cluster, at->broker, &r);
    }
    places_free(&places);
    return true;
}

bool cluster_send_rt(struct mqadmin *m)
{
    struct rt_plan plan = {.as_log = opt_bool(m, 'p', false), .room = opt_or(m, 'm', "noname")};
    struct cmq_producer *p;
    if (!opt_i64(m, 'a', 100, &plan.amount) || !opt_i64(m, 's', 128, &plan.size) || !opt_i64(m, 'i', 10, &plan.every_s) || !sends_open(m, NULL, &p))
        return false;
    if (!plan.as_log)
        print("%-24s  %-24s  %-4s  %-8s  %-8s\n", "#Cluster Name", "#Broker Name", "#RT", "#successCount", "#failCount");
    bool good;
    do { /* until somebody ends it */
        good = rt_round(m, p, &plan);
        if (fflush(stdout) != 0)
            break;
        sleep((unsigned)(plan.every_s > 0 ? plan.every_s : 0));
    } while (good);
    cmq_producer_free(p);
    return good;
}
