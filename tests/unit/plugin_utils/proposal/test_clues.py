"""What the text of a Go file says of how a service is run: each spelling that people use, and what only looks like it."""

from __future__ import annotations

import time

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.proposal import clues
from ansible_collections.proven.go_service.plugins.plugin_utils.proposal.clues import Clue, Clues


def find(*lines: str, file: str = "main.go") -> Clues:
    """Return the clues of a main package with these lines in its func main."""
    return clues.find_clues(file, "\n".join(["package main", "", "func main() {", *lines, "}", ""]).encode())


def ports(*lines: str) -> list[str]:
    """Return the ports that are guessed, the surest first."""
    return [clue.value for clue in sorted(find(*lines).ports, key=lambda clue: -clue.weight)]


def values(found: tuple[Clue, ...]) -> list[str]:
    return [clue.value for clue in found]


@pytest.mark.parametrize(
    "line",
    [
        '\thttp.ListenAndServe(":9001", nil)',
        '\tlog.Fatal(http.ListenAndServe("0.0.0.0:9001", mux))',
        '\thttp.ListenAndServeTLS(":9001", cert, key, nil)',
        '\tserver := &http.Server{Addr: ":9001", Handler: mux}',
        '\tserver.Addr = ":9001"',
        '\tlistener, err := net.Listen("tcp", ":9001")',
        '\tlistener, err := config.Listen(ctx, "tcp", "[::]:9001")',
        '\trouter.Run(":9001")',
        '\te.Logger.Fatal(e.Start(":9001"))',
        '\tlog.Fatal(app.Listen(":9001"))',
        "\thttp.ListenAndServe(`:9001`, nil)",
        '\taddr := flag.String("listen", ":9001", "where to listen")',
        '\tport := flag.Int("port", 9001, "the port")',
        '\tfs.IntVar(&cfg.Port, "port", 9001, "the port")',
        '\tlisten = kingpin.Flag("web.listen-address", "Address").Default(":9001").String()',
        '\tflags := webflag.AddFlags(kingpin.CommandLine, ":9001")',
        '\tport := getenv("PORT", "9001")',
        '\tviper.SetDefault("server.port", 9001)',
        "\tconst defaultListenPort = 9001",
        "\tconst corePort = 9001",
        "\thttpport := 9001",
        '\tPORT = "9001"',
        '\tport := "9001"',
        '\tPort int `env:"PORT" envDefault:"9001"`',
        "\tconfig := Config{Port: 9001}",
    ],
)
def test_a_port_is_found_however_it_is_written(line: str) -> None:
    found = find(line)
    assert [(clue.value, clue.place) for clue in found.ports] == [("9001", "main.go:4")]


def test_a_port_is_found_in_a_call_of_several_lines_and_in_what_a_function_returns() -> None:
    assert ports("\thttp.ListenAndServe(", '\t\t":9001",', "\t\tmux)") == ["9001"]
    text = "package main\n\nfunc (c *Config) ListenPort() int {\n\tif c.Port != 0 {\n\t\treturn c.Port\n\t}\n\n\treturn 9001\n}\n"
    assert values(clues.find_clues("config.go", text.encode()).ports) == ["9001"]


def test_a_port_is_found_in_the_address_that_a_function_returns_to_listen_on() -> None:
    text = 'package main\n\nfunc {}(addr string) string {{\n\tif addr != "" {{\n\t\treturn addr\n\t}}\n\treturn "0.0.0.0:9001"\n}}\n'
    for name, weight in {"listenAddress": clues.LIKELY, "guess": clues.POSSIBLE}.items():
        (found,) = clues.find_clues("main.go", text.format(name).encode()).ports
        assert (found.value, found.weight) == ("9001", weight)


@pytest.mark.parametrize(
    "file",
    [
        "pkg/api/mock.go",
        "pkg/api/mock_server.go",
        "internal/fakes/api.go",
        "testutil/server.go",
        "pkg/grpc/server.go",
        "plugin/conductor.go",
        "http/debug.go",
    ],
)
def test_a_port_of_what_stands_in_for_something_in_tests_or_serves_no_clients_comes_last(file: str) -> None:
    for line in ('\thttp.ListenAndServe(":9001", nil)', "\tconfig := Config{Port: 9001}"):
        assert [clue.weight for clue in find(line, file=file).ports] == [clues.FAINT]
        assert [clue.weight for clue in find(line, file="pkg/api/latest_hammock.go").ports] != [clues.FAINT]


