//! Shows what was allocated during a trace and is still in use: `slabql leak`. Where nothing can be traced it shows what
//! grew meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use query::output::{Output, OutputColumn};
use query::suggest;
use query::syntax::ast::Sample;
use query::syntax::{TokenKind, lex, quoted};
use query::value::{Type, Unit, Value};

use super::meanwhile::pause;
use crate::engine::Ask;
use crate::features::whatis;
use crate::report::error::Failure;

/// How long it takes if nothing is said.
const DEFAULT: Duration = Duration::from_secs(10);

/// What to look for.
pub struct Leak {
    /// The cache; all where none is named.
    cache: Option<String>,
    duration: Duration,
    /// Of so many objects one is followed.
    one_of: u32,
    /// What there is to say of the cache.
    pub note: Option<String>,
}

impl Leak {
    /// Reads `words`: a cache, a duration and a sample, each if it is there.
    pub fn of(ask: &mut dyn Ask, words: &[&str]) -> Result<Self, Failure> {
        let (words, one_of) = sampled(words)?;
        let (mut cache, mut duration) = (None, None);
        for word in words {
            let place = match lasts(word) {
                Some(time) if time.is_zero() => {
                    let help = "the shortest trace is `1ms`";
                    return Err(Failure::command("a trace cannot last no time", Some(help)));
                }
                Some(time) => duration.replace(time).is_some(),
                None => cache.replace(*word).is_some(),
            };
            if place {
                let help = "`leak`, `leak dentry`, `leak 30s`, `leak dentry 30s sample 16`";
                let message = format!("`{word}` is one word too many");
                return Err(Failure::command(message, Some(help)));
            }
        }
        let found = cache.map(|cache| find(ask, cache)).transpose()?;
        let note = match (cache, &found) {
            (Some(asked), Some(found)) if asked != found => {
                Some(format!("`{asked}` was merged into `{found}`: objects of both are counted"))
            }
            _ => None,
        };
        Ok(Self { cache: found, duration: duration.unwrap_or(DEFAULT), one_of, note })
    }

    /// The statement that traces it. Where the kernel does not tell what is in use, it shows what no event freed.
    #[must_use]
    pub fn query(&self, ask: &dyn Ask) -> String {
        let state = if whatis::knows_use(ask) { "held" } else { "unconfirmed" };
        let condition = self
            .cache
            .as_ref()
            .map_or_else(String::new, |cache| format!(" and name = {}", quoted(cache)));
        let millis = self.duration.as_millis();
        format!(
            "trace {millis}ms sample {} select name, site, count(*) as held, sum(bytes_alloc) as bytes, \
             sum(bytes_alloc) / max(elapsed) as bytes_per_second, \
             sum(bytes_alloc) * 86400 / max(elapsed) as bytes_per_day, \
             round(max(age) / 1000000000.0, 3) as oldest_seconds \
             from allocations where state = '{state}'{condition} group by name, site order by max(age) desc",
            self.one_of,
        )
    }

    /// What grew meanwhile, by name of cache alone, what grew most first. Objects that are free but kept ready count as
    /// well where the source cannot tell them apart.
    pub fn grown(&self, ask: &mut dyn Ask) -> Result<Output, Failure> {
        let before = figures(ask)?;
        let seconds = pause(self.duration)?.as_secs_f64().max(0.001);
        let after = figures(ask)?;
        let mut grown = Vec::new();
        for (name, now) in after {
            let was = before.get(&name).copied().unwrap_or_default();
            let [objects, bytes] = [0, 1].map(|at| now[at] - was[at]);
            let wanted = self.cache.as_ref().is_none_or(|cache| *name == *cache.as_bytes());
            if wanted && (objects > 0 || bytes > 0) {
                grown.push((bytes, objects, name));
            }
        }
        grown.sort_by(|left, right| right.cmp(left));
        let row = |(bytes, objects, name): (i64, i64, Box<[u8]>)| {
            #[allow(clippy::cast_precision_loss)] // a rate is a double
            let each = |time: f64| Value::real(bytes as f64 * time / seconds);
            vec![
                Value::text(name),
                Value::Int(objects),
                Value::Int(bytes),
                each(1.0),
                each(86_400.0),
            ]
        };
        let columns = [
            ("name", Type::Text, Unit::None),
            ("objects", Type::Int, Unit::Count),
            ("bytes", Type::Int, Unit::Bytes),
            ("bytes_per_second", Type::Float, Unit::Bytes),
            ("bytes_per_day", Type::Float, Unit::Bytes),
        ];
        let columns = columns.map(|(name, ty, unit)| OutputColumn::new(name, ty, unit));
        let rows = grown.into_iter().map(row).collect();
        Ok(Output { columns: columns.into(), rows, warnings: Vec::new() })
    }
}

/// Objects and bytes by the names of caches.
fn figures(ask: &mut dyn Ask) -> Result<HashMap<Box<[u8]>, [i64; 2]>, Failure> {
    let query = "select name, coalesce(active, active_slabinfo), memory from caches";
    let mut figures: HashMap<Box<[u8]>, [i64; 2]> = HashMap::new();
    for row in ask.ask(query)?.rows {
        if let [Value::Text(name), objects, memory] = row.as_slice() {
            let number =
                |value: &Value| i64::try_from(value.integer().unwrap_or(0)).unwrap_or(i64::MAX);
            let sum = figures.entry(name.clone()).or_default();
            sum[0] += number(objects);
            sum[1] += number(memory);
        }
    }
    Ok(figures)
}

/// The words before `sample 16`, and of how many objects one is followed. A cache may be called `sample`.
fn sampled<'a, 'b>(words: &'a [&'b str]) -> Result<(&'a [&'b str], u32), Failure> {
    let [before @ .., "sample", word] = words else { return Ok((words, 1)) };
    if lasts(word).is_some() {
        return Ok((words, 1));
    }
    let one_of = match token(word) {
        Some(TokenKind::Int(one_of)) => Sample::checked(one_of),
        _ => Err(format!("`{word}` is not a whole number")),
    };
    let one_of = one_of.map_err(|wrong| Failure::command(wrong, Some(Sample::HELP)))?;
    Ok((before, one_of))
}

/// The duration that a word is.
fn lasts(word: &str) -> Option<Duration> {
    match token(word) {
        Some(TokenKind::Duration(time)) => Some(time),
        _ => None,
    }
}

/// The only token of a word.
fn token(word: &str) -> Option<TokenKind> {
    match <[_; 1]>::try_from(lex(word).unwrap_or_default()) {
        Ok([token]) => Some(token.kind),
        Err(_) => None,
    }
}

/// The name of the cache of this name or alias.
fn find(ask: &mut dyn Ask, cache: &str) -> Result<String, Failure> {
    let caches = ask.ask("select name, aliases from caches")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut names = Vec::new();
    let mut merged = None;
    for row in &caches.rows {
        let Some(Value::Text(name)) = row.first() else { continue };
        names.push(text(name));
        if let Some(Value::List(aliases)) = row.get(1) {
            if aliases.iter().any(|alias| **alias == *cache.as_bytes()) {
                merged = Some(text(name));
            }
            names.extend(aliases.iter().map(|alias| text(alias)));
        }
    }
    let own = caches.rows.iter().any(|row| row.first() == Some(&Value::text(cache)));
    if let Some(found) = own.then(|| cache.to_owned()).or(merged) {
        return Ok(found);
    }
    let near = suggest::nearest(cache, names.iter().map(String::as_str));
    let help = near.map(suggest::question);
    Err(Failure::command(format!("there is no cache `{cache}`"), help.as_deref()))
}
