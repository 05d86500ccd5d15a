"""Holds the answers of DuckDB and ClickHouse to examples/fleet against plain Python. `fleet` beside it calls it."""

import argparse
import collections
import datetime
import json
import math
import pathlib
import re
import sys
import time
from array import array

examples, folder = (pathlib.Path(word) for word in sys.argv[1:3])
sys.path.insert(0, str(examples))
import simulate  # noqa: E402

options = argparse.ArgumentParser()
for option, default in [("hosts", 100), ("caches", 240), ("moments", 20), ("hours", 12)]:
    options.add_argument(f"--{option}", type=int, default=default)
given = options.parse_args(sys.argv[3:])


def statements(name):
    """The statements of a file by the words before the colon of their comments; the first one has none."""
    text = (examples / name).read_text()
    parts = re.split(r"^-- (\w+): .*\n", text, flags=re.M)
    return parts[0], dict(zip(parts[1::2], parts[2::2], strict=True))


def percentile(values, part):
    """As DuckDB and ClickHouse interpolate it."""
    values = sorted(values)
    place = part * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def direct():
    """The same answers from the simulation itself, without a file."""
    kernels, caches, _ = simulate.seeds([folder / "demo-1.parquet", folder / "demo.parquet"], given.caches)
    times = simulate.moments(given.moments, given.hours)
    since = times[-1] - datetime.timedelta(days=7)
    grown, hosts = collections.Counter(), collections.Counter()
    latest, usual = [], collections.defaultdict(list)
    before, after = collections.defaultdict(lambda: [0, 0]), collections.defaultdict(lambda: [0, 0])
    held = collections.defaultdict(lambda: array("q"))
    rows = 0
    for number in range(given.hosts):
        first, readings = {}, list(simulate.readings(number, kernels, caches, times))
        old, new = readings[0][1][0]["kernel"], readings[-1][1][0]["kernel"]
        for at, found in readings:
            rows += len(found)
            for row in found:
                name, memory = row["name"], row["memory"]
                held[name].append(memory)
                if at >= since:
                    first.setdefault(name, memory)
                if old != new:
                    mean = (before if row["kernel"] == old else after)[name]
                    mean[0] += memory
                    mean[1] += 1
        for row in readings[-1][1]:
            name, growth = row["name"], row["memory"] - first[row["name"]]
            grown[name] += growth
            hosts[name] += growth > 0
            latest.append((new, name, row["host"], row["memory"]))
            usual[new, name].append(row["memory"])
    usual = {key: percentile(values, 0.5) for key, values in usual.items()}
    outliers = [(*key, host, memory, usual[key]) for *key, host, memory in latest
                for key in [tuple(key)] if memory > 3 * usual[key] and memory > 16 << 20]
    means = [(name, before[name][0] / before[name][1], after[name][0] / after[name][1]) for name in before]
    p99 = [(name, percentile(values, 0.99), max(values)) for name, values in held.items()]
    return rows, {
        "growth": sorted(((name, grown[name], hosts[name]) for name in grown), key=lambda row: (-row[1], row[0]))[:10],
        "outliers": sorted(outliers, key=lambda row: (row[4] - row[3], row[1], row[2]))[:20],
        "upgrade": sorted(means, key=lambda row: (-abs(row[2] - row[1]), row[0]))[:10],
        "p99": sorted(p99, key=lambda row: (-row[1], row[0]))[:10],
    }


def same(engine, question, found, wanted):
    """Numbers are equal, but for the last bits of what is divided or interpolated."""
    assert len(found) == len(wanted) > 0, (engine, question, found, wanted)
    for row, expected in zip(found, wanted):
        for cell, value in zip(row, expected, strict=True):
            close = math.isclose(cell, value, rel_tol=1e-12) if isinstance(value, float) else cell == value
            assert close, (engine, question, row, expected)
    print(f"{engine:10}  {question:8}  {len(found):2} rows  {took:6.2f} s  {list(found[0])}")


begin = time.monotonic()
rows, wanted = direct()
print(f"{'Python':10}  all            {time.monotonic() - begin:6.2f} s  {rows} rows of {given.hosts} hosts")

import duckdb  # noqa: E402

view, questions = statements("duckdb.sql")
duckdb.sql(view)
for question, sql in questions.items():
    begin = time.monotonic()
    found = duckdb.sql(sql).fetchall()
    took = time.monotonic() - begin
    same("DuckDB", question, found, wanted[question])
counted = duckdb.sql("select count(*), count(distinct host) from slabs").fetchall()[0]
assert counted == (rows, given.hosts), counted

from chdb import session  # noqa: E402

clickhouse = session.Session(str(folder / "clickhouse"))


def ask(sql):
    return json.loads(str(clickhouse.query(sql.rstrip().rstrip(";"), "JSONCompact")))["data"]


clickhouse.query("create database fleet")
clickhouse.query("use fleet")
clickhouse.query("set output_format_json_quote_64bit_integers = 0")
# The host stands in the rows too, and what its folder says is no LowCardinality.
clickhouse.query("set use_hive_partitioning = 0")
table, questions = statements("clickhouse.sql")
table = re.sub(r"^--.*\n", "", table, flags=re.M)
clickhouse.query(table)
begin = time.monotonic()
clickhouse.query(f"insert into slabs from infile '{folder}/fleet/*/*/*.parquet' format Parquet")
print(f"{'ClickHouse':10}  loaded         {time.monotonic() - begin:6.2f} s")
for question, sql in questions.items():
    begin = time.monotonic()
    found = ask(sql)
    took = time.monotonic() - begin
    same("ClickHouse", question, found, wanted[question])

# There is no cluster here, but the statement for one is well formed.
book = (examples / "../../book/src/fleet.md").read_text()
[distributed] = re.findall(r"^create table slabs_all [^;]*;", book, flags=re.M)
assert "Distributed" in str(clickhouse.query("explain ast " + distributed.rstrip(";")))

# What this host streams and what it writes has the same caches for all; their figures move from one reading to the next.
streamed = [json.loads(line) for line in (folder / "host.ndjson").read_text().splitlines()]
assert len(streamed) > 20 and streamed[0]["host"] and streamed[0]["kernel"]
caches = {(row["host"], row["kernel"], row["name"]) for row in streamed}
for kind, name in [("JSONEachRow", "ndjson"), ("ArrowStream", "arrow")]:
    clickhouse.query(table.replace("slabs\n(", f"host_{name}\n("))
    clickhouse.query(f"insert into host_{name} from infile '{folder}/host.{name}' format {kind}")
    found = {tuple(row) for row in ask(f"select host, kernel, name from host_{name}")}
    assert found == caches and ask(f"select count() from host_{name} where at > 0 and memory > 0")[0][0] > 20, kind
    print(f"ClickHouse reads {len(found)} rows of {kind}")
written = duckdb.sql(f"""select host, kernel, name
    from read_parquet('{folder}/host/fleet/*/*/*.parquet', hive_partitioning = true)""").fetchall()
assert set(written) == caches, written
print(f"DuckDB reads {len(written)} rows that `record` wrote")