@pytest.mark.parametrize(
    "lines",
    [
        ["\tswitch strings.ToLower(target.Scheme) {", '\tcase "", "http":', '\t\tport = "80"', "\t}"],
        ['\tif u.Scheme == "https" {', '\t\tport = "443"', "\t}"],
        ['\tif secure := scheme == "https"; !secure {', "\t\tport = 80", "\t}"],
    ],
    ids=str,
)
def test_the_port_that_a_url_without_one_means_comes_last(lines: list[str]) -> None:
    assert ports(*lines, "", "", '\taddress := "localhost:9001"')[0] == "9001"


def test_a_port_for_the_management_comes_after_the_own_one() -> None:
    management = ["\tManagement struct {", '\t\tListen string `env:"LISTEN" default:"0.0.0.0:9002"`', "\t}", ""]
    assert ports(*management, '\treturn "0.0.0.0:9001"') == ["9001", "9002"]


@pytest.mark.parametrize(
    "lines",
    [
        ['\thttp.ListenAndServe(":80", http.HandlerFunc(redirectToTLS))'],
        ['\tgo http.ListenAndServe(":80", manager.HTTPHandler(nil))'],
        [
            '\treturn http.ListenAndServe(":80", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {',
            "\t\thttp.Redirect(w, r, to, 302)",
            "\t}))",
        ],
    ],
    ids=str,
)
def test_port_80_that_sends_clients_on_to_tls_comes_after_the_own_one(lines: list[str]) -> None:
    assert ports(*lines, "", '\thttp.ListenAndServeTLS(":9001", cert, key, nil)') == ["9001", "80"]
    assert find('\thttp.ListenAndServe(":80", mux)').ports[0].weight == clues.SURE


@pytest.mark.parametrize(
    "line",
    [
        '\t// http.ListenAndServe(":9001", nil)',
        '\t/* http.ListenAndServe(":9001", nil) */',
        '\tclient := redis.NewClient(&redis.Options{Addr: "localhost:9001"})',
        '\tconn, err := net.Dial("tcp", "localhost:9001")',
        '\tbrokers := flag.String("kafka", "localhost:9001", "")',
        '\tdsn := "postgres://user@localhost:9001/app"',
        '\ttimeout := flag.Duration("timeout", 9001, "")',
        "\treports := []int{9001}",
        '\tImportMaxRate int `yaml:"import_max_rate" default:"24"`',
        "\tsupport := 9001",
        "\tconst maxExport = 9001",
        "\tReport: 60,",
        '\tport := "99999"',
        "\tusage := `\nRun with\n  -listen :9001\n`",
    ],
)
def test_what_is_no_port_of_the_service_is_passed_by(line: str) -> None:
    assert ports(line) == []


def test_the_port_of_a_store_is_none_of_the_service_unless_it_listens_there() -> None:
    stored = b'package database\n\ntype Config struct {\n\tPort int `env:"PORT" default:"7000"`\n}\n'
    for file in ("internal/config/database/config.go", "db.go", "pkg/redis_config.go"):
        assert clues.find_clues(file, stored).ports == ()
    assert values(clues.find_clues("internal/config/server/config.go", stored).ports) == ["7000"]
    assert ports('\tport := "5432"') == []
    assert ports('\thttp.ListenAndServe(":5432", nil)') == ["5432"]


def test_where_it_listens_to_its_clients_is_no_port_of_a_client() -> None:
    for line in ('\tconst DefaultListenClientURLs = "http://localhost:2379"', '\tflag.String("client-listen", ":6379", "for clients")'):
        (found,) = find(line).ports
        assert (found.value, found.weight) == ("2379" if "2379" in line else "6379", clues.LIKELY)
    assert ports('\tconst peers, listenPeers = "", "http://localhost:2380"', '\tconst listen = "http://127.0.0.1:9001"')[0] == "9001"
    assert ports('\tconst api = "http://localhost:9001"', '\tclient := New("localhost:9001")') == []


def test_a_port_by_which_a_service_asks_others_comes_after_its_own() -> None:
    """The file tells it, where the line does not: a package for a client, for a discovery, for alerts."""
    line = '\tport := "9001"'
    for file in ("client/client.go", "lib/scrape/discovery/consul/api.go", "alerting/gitea.go", "notifier/init.go", "pkg/http_client.go"):
        assert [clue.weight for clue in find(line, file=file).ports] == [clues.FAINT], file
    assert [clue.weight for clue in find(line, file="server/clientele.go").ports] == [clues.LIKELY]
    assert [clue.weight for clue in find('\thttp.ListenAndServe(":9001", nil)', file="client/client.go").ports] == [clues.SURE]


