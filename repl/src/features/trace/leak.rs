//! Writes the query that shows what was allocated during a trace and is still in use: `slabql leak`.

use std::time::Duration;

use query::suggest;
use query::syntax::{TokenKind, lex};
use query::value::Value;

use crate::engine::Ask;
use crate::report::error::Failure;

/// How long it takes if nothing is said.
const DEFAULT: Duration = Duration::from_secs(10);

/// The statement for `words`, a cache and a duration, each if it is there.
pub fn query(ask: &mut dyn Ask, words: &[&str]) -> Result<String, Failure> {
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
            let help = "`leak`, `leak dentry`, `leak 30s`, `leak dentry 30s`";
            let message = format!("`{word}` is one word too many");
            return Err(Failure::command(message, Some(help)));
        }
    }
    let condition = match cache {
        None => String::new(),
        Some(cache) => {
            exists(ask, cache)?;
            format!(" and name = '{}'", cache.replace('\'', "''"))
        }
    };
    let duration = duration.unwrap_or(DEFAULT);
    let (millis, seconds) = (duration.as_millis(), duration.as_secs_f64());
    Ok(format!(
        "trace {millis}ms select name, site, count(*) as held, sum(bytes_alloc) as bytes, \
         sum(bytes_alloc) * {} as bytes_per_second, sum(bytes_alloc) * {} as bytes_per_day, \
         round(max(age) / 1000000000.0, 3) as oldest_seconds \
         from allocations where state = 'held'{condition} group by name, site order by max(age) desc",
        1.0 / seconds,
        86_400.0 / seconds,
    ))
}

/// The duration that a word is.
fn lasts(word: &str) -> Option<Duration> {
    match lex(word).unwrap_or_default().as_slice() {
        [token] => match token.kind {
            TokenKind::Duration(time) => Some(time),
            _ => None,
        },
        _ => None,
    }
}

/// Fails if there is no such cache.
fn exists(ask: &mut dyn Ask, cache: &str) -> Result<(), Failure> {
    let caches = ask.ask("select name from caches")?;
    let names: Vec<String> = caches
        .rows
        .iter()
        .filter_map(|row| match row.as_slice() {
            [Value::Text(name)] => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        })
        .collect();
    if names.iter().any(|name| name == cache) {
        return Ok(());
    }
    let near = suggest::nearest(cache, names.iter().map(String::as_str));
    let help = near.map(suggest::question);
    Err(Failure::command(format!("there is no cache `{cache}`"), help.as_deref()))
}
