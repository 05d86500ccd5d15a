"""Translates SQL cases of SQLite and PostgreSQL, runs them, and compares: see `run`.

    cases.py SOURCES SLABQL PAGE

A case is a `select` over one table or none, and its rows. Tables are rows of `caches` in recordings made here, whose columns
are renamed; a select without a table reads a recording of one row. PAGE has two tables whose second column, in backticks, is
a regular expression: over a case and its error behind it, and over a case that has another answer.
"""

import collections
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).parent
TEXT = r"'(?:[^']|'')*'"
# Columns of `caches` that stand for those of other tables: these hold negative integers too, these do not, these hold texts.
SIGNED = ["objects", "slabs"]
UNSIGNED = ["partial", "min_partial", "free_partial", "free_slabinfo", "cached_cpu", "cached_sheaves", "cached_barns",
            "rcu_pending", "cpu_partial", "cpu_partial_slabs", "sheaf_capacity", "usersize", "useroffset"]
TEXTS = ["name", "sysfs_id", "ctor"]
Case = collections.namedtuple("Case", "sql query recording rows")


def spared(pattern, replace, sql):
    """Replaces what `pattern` finds outside of texts."""
    return re.sub(f"({TEXT})|{pattern}", lambda m: m[0] if m[1] is not None else replace(m), sql, flags=re.I)


class Recordings:
    """Recordings of the tables of a database."""

    def __init__(self, folder):
        self.folder = folder
        self.one = self.write([], [[]])

    def write(self, columns, rows):
        columns = ["addr", *columns]
        rows = [[number + 1, *row] for number, row in enumerate(rows)]
        header = {"format": "slabql recording", "version": 2, "kernel": "6.18.0", "time": "2026-01-01T00:00:00Z",
                  "page_size": 4096, "slab_flags": {}, "gfp_flags": {}, "refused": {},
                  "tables": [{"table": "caches", "columns": columns, "missing": {}}]}
        text = "\n".join(map(json.dumps, [header, *rows, {"end": "caches", "rows": len(rows)}])) + "\n"
        path = pathlib.Path(self.folder, hashlib.sha1(text.encode()).hexdigest()[:16] + ".slab")
        if not path.exists():
            path.write_text(text)
        return path

    def of(self, db, table):
        """The recording of a table, and the names of its columns there; `None` where slabql has no such values."""
        if db is None:
            return None
        made = db.execute("select sql from sqlite_master where name = ? collate nocase and type = 'table'", [table]).fetchone()
        if not made or re.search(r"(?i)collate|\bchar\(", made[0]):
            return None
        try:
            cursor = db.execute(f'select * from "{table}" limit 10001')
            rows = cursor.fetchall()
        except sqlite3.Error:
            return None
        free, names = {"signed": SIGNED[:], "unsigned": UNSIGNED[:], "text": TEXTS[:]}, {}
        for number, (column, *_) in enumerate(cursor.description):
            values = [row[number] for row in rows if row[number] is not None]
            if all(isinstance(value, int) for value in values):
                # Every number fits in the fewest bits that a column has.
                small = all(0 <= value < 1 << 31 for value in values)
                kind = "unsigned" if small and free["unsigned"] else "signed"
            elif all(isinstance(value, str) for value in values):
                kind = "text"
            else:
                return None
            if not free[kind] or not re.fullmatch(r"\w+", column):
                return None
            names[column.lower()] = free[kind].pop(0)
        return self.write(list(names.values()), rows), names


def table_of(sql):
    """The name of the one table that a select reads, "" for none, `None` for others."""
    bare = re.sub(TEXT, "''", sql)
    bare = re.sub(r"(?i)\b(substring|trim|overlay|extract|position)\s*\([^()]*\)|distinct\s+from", "", bare)
    if re.search(r"(?i)\b(join|into|values|union|intersect|except|with\s+(?!ties|totals))\b", bare):
        return None
    outer, inner = None, bare
    while outer != inner:
        outer, inner = inner, re.sub(r"\([^()]*\)", " ", inner)
    if not re.search(r"(?i)\bfrom\b", bare):
        return ""
    # In slabql, a select without `from` reads a table too.
    if not re.search(r"(?i)\bfrom\b", outer) or re.search(r"(?is)\bfrom\b\s*[\w\"]+(\s+(as\s+)?\w+)?\s*[,(]|\bfrom\s*\(", bare):
        return None
    tables = {name.lower() for name in re.findall(r"(?i)\bfrom\s+([\w\"]+)", bare)}
    return tables.pop().strip('"') if len(tables) == 1 else None