@pytest.mark.parametrize(
    "line",
    [
        '\tport = "22"',
        '\tsrv.Addr = ":25"',
        "\tSmtpPort := 587",
        "\tconst port = 53",
        '\tport = "1080"',
        "\tport = strconv.FormatUint(uint64(addr.Port), 10)",
        "\tp, err := Parse(port, 64)",
    ],
)
def test_a_number_that_no_http_service_listens_on_is_passed_by(line: str) -> None:
    assert ports(line) == []


def test_where_it_listens_comes_before_what_may_be_where() -> None:
    assert ports('\tpprof := ":6060"', '\tport := "9002"', '\thttp.ListenAndServe(":9001", nil)')[0] == "9001"
    assert ports('\tmetrics := flag.String("metrics-addr", ":9090", "")', '\tflag.String("addr", ":9001", "")')[0] == "9001"


@pytest.mark.parametrize(
    "function",
    ["ListenAndServeDebug()", "(s *Server) startMetrics(ctx context.Context)", "runPprof(\n\tport int,\n)", "(h *Http) redirectHandler()"],
)
def test_a_port_in_a_function_that_is_named_for_another_purpose_comes_last(function: str) -> None:
    text = 'package main\n\nfunc {} error {{\n\tif true {{\n\t\treturn http.ListenAndServe(":9001", nil)\n\t}}\n\treturn nil\n}}\n'
    (found,) = clues.find_clues("server.go", text.format(function).encode()).ports
    assert (found.value, found.weight) == ("9001", clues.FAINT)
    (found,) = clues.find_clues("server.go", text.format("serve(metrics *Metrics, debug bool)").encode()).ports
    assert (found.value, found.weight) == ("9001", clues.SURE)


def test_a_port_comes_with_what_changes_it() -> None:
    (flag,) = find('\taddr := flag.String("addr", "localhost:9001", "")').ports
    assert (flag.host, flag.flag, flag.env) == ("localhost", "addr", "")
    (env,) = find('\taddr := envOr("APP_ADDR", "127.0.0.1:9001")').ports
    assert (env.host, env.flag, env.env) == ("127.0.0.1", "", "APP_ADDR")


@pytest.mark.parametrize(
    ("lines", "flag", "env"),
    [
        (['\tconst defaultAddr = "localhost:9001"', '\tflag.String("http", defaultAddr, "where it serves")'], "http", ""),
        (['\tvar where string = "localhost:9001"', "\tfs.StringVar(", '\t\t&cfg.addr, "listen", where, "")'], "listen", ""),
        (['\tfs.StringVar(&cfg.addr, "listen", where, "")', '\twhere := "localhost:9001"'], "listen", ""),
        (['\tconst fallback = "localhost:9001"', '\taddr := getEnv("APP_ADDR", fallback)'], "", "APP_ADDR"),
        # Of another value, and of one whose name is another's part or stands in a text.
        (['\tconst defaultAddr = "localhost:9001"', '\tflag.String("name", defaultName, "not defaultAddr")'], "", ""),
        (['\tconst addr = "localhost:9001"', '\tflag.String("other", addrOther, "")'], "", ""),
    ],
)
def test_a_port_that_is_called_by_a_name_comes_with_what_changes_it(lines: list[str], flag: str, env: str) -> None:
    (found,) = find(*lines).ports
    assert (found.value, found.host, found.flag, found.env) == ("9001", "localhost", flag, env)


@pytest.mark.parametrize(
    ("line", "flag", "env"),
    [
        ('\tListenIPv4 string `yaml:"listen_ipv4" default:"127.0.0.1" env:"APP_LISTEN_IPV4"`', "", "APP_LISTEN_IPV4"),
        ('\thost := flag.String("host", "localhost", "where to listen")', "host", ""),
        ('\tbind := getEnv("BIND", "127.0.0.1")', "", "BIND"),
        # Nothing changes it, it is another program's, or it is no address of the machine's own.
        ('\thost := "localhost"', "", ""),
        ('\tdbHost := getEnv("DB_HOST", "localhost")', "", ""),
        ('\tredis := getEnv("REDIS_HOST", "localhost")', "", ""),
        ('\thost := flag.String("host", "0.0.0.0", "where to listen")', "", ""),
    ],
)
def test_the_address_beside_a_port_is_found_with_what_changes_it(line: str, flag: str, env: str) -> None:
    found = find('\tPort int `default:"9001"`', line).ports[0]
    assert (found.value, found.flag, found.env, found.everywhere) == ("9001", flag, env, "0.0.0.0" if flag or env else ":9001")
    assert find('\tPort int `default:"9001"`', *[""] * 9, line).ports[0].host == ""


