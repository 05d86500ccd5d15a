#!/usr/bin/env python3
"""Makes a fleet of hosts that never were, out of what slabql recorded of real ones, to try queries on.

    simulate.py FOLDER SEED.parquet… [--hosts N] [--caches N] [--moments N] [--hours N]

Each SEED is what `slabql --stamp --output SEED.parquet 'select …'` wrote of one recording, with the columns of `record`.
Hosts differ in size; some get the kernel of the last seed on their way, some leak a cache. The same arguments make the
same fleet. Needs pyarrow.
"""

import argparse
import datetime
import pathlib
import random

END = datetime.datetime(2026, 6, 30, 18, tzinfo=datetime.timezone.utc)


def seeds(paths, caches):
    """The kernels of the seeds in their order, and of so many caches, largest first, what the last seed has of each."""
    import pyarrow.parquet

    tables = [pyarrow.parquet.read_table(path) for path in paths]
    kernels = list(dict.fromkeys(table["kernel"][0].as_py() for table in tables))
    rows = {}
    for table in tables:
        for row in table.to_pylist():
            rows[row["name"]] = row
    largest = sorted(rows.values(), key=lambda row: (-row["memory"], row["name"]))
    return kernels, largest[:caches], tables[-1].schema


def moments(count, hours):
    """When hosts are read, `hours` apart."""
    return [END - datetime.timedelta(hours=hours * back) for back in reversed(range(count))]


def readings(number, kernels, caches, times):
    """The readings of host `number`: for each moment its time and its rows."""
    rng = random.Random(number)
    name = f"host-{number:04}"
    scale = rng.lognormvariate(0, 0.5)
    upgrade = rng.choice([0, len(times), rng.randrange(1, max(2, len(times)))])
    leaking = rng.choice(caches[:40])["name"] if rng.random() < 0.1 else None
    drifts = {row["name"]: random.Random(row["name"]).uniform(-0.2, 0.5) for row in caches}
    for at, time in enumerate(times):
        part = at / max(1, len(times) - 1)
        upgraded = at >= upgrade
        rows = []
        for row in caches:
            factor = scale * (1 + drifts[row["name"]] * part) * rng.uniform(0.95, 1.05)
            if upgraded:
                factor *= 1 + drifts[row["name"]] / 2
            if row["name"] == leaking:
                factor *= 1 + 8 * part
            held = max(1, row["slabs"])
            slabs = int(row["slabs"] * factor)
            objects = slabs * (row["objects"] // held)
            rows.append({
                **row,
                "host": name,
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "kernel": kernels[-1 if upgraded else 0],
                "slabs": slabs,
                "objects": objects,
                "active": int(objects * rng.uniform(0.6, 1)),
                "memory": slabs * (row["memory"] // held),
            })
        yield time, rows


def main():
    import pyarrow
    import pyarrow.parquet

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("seed", nargs="+")
    for option, default in [("hosts", 100), ("caches", 240), ("moments", 20), ("hours", 12)]:
        options.add_argument(f"--{option}", type=int, default=default)
    given = options.parse_args()
    kernels, caches, schema = seeds(given.seed, given.caches)
    for number in range(given.hosts):
        for time, rows in readings(number, kernels, caches, moments(given.moments, given.hours)):
            place = given.folder / f"host={rows[0]['host']}" / f"date={time:%F}"
            place.mkdir(parents=True, exist_ok=True)
            table = pyarrow.Table.from_pylist(rows, schema)
            pyarrow.parquet.write_table(table, place / f"{time:%H%M%S}.parquet", compression="none")


if __name__ == "__main__":
    main()