def renamed(sql, table, names):
    """The same select over `caches`."""
    star = r"(?<=[\s,])(?:\w+\.)?\*(?=\s*(?:,|\bfrom\b))"
    sql = spared(star, lambda m: ", ".join(names.values()), sql)
    sql = spared(rf'\bfrom\s+"?{re.escape(table)}\b"?', lambda m: "from caches", sql)
    sql = spared(rf"\b{re.escape(table)}\.", lambda m: "caches.", sql)
    words = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return spared(rf'"?\b({words})\b"?(?!\s*\()', lambda m: names[m[2].lower()], sql)


def cases_of(statements, translate, recordings):
    """The different cases among `statements`: selects with what slabql is asked, and how many were passed over."""
    made, passed, known = {}, 0, {}
    for db, moment, sql, rows in statements:
        table = table_of(sql)
        if table is None:
            passed += 1
            continue
        recording, query = recordings.one, translate(sql)
        if table:
            key = (db, moment, table)
            if key not in known:
                known[key] = recordings.of(db, table)
            if known[key] is None:
                passed += 1
                continue
            recording, names = known[key]
            query = renamed(query, table, names)
        # A line each, so that an error's line tells the case.
        query = spared(r"\s+", lambda _: " ", query)
        if len(query.splitlines()) > 1:
            passed += 1
            continue
        made.setdefault((query, recording), Case(sql, query, recording, rows))
    return list(made.values()), passed


def of_sqlite(sql):
    """What stands for the same in slabql."""
    sql = spared(r"\blike\b", lambda m: "ilike", sql)
    sql = spared(r"\bis\s+not\s+(?!null|true|false|distinct)", lambda m: "is distinct from ", sql)
    return spared(r"\bis\s+(?!null|not|true|false|distinct)", lambda m: "is not distinct from ", sql)


TYPES = {
    "int2": "int", "int4": "int", "int8": "int", "int": "int", "integer": "int", "bigint": "int", "smallint": "int",
    "float8": "float", "float4": "float", "float": "float", "double precision": "float", "real": "float",
    "numeric": "float", "decimal": "float", "text": "text", "varchar": "text", "bool": "bool", "boolean": "bool",
}
NAMES = "|".join(sorted(TYPES, key=len, reverse=True))


def of_postgres(sql):
    cast = lambda value, ty: f"cast({value} as {TYPES[ty.lower()]})"
    # `type 'text'` and `x::type`, of a word, a text or parentheses.
    sql = re.sub(rf"(?i)(?<![\w:.])({NAMES})\s+({TEXT})", lambda m: cast(m[2], m[1]), sql)
    sql = re.sub(r"(?i)\bas\s+(true|false)\b", r'as "\1"', sql)
    value = rf"({TEXT}|[\w.]*\([^()]*\)|\b[\w.]+)"
    while True:
        # Tables that a file changes are not those of the setup.
        changed = re.sub(rf"(?i){value}::({NAMES})\b(?!\s*\()", lambda m: cast(m[1], m[2]), sql)
        if changed == sql:
            return sql
        sql = changed


def database():
    db = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
    # Nothing outside of memory is touched.
    outside = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_PRAGMA}
    db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in outside else sqlite3.SQLITE_OK)
    steps = iter(range(0))
    db.set_progress_handler(lambda: next(steps, 1) and 1, 100_000)
    return db


def run_sqlite(db, sql):
    """The rows that SQLite itself gives; `None` for an error."""
    try:
        return db.execute(sql).fetchmany(1000)
    except (sqlite3.Error, sqlite3.Warning, UnicodeError, MemoryError):
        return None


