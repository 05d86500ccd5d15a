//! Reads and writes intervals as the language has them: `250ms`, `2s`, `5m`, `1h`.

use std::time::Duration;

use query::syntax::{TokenKind, lex};

use crate::report::error::Failure;

/// The intervals that `+` and `-` go through, in milliseconds.
const STEPS: [u64; 12] =
    [50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000];

/// What is waited if nothing is said.
pub const DEFAULT: Duration = Duration::from_secs(2);

/// The interval that `word` is. A number alone counts seconds, as other prompts have it.
pub fn parse(word: &str) -> Result<Duration, Failure> {
    let tokens = lex(word).unwrap_or_default();
    let interval = match tokens.as_slice() {
        [token] => match token.kind {
            TokenKind::Duration(interval) => Some(interval),
            TokenKind::Int(seconds) => Some(Duration::from_secs(seconds)),
            TokenKind::Float(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            _ => None,
        },
        _ => None,
    };
    interval.filter(|interval| *interval >= Duration::from_millis(1)).ok_or_else(|| {
        let message = format!("`{word}` is not an interval");
        Failure::command(message, Some("write `500ms`, `2s`, `5m` or `1h`; at least `1ms`"))
    })
}

/// An interval as it is written.
#[must_use]
pub fn text(interval: Duration) -> String {
    let millis = interval.as_millis();
    match millis {
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// The interval behind `now` among those that a key steps through, or the one before it.
pub fn next(now: Duration, longer: bool) -> Option<Duration> {
    let mut steps = STEPS.map(Duration::from_millis).into_iter();
    if longer { steps.find(|step| *step > now) } else { steps.rfind(|step| *step < now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_and_written() {
        for word in ["250ms", "2s", "5m", "1ms", "1500ms", "1h", "90m"] {
            assert_eq!(text(parse(word).unwrap()), word);
        }
        assert_eq!(parse("2").unwrap(), Duration::from_secs(2));
        assert_eq!(parse("0.5").unwrap(), Duration::from_millis(500));
        for word in ["", "0", "0s", "1d", "-1", "1s 2s", "x", "4k", "1e30", "0.0001"] {
            assert!(parse(word).is_err(), "{word}");
        }
    }
}
