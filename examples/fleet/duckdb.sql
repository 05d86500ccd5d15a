-- Questions to the files of a fleet, for `duckdb`: run it in the folder that holds `fleet/`.

-- The readings: `host` and `date` are the names of folders, so a condition on them reads no other file.
create or replace view slabs as
select host, date, cast(time as timestamptz) as time, kernel, name, cast(memory as bigint) as memory
from read_parquet('fleet/*/*/*.parquet', hive_partitioning = true);

-- growth: which caches grew most this week, over the whole fleet?
with grown as (
    select host, name, arg_max(memory, time) - arg_min(memory, time) as growth
    from slabs
    where time >= (select max(time) from slabs) - interval 7 days
    group by host, name
)
select name, sum(growth) as growth, count(*) filter (where growth > 0) as hosts
from grown
group by name
order by growth desc, name
limit 10;

-- outliers: which hosts hold far more of a cache than others with the same kernel?
with latest as (
    select host, name, arg_max(kernel, time) as kernel, arg_max(memory, time) as memory
    from slabs
    group by host, name
), usual as (
    select kernel, name, median(memory) as usual from latest group by kernel, name
)
select kernel, name, host, memory, usual
from latest join usual using (kernel, name)
where memory > 3 * usual and memory > 16 * 1024 * 1024
order by memory - usual desc, name, host
limit 20;

-- upgrade: what do hosts that got another kernel hold since then, on average, and what did they hold before?
with upgraded as (
    select host, arg_min(kernel, time) as old, arg_max(kernel, time) as new
    from slabs
    group by host
    having old <> new
), means as (
    select name,
        avg(memory) filter (where kernel = old) as before,
        avg(memory) filter (where kernel = new) as after
    from slabs join upgraded using (host)
    group by name
)
select name, before, after
from means
order by abs(after - before) desc, name
limit 10;

-- p99: which caches are the largest in the worst one of a hundred readings?
select name, quantile_cont(memory, 0.99) as p99, max(memory) as most
from slabs
group by name
order by p99 desc, name
limit 10;
