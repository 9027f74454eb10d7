/* main.c - mqbroker: load, wire, run, close. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/broker.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/remoting/server.h"

static const char usage[] = "usage: mqbroker [-c FILE] [-n LIST] [-p | -m] [-h]\n"
                            "  -c, --configFile FILE       settings, as a Java properties file\n"
                            "  -n, --namesrvAddr LIST      name servers, host:port;host:port\n"
                            "  -p, --printConfigItem       print the settings and exit\n"
                            "  -m, --printImportantConfig  print the important settings and exit\n"
                            "  -h, --help                  this text\n";

static void on_stop(void *broker) { broker_stop(broker); }

static int fail(const struct fault *why)
{
    char text[320];
    log_error("broker", "cannot go on: %s", fault_text(why, text, sizeof text));
    return EXIT_FAILURE;
}

static int print(struct broker_config *cfg, bool important_only)
{
    struct buf text = {0};
    broker_config_text(cfg, important_only, &text);
    bool ok = !text.failed && fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0;
    buf_free(&text);
    broker_config_free(cfg);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(struct broker_config *cfg, int64_t born_us)
{
    struct broker *broker = NULL;
    struct loop *loop = NULL;
    struct fault why = {0};
    int32_t port = cfg->listen_port;
    bool failed = false;

    enum mq_err err = loop_new(&loop, &why);
    if (err == MQ_OK)
        err = broker_open(loop, cfg, &broker, &why);
    if (err == MQ_OK)
        err = loop_on_signal(loop, SIGTERM, on_stop, broker);
    if (err == MQ_OK)
        err = loop_on_signal(loop, SIGINT, on_stop, broker);
    if (err == MQ_OK) {
        mem_trim(); /* what reading the tables took */
        log_info("broker", "broker ready port=%d took_us=%" PRId64, port, clock_mono_us() - born_us);
        loop_run(loop);
        failed = broker_failed(broker);
    }
    broker_close(broker);
    loop_free(loop);
    broker_config_free(cfg);
    if (err != MQ_OK)
        return fail(&why);
    log_info("broker", "broker stopped");
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"configFile", required_argument, NULL, 'c'}, {"namesrvAddr", required_argument, NULL, 'n'},
                                            {"printConfigItem", no_argument, NULL, 'p'}, {"printImportantConfig", no_argument, NULL, 'm'},
                                            {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int64_t born_us = clock_mono_us();
    struct broker_config cfg;
    struct fault why = {0};
    const char *file = NULL, *namesrv = NULL;
    int show = 0;
    enum log_level level;

    for (int c; (c = getopt_long(argc, argv, "c:n:pmh", options, NULL)) != -1;)
        switch (c) {
        case 'c': file = optarg; break;
        case 'n': namesrv = optarg; break;
        case 'p':
        case 'm': show = c; break;
        case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
        default: fputs(usage, stderr); return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "mqbroker: %s is not an option\n%s", argv[optind], usage);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    server_count_memory();
    if (broker_config_load(&cfg, file, namesrv, &why) != MQ_OK)
        return fail(&why);
    if (show)
        return print(&cfg, show == 'm');
    if (log_level_named(cfg.log_level, &level))
        log_set_level(level);
    server_raise_file_limit();
    return run(&cfg, born_us);
}