def test_it_is_known_whether_it_reads_port() -> None:
    for line in ('\tp := os.Getenv("PORT")', '\tp, ok := os.LookupEnv("PORT")', '\tp := getEnv("PORT", "80")', '\tPort int `env:"PORT"`'):
        assert [clue.line for clue in find(line).reads_port] == [4]
    assert find('\tp := os.Getenv("DB_PORT")').reads_port == ()


def test_the_block_that_a_port_lies_in_tells_what_it_is_for() -> None:
    settings = ["\tconfig := Config{", "\t\tGRPC: GRPCConfig{", '\t\t\tAddr: "0.0.0.0:8081",', "\t\t},"]
    settings += ["\t\tHTTP: HTTPConfig{", "\t\t\tEnabled: true,", '\t\t\tAddr: "0.0.0.0:8080",', "\t\t},", "\t}"]
    assert ports(*settings) == ["8080", "8081"]
    profiled = ["\tif config.EnablePprof {", "\t\tgo func() {", '\t\t\thttp.ListenAndServe("127.0.0.1:6060", nil)', "\t\t}()", "\t}"]
    assert ports(*profiled, "\tport := 3000") == ["3000", "6060"]


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('\tr.HandleFunc("GET "+config.Webroot+"livez", live)', "/livez"),
        ('\thttp.HandleFunc("/healthz", health)', "/healthz"),
        ('\tmux.Handle("GET /health", h)', "/health"),
        ('\tr.GET("/ping", func(c *gin.Context) {})', "/ping"),
        ('\tr.Get("/api/v1/health", health)', "/api/v1/health"),
        ('\thttp.HandleFunc(path.Join(*prefix, "/-/healthy"), ok)', "/-/healthy"),
        ('\tr.HandleFunc(base+"/_healthz", ok).Methods(http.MethodGet)', "/_healthz"),
        ('\tconst healthPath = "/health"', "/health"),
        ('\tcase "/ready":', "/ready"),
    ],
)
def test_a_path_that_asks_for_health_is_found(line: str, path: str) -> None:
    assert values(find(line).health) == [path]


@pytest.mark.parametrize(
    "line",
    [
        '\tresp, err := http.Get(base + "health")',
        '\tlog.Println("it is" + "up")',
        '\tresp, err := http.Get("http://other/health")',
        '\treq := httptest.NewRequest("GET", "/health", nil)',
        '\tr.POST("/status", set)',
        '\tmux.Handle("POST /health", h)',
        '\tmux.HandleFunc("/status/{code}", h)',
        '\t// mux.HandleFunc("/health", h)',
    ],
)
def test_a_path_that_it_does_not_answer_to_is_passed_by(line: str) -> None:
    assert find(line).health == ()


def test_the_front_page_is_a_handler() -> None:
    assert values(find('\thttp.HandleFunc("/", home)', '\tmux.HandleFunc("GET /{$}", home)').handlers) == ["/", "/"]


def test_alive_comes_before_ready() -> None:
    order = sorted(["/ready", "/ping", "/livez", "/healthz", "/health", "/metrics"], key=clues.health_rank)
    assert order == ["/health", "/healthz", "/livez", "/ready", "/ping", "/metrics"]


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ('\tt := template.Must(template.ParseGlob("templates/*.html"))', ["templates/*.html"]),
        ('\tt, err := template.ParseFiles("a.html", "parts/b.html")', ["a.html", "parts/b.html"]),
        ('\tfs := http.FileServer(http.Dir("./static"))', ["./static"]),
        ('\tr.Static("/assets", "./public")', ["./public"]),
        ('\tr.LoadHTMLGlob("views/*")', ["views/*"]),
        ('\tb, err := os.ReadFile("config/app.yml")', ["config/app.yml"]),
        ('\thttp.ServeFile(w, r, "index.html")', ["index.html"]),
        ('\tt := template.ParseFiles(filepath.Join("web", "page.html"))', ["web/page.html"]),
        ("\tgodotenv.Load()", []),
        ('\tos.Open("/etc/passwd")', []),
        ("\tos.Open(name)", []),
        ('\tos.Create("out.txt")', []),
    ],
)
def test_relative_paths_that_it_reads_are_found(line: str, paths: list[str]) -> None:
    assert values(find(line).opened) == paths