def asked(file):
    """The statements that a test file gives its database."""
    run = subprocess.run(["tclsh", here / "sqlite.tcl", file], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    statement = ""
    for line in dict.fromkeys(run.stdout.splitlines()):
        for part in re.split(r"(?<=;)", bytes.fromhex(line).decode(errors="replace").replace("\0", "") + ";"):
            statement += part
            if sqlite3.complete_statement(statement):
                yield statement.strip().rstrip(";").strip()
                statement = ""


def sqlite_statements(sources):
    """What SQLite's test files ask, and what SQLite answers."""
    for file in sorted(pathlib.Path(sources, "sqlite3/test").glob("*.test")):
        # These are about files and extensions rather than about SQL.
        if re.match("async|bigfile|corrupt|crash|fts|malloc|savepoint|speed|vacuum|wal|writecrash|.*fault", file.name):
            continue
        db, changes = database(), 0
        for sql in asked(file):
            bare = re.sub(TEXT, "''", sql)
            if re.search(r"[$@?]|(?<!:):\w|--|/\*", bare):
                continue
            if re.match(r"(?i)select\b", sql):
                rows = run_sqlite(db, sql) if table_of(sql) is not None else []
                if rows is not None:
                    yield db, (file, changes), sql, rows
            elif changes < 300 and re.match(r"(?i)(create|insert|update|delete|replace|drop|alter)\b", sql):
                run_sqlite(db, sql)
                changes += 1


def postgres_statements(sources):
    """The selects of PostgreSQL's regression tests, and what stands behind them."""
    root = pathlib.Path(sources, "postgresql/src/test/regress")
    db = database()
    # The tables that all tests share are made as SQLite makes them, of which it has the types.
    setup = re.sub(r"(?m)--.*$", "", pathlib.Path(root, "sql/test_setup.sql").read_text())
    shared = "int2_tbl|int4_tbl|int8_tbl|text_tbl|onek|tenk1"
    for statement in setup.split(";"):
        if re.match(rf"(?i)\s*(create table|insert into)\s+({shared})\b", statement):
            run_sqlite(db, statement.replace("+4567890123456789,", "4567890123456789,"))
    for table, file in [("onek", "onek"), ("tenk1", "tenk")]:
        for line in pathlib.Path(root, f"data/{file}.data").read_text().splitlines():
            values = line.split("\t")
            db.execute(f"insert into {table} values ({','.join('?' * len(values))})", values)
    for file in sorted(pathlib.Path(root, "expected").glob("*.out")):
        text = file.read_text(errors="replace")
        # Tables that a file changes are not those of the setup.
        changed = re.search(rf"(?i)\b(table|update|into|delete from|rename to)\s+({shared})\b", text)
        # Nor are functions that a file makes any of PostgreSQL's.
        own = "|".join(re.findall(r"(?i)\bcreate\s+(?:or\s+replace\s+)?(?:function|aggregate|procedure)\s+([\w.]+)", text))
        # A statement, its heading, a rule, its rows, and their count.
        for m in re.finditer(r"(?im)^(select\b[^;]*);[^\n]*\n[^\n]*\n-[-+]*\n((?:[^\n]*\n)*?)\((\d+) rows?\)$", text):
            sql, rows = m[1], m[2].splitlines()
            if own and re.search(rf"(?i)\b({own})\s*\(", sql):
                continue
            # Comments and commands of psql are passed over.
            if len(rows) == int(m[3]) and not re.search(r"--|\\", re.sub(TEXT, "''", sql)):
                yield db if not changed else None, 0, sql, [[cell.strip() for cell in row.split("|")] for row in rows]


def same_value(got, wanted):
    if got is None:
        return wanted in (None, "")
    if isinstance(got, bool):
        return wanted in (("t", 1) if got else ("f", 0))
    if isinstance(got, str):
        return isinstance(wanted, str) and got.strip() == wanted.strip()
    try:
        number = float(wanted)
    except (TypeError, ValueError):
        return False
    if isinstance(got, int) and re.fullmatch(r"[-+]?\d+", str(wanted)):
        return got == int(wanted)
    return math.isclose(got, number, rel_tol=1e-9, abs_tol=1e-300)


def alike(row, wanted):
    return len(row) == len(wanted) and all(map(same_value, row, wanted))


def same_order(case, rows):
    return len(rows) == len(case.rows) and all(map(alike, rows, case.rows))


def same_rows(case, rows):
    if len(rows) != len(case.rows):
        return False
    left = list(case.rows)
    for row in rows:
        at = next((at for at, wanted in enumerate(left) if alike(row, wanted)), None)
        if at is None:
            return False
        left.pop(at)
    return True


def ordered(case):
    """Whether the order is given: rows that are alike in all keys, and NULL, can come anywhere."""
    return re.search(r"(?i)order\s+by", case.sql) and not any(value in (None, "") for row in case.rows for value in row)


def documents(text):
    """The answers in the output: a list of rows each."""
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=lambda pairs: [value for _, value in pairs])
    at = 0
    while (at := at + len(text[at:]) - len(text[at:].lstrip())) < len(text):
        document, at = decoder.raw_decode(text, at)
        yield document


