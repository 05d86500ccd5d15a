-- The same questions for ClickHouse.

-- The readings, with the columns of `record`, so that NDJSON, Arrow and Parquet go in as they are; `at` is made of `time`.
create table if not exists slabs
(
    host LowCardinality(String),
    time String,
    at DateTime('UTC') materialized parseDateTimeBestEffort(time),
    kernel LowCardinality(String),
    name LowCardinality(String),
    slabs Int64,
    objects Int64,
    active Int64,
    memory Int64
)
engine = MergeTree
partition by toMonday(at)
order by (name, host, at);

-- growth: which caches grew most this week, over the whole fleet?
with grown as (
    select host, name, argMax(memory, at) - argMin(memory, at) as growth
    from slabs
    where at >= (select max(at) from slabs) - interval 7 day
    group by host, name
)
select name, sum(growth) as growth, countIf(grown.growth > 0) as hosts
from grown
group by name
order by growth desc, name
limit 10;

-- outliers: which hosts hold far more of a cache than others with the same kernel?
with latest as (
    select host, name, argMax(kernel, at) as kernel, argMax(memory, at) as memory
    from slabs
    group by host, name
), usual as (
    select kernel, name, quantileExactInclusive(0.5)(memory) as usual from latest group by kernel, name
)
select kernel, name, host, memory, usual
from latest join usual using (kernel, name)
where memory > 3 * usual and memory > 16 * 1024 * 1024
order by memory - usual desc, name, host
limit 20;

-- upgrade: what do hosts that got another kernel hold since then, on average, and what did they hold before?
with upgraded as (
    select host, argMin(kernel, at) as old, argMax(kernel, at) as new
    from slabs
    group by host
    having old <> new
), means as (
    select name, avgIf(memory, kernel = old) as before, avgIf(memory, kernel = new) as after
    from slabs join upgraded using (host)
    group by name
)
select name, before, after
from means
order by abs(after - before) desc, name
limit 10;

-- p99: which caches are the largest in the worst one of a hundred readings?
select name, quantileExactInclusive(0.99)(memory) as p99, max(memory) as most
from slabs
group by name
order by p99 desc, name
limit 10;