@pytest.mark.parametrize(
    "lines",
    [
        ['\tdsn := os.Getenv("DATABASE_URL")', '\tif dsn == "" {', '\t\tlog.Fatal("no database")', "\t}"],
        ['\tdsn, ok := os.LookupEnv("DATABASE_URL")', "\tif !ok {", '\t\tpanic("no database")', "\t}"],
        ['\tif os.Getenv("DATABASE_URL") == "" {', '\t\treturn errors.New("no database")', "\t}"],
        ['\tdsn := mustGetenv("DATABASE_URL")'],
        ['\tmustMapEnv(&svc.dsn, "DATABASE_URL")'],
        ['\tDSN string `env:"DATABASE_URL,required"`'],
        ['\tDSN string `envconfig:"DATABASE_URL" required:"true"`'],
    ],
)
def test_a_variable_that_it_does_not_start_without_is_found(lines: list[str]) -> None:
    assert values(find(*lines).wanted_env) == ["DATABASE_URL"]


@pytest.mark.parametrize(
    "lines",
    [
        ['\tlevel := os.Getenv("LOG_LEVEL")', '\tif level == "" {', '\t\tlevel = "info"', "\t}"],
        ['\tlevel := os.Getenv("LOG_LEVEL")', "\tif err := run(level); err != nil {", "\t\tlog.Fatal(err)", "\t}"],
        ['\tLevel string `env:"LOG_LEVEL"`'],
        ['\tutil.MustBindEnv("log.level", "LOG_LEVEL")'],
        ['\tif os.Getenv("LOG_LEVEL") == "" {', '\t\tlevel = "info"', "\t}", "}", "", "func other() {", '\tlog.Fatal("x")'],
    ],
)
def test_a_variable_with_a_default_is_not_insisted_on(lines: list[str]) -> None:
    assert find(*lines).wanted_env == ()


def test_arguments_that_it_insists_on_are_found() -> None:
    told = find(
        '\ttext := flag.String("text", "", "text to show")',
        '\techo := os.Getenv("ECHO_TEXT")',
        '\tif *text == "" && echo == "" {',
        '\t\tfmt.Fprintln(os.Stderr, "Missing -text option or ECHO_TEXT!")',
        "\t\tos.Exit(127)",
        "\t}",
    )
    assert (set(values(told.wanted_flags)), set(values(told.wanted_env))) == ({"text"}, {"ECHO_TEXT"})
    assert values(find('\tkingpin.Flag("config.file", "The file").Required().String()').wanted_flags) == ["config.file"]
    assert values(find('\tcmd.MarkFlagRequired("config")').wanted_flags) == ["config"]


@pytest.mark.parametrize(
    "complaint",
    [
        "-text must be in the range [1, 9]",
        "-text must be positive",
        "only one of -text and -other must be specified",
        "both -text and -other must be set",
        "-other is required when -text is set",
        "invalid format for -text: missing colon",
    ],
)
def test_what_is_asked_of_a_value_that_is_given_insists_on_nothing(complaint: str) -> None:
    assert find('\tflag.String("text", "", "text")', "\tif bad {", f'\t\tlog.Fatal("{complaint}")', "\t}").wanted_flags == ()


def test_a_name_in_small_letters_is_no_variable_of_the_environment() -> None:
    assert find('\tmustBeInRange("maxLength", length)').wanted_env == ()
    (port,) = find('\tport := getenvOr("port", 9001)').ports
    assert port.env == ""


def test_the_help_of_a_flag_insists_on_nothing() -> None:
    assert find('\tflag.String("text", "", "required if -other is missing")', "\tos.Exit(1)").wanted_flags == ()


@pytest.mark.parametrize(
    "line", ["\thttp.ListenAndServe(addr, nil)", '\trouter.Run(":80")', "\tapp.Start(address)", "\thttp.HandleFunc(path, h)"]
)
def test_what_serves_is_told_from_what_does_not(line: str) -> None:
    assert find(line).serves > 0
    assert find('\tfmt.Println("ListenAndServe")', "\t// http.ListenAndServe(addr, nil)").serves == 0


def test_the_line_is_right_behind_comments_and_raw_strings_of_several_lines() -> None:
    found = find("/* one", "two */", "\ttext := `a", "b`", '\thttp.ListenAndServe(":9001", nil)')
    assert [clue.line for clue in found.ports] == [8]


@pytest.mark.parametrize(
    "text",
    [
        b'"' * 200_000,
        b"os.Open(" * 50_000,
        b'filepath.Join("a",' * 30_000,
        b'if x == "" {\nos.Getenv("A")\n' * 10_000,
        b"func Port(" * 50_000,
        b"func aPort() int {\n" * 10_000,
        b"port port port : " * 20_000,
        b'"missing required ' * 20_000,
        b"\\" * 300_000,
    ],
)
def test_a_strange_file_is_read_in_time(text: bytes) -> None:
    began = time.process_time()
    clues.find_clues("main.go", b"package main\n" + text)
    assert time.process_time() - began < 5