def ask(slabql, recording, queries):
    """The rows, or the error, of each: of many in one process, which ends with the first error."""
    answers, left = {}, list(range(len(queries)))
    options = ["--from", recording, "--no-config", "--format", "json"]
    while left:
        text = "".join(queries[number] + ";\n" for number in left)
        run = subprocess.run([slabql, *options], input=text.encode(), capture_output=True)
        done = list(documents(run.stdout.decode(errors="replace")))
        answers.update(zip(left, done))
        said = run.stderr.decode(errors="replace")
        error = re.search(r"(?m)^(?:error|bug).*", said)
        if run.returncode == 0 or not error:
            if len(done) < len(left):
                answers[left[len(done)]] = f"status {run.returncode}: {said[-200:]}"
            left = left[len(done) + 1 :]
            continue
        line = re.search(r"(?m)^\s*(\d+) \|", said[error.end() :])
        failed = left[int(line[1]) - 1] if line else left[len(done)]
        answers[failed] = error[0]
        left = [number for number in left[len(done) :] if number != failed]
    return [answers[number] for number in range(len(queries))]


def answers_of(slabql, cases):
    groups = collections.defaultdict(list)
    for number, case in enumerate(cases):
        groups[case.recording].append(number)
    chunks = [(recording, numbers[at : at + 50]) for recording, numbers in groups.items() for at in range(0, len(numbers), 50)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        found = threads.map(lambda chunk: ask(slabql, chunk[0], [cases[number].query for number in chunk[1]]), chunks)
        answers = {number: answer for (_, numbers), got in zip(chunks, found) for number, answer in zip(numbers, got)}
    return [answers[number] for number in range(len(cases))]


def page_tables(page):
    """The regular expressions of the page's tables: of what is refused, of what is different."""
    found = [[], []]
    for number, part in enumerate(re.split(r"(?m)^## ", page.read_text())[1:3]):
        for line in part.splitlines():
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) > 2 and cells[1].startswith("`"):
                found[number].append(re.fullmatch(r"`+ ?(.*?) ?`+", cells[1])[1])
    return found


def main():
    sources, slabql, page = sys.argv[1:4]
    refusals, differences = page_tables(pathlib.Path(page))
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        recordings = Recordings(folder)
        for name, statements, translate in [
            ("SQLite", sqlite_statements, of_sqlite),
            ("PostgreSQL", postgres_statements, of_postgres),
        ]:
            cases, passed = cases_of(statements(sources), translate, recordings)
            equal, refused, different, unknown = 0, collections.Counter(), collections.Counter(), []
            for case, answer in zip(cases, answers_of(slabql, cases)):
                is_refused = isinstance(answer, str)
                if not is_refused and (same_order(case, answer) or same_rows(case, answer) and not ordered(case)):
                    equal += 1
                    continue
                known, text = (refusals, f"{case.query}\n{answer}") if is_refused else (differences, case.sql)
                row = next((row for row in known if re.search(row, text, re.I | re.S)), None)
                (refused if is_refused else different)[row or "?"] += 1
                if row is None:
                    unknown.append((case, answer))
            print(f"{name}: {passed} selects over several tables or values that slabql does not have, {len(cases)} run: "
                  f"{equal} equal, {sum(refused.values())} refused, {sum(different.values())} different")
            for what, counts in [("refused", refused), ("different", different)]:
                for row, count in counts.most_common():
                    print(f"  {count:6} {what}: {row}")
            for case, answer in unknown[: int(os.environ.get("SHOWN", "40"))]:
                print(f"  ? {case.query[:200]}\n      {str(answer)[:300]}, not {str(case.rows)[:300]}")
            failed |= bool(unknown)
    sys.exit(failed)


main()
