"""Every cap of the program in one place, each with its reason. Configuration may tighten most of them.

Nothing from outside is taken without a cap: a cap is what turns a bad input into one failed target or
request instead of a dead server.
"""

from __future__ import annotations

from typing import Final

# Scraping: a body is held in memory while it is parsed; 64 MiB is about half a million series.
SCRAPE_BODY_BYTES_MAX: Final = 64 * 2**20
SCRAPE_LINES_MAX: Final = 2_000_000

# Labels: Prometheus has no cap; these are far above any real use and keep the index bounded.
LABELS_PER_SERIES_MAX: Final = 512
# As they are discovered: relabeling makes few of them. A pod has two labels for each of its own and of its annotations.
LABELS_PER_TARGET_MAX: Final = 8192
LABEL_NAME_BYTES_MAX: Final = 16 * 2**10
LABEL_VALUE_BYTES_MAX: Final = 256 * 2**10
# Buckets of a histogram, and spans: Prometheus has no cap but what a job sets. An exponential one of the finest schema from
# nanoseconds to hours has some 10,000.
HISTOGRAM_BUCKETS_MAX: Final = 16_384
# A page is a few kilobytes of template; what it is parsed into takes many times its bytes.
CONSOLE_BYTES_MAX: Final = 2**20
# Files with a password or a token, and with certificates: they are read where requests are made.
SECRET_FILE_BYTES_MAX: Final = 64 * 2**10
CERTIFICATE_FILE_BYTES_MAX: Final = 4 * 2**20

# Samples further ahead than this are refused, as in Prometheus: a clock is wrong somewhere.
FUTURE_MS_MAX: Final = 10 * 60 * 1000

# Remote write: the caps of Prometheus' own receiver, before and after decompression.
REMOTE_WRITE_BODY_BYTES_MAX: Final = 32 * 2**20
REMOTE_WRITE_DECODED_BYTES_MAX: Final = 32 * 2**20

# Line protocol of InfluxDB: as InfluxDB 1 reads, before and after decompression.
INFLUX_BODY_BYTES_MAX: Final = 25_000_000

# What a batch job pushes at once.
PUSH_BODY_BYTES_MAX: Final = 16 * 2**20

# OTLP: as Prometheus reads, before and after decompression.
OTLP_BODY_BYTES_MAX: Final = 32 * 2**20
OTLP_DECODED_BYTES_MAX: Final = 32 * 2**20

# Queries.
QUERY_SAMPLES_MAX: Final = 50_000_000
QUERY_POINTS_PER_SERIES_MAX: Final = 11_000
QUERY_TEXT_BYTES_MAX: Final = 1 * 2**20
QUERY_DEPTH_MAX: Final = 1000
# Operators in a row, as in `a or b or c`. Each is planned and run for itself, in up to 0.1 ms: this many take a second.
QUERY_CHAIN_MAX: Final = 10_000
# A chain is indented by one level more for every operator: a text of a megabyte could become gigabytes.
QUERY_FORMATTED_BYTES_MAX: Final = 256 * 2**20
# RE2 compiles some two million instructions a second, and all threads wait.
QUERY_REGEXP_INSTRUCTIONS_MAX: Final = 1_000_000

# HTTP requests to us.
REQUEST_BODY_BYTES_MAX: Final = 32 * 2**20
REQUEST_PLAIN_BYTES_MAX: Final = 4 * 2**20
# Of a form, as Prometheus takes them; and of parameters, each of which costs a microsecond or two.
REQUEST_FORM_BYTES_MAX: Final = 10 * 2**20
REQUEST_PARAMETERS_MAX: Final = 10_000

# Connections of clients. A head that is sent at all comes in a packet or two; who opens a connection asks at once, or a
# browser does ahead of a click. A body may be slower than any modem, if it goes on; none of this counts while we are at work.
CONNECTION_FIRST_S: Final = 30.0
CONNECTION_IDLE_S: Final = 120.0
REQUEST_HEAD_S: Final = 10.0
REQUEST_BODY_S: Final = 10.0
REQUEST_BODY_BYTES_PER_S_MIN: Final = 1024
# A client that reads its answer slowly keeps its place: it has so long for each piece, and less when all places are taken.
ANSWER_PIECE_BYTES: Final = 256 * 2**10
ANSWER_PIECE_S: Final = 30.0
ANSWER_PIECE_CROWDED_S: Final = 5.0
# One client may not take all places; this machine may, as proxies on it ask for everybody.
CONNECTIONS_PER_CLIENT_SHARE: Final = 0.75
# Places beyond the most, for probes and for this machine (no more than half of them), when all others are at work.
CONNECTIONS_KEPT: Final = 32

# Configuration files: a prometheus.yml of 16 MiB holds a hundred thousand static targets.
CONFIG_FILE_BYTES_MAX: Final = 16 * 2**20
DISCOVERY_FILE_BYTES_MAX: Final = 64 * 2**20
TARGETS_PER_PUBLISH_MAX: Final = 200_000
# Groups without targets are nothing to scrape, but cost as much as a target.
GROUPS_PER_PUBLISH_MAX: Final = 200_000
# A read of a discovery's file that takes longer hangs: the other files are read without it.
DISCOVERY_READ_S: Final = 10.0
# Who feeds a pipe that a configuration is read from has so long for each piece.
PIPE_READ_S: Final = 10.0
# Values of one YAML text and their characters, aliases counted each time: they make a small text large. Far above those of a
# real file of the largest size that is read. A node takes 120 bytes, and 580 with the rule that is made of it at the most.
YAML_NODES_MAX: Final = 2_000_000
YAML_NODE_BYTES: Final = 600
YAML_CHARACTERS_MAX: Final = DISCOVERY_FILE_BYTES_MAX
YAML_DEPTH_MAX: Final = 100
# Lists and objects of a discovery file in JSON, which take more memory than text: three for each group that may be there.
JSON_CONTAINERS_MAX: Final = 3 * GROUPS_PER_PUBLISH_MAX + 1
RULES_PER_FILE_MAX: Final = 100_000
# Errors of one text that are told; the others are counted. A name in one may be as long as the text.
ERRORS_TOLD_MAX: Final = 100
ERROR_CHARACTERS_MAX: Final = 4096

# Templates of alerts and consoles: anybody who may write a rule may write a loop. The steps of the largest consoles of
# Prometheus are some ten thousand; this many take about a second. Text counts as steps too, so does every query.
TEMPLATE_TEXT_BYTES_MAX: Final = 1 * 2**20
TEMPLATE_STEPS_MAX: Final = 500_000
TEMPLATE_BYTES_PER_STEP: Final = 256
TEMPLATE_STEPS_PER_QUERY: Final = 100
TEMPLATE_OUTPUT_BYTES_MAX: Final = 4 * 2**20
TEMPLATE_TIME_MAX_S: Final = 30.0
# Each level takes up to six of Python's frames, of which there are a thousand.
TEMPLATE_DEPTH_MAX: Final = 100

# Backtests of rules. Times of one group as points of a range query; alerts and changes of state are objects of Python, half
# a kilobyte each.
BACKTEST_TIMES_MAX: Final = 11_000
BACKTEST_ALERTS_MAX: Final = 10_000
BACKTEST_EVENTS_MAX: Final = 100_000
BACKTEST_TEXT_BYTES_MAX: Final = 64 * 2**20
# Of what a recording rule gives.
BACKTEST_SERIES_SHOWN_MAX: Final = 1000
