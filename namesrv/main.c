/* main.c - mqnamesrv: load, wire, run, close. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/remoting/server.h"
#include "namesrv/namesrv.h"

static const char usage[] = "usage: mqnamesrv [-c FILE] [-p] [-h]\n"
                            "  -c, --configFile FILE   settings, as a Java properties file\n"
                            "  -p, --printConfigItem   print the settings and exit\n"
                            "  -n, --namesrvAddr LIST  accepted for the sake of scripts; name servers do not know each other\n"
                            "  -h, --help              this text\n";

static void warn_unknown(void *arg, const char *file, unsigned line, struct slice key)
{
    (void)arg;
    log_warn("namesrv", "unknown key key=%.*s file=%s line=%u", SLICE_ARG(slice_head(key, 100)), file, line);
}

static void on_stop(void *loop) { loop_stop(loop); }

static int fail(const struct fault *why)
{
    char text[320];
    log_error("namesrv", "cannot go on: %s", fault_text(why, text, sizeof text));
    return EXIT_FAILURE;
}

static int print(struct namesrv_config *cfg)
{
    struct buf text = {0};
    namesrv_config_text(cfg, &text);
    bool ok = !text.failed && fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0;
    buf_free(&text);
    namesrv_config_free(cfg);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(struct namesrv_config *cfg, int64_t born_us)
{
    struct namesrv_server *server = NULL;
    struct loop *loop = NULL;
    struct fault why = {0};
    bool cluster_test = cfg->cluster_test;

    enum mq_err err = loop_new(&loop, &why);
    if (err == MQ_OK)
        err = loop_on_signal(loop, SIGTERM, on_stop, loop);
    if (err == MQ_OK)
        err = loop_on_signal(loop, SIGINT, on_stop, loop);
    if (err == MQ_OK)
        err = namesrv_open(loop, cfg, &server, &why);
    if (err == MQ_OK) {
        if (cluster_test)
            log_warn("namesrv", "clusterTest has no effect: unknown topics are not asked for elsewhere");
        log_info("namesrv", "name server ready port=%u took_us=%" PRId64, namesrv_port(server), clock_mono_us() - born_us);
        loop_run(loop);
        log_info("namesrv", "name server stops");
    }
    namesrv_close(server);
    loop_free(loop);
    namesrv_config_free(cfg);
    return err == MQ_OK ? EXIT_SUCCESS : fail(&why);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"configFile", required_argument, NULL, 'c'}, {"namesrvAddr", required_argument, NULL, 'n'},
                                            {"printConfigItem", no_argument, NULL, 'p'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int64_t born_us = clock_mono_us();
    struct namesrv_config cfg;
    struct fault why = {0};
    const char *file = NULL;
    bool print_only = false;

    for (int c; (c = getopt_long(argc, argv, "c:n:ph", options, NULL)) != -1;)
        switch (c) {
        case 'c': file = optarg; break;
        case 'n': break;
        case 'p': print_only = true; break;
        case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
        default: fputs(usage, stderr); return 2;
        }
    if (optind < argc) {
        fprintf(stderr, "mqnamesrv: %s is not an option\n%s", argv[optind], usage);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    server_count_memory();
    if (namesrv_config_load(&cfg, file, warn_unknown, NULL, &why) != MQ_OK)
        return fail(&why);
    if (print_only)
        return print(&cfg);
    log_set_level((enum log_level)cfg.log_level);
    server_raise_file_limit();
    return run(&cfg, born_us);
}
