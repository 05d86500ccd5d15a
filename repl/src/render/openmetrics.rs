//! Writes metrics: `OpenMetrics` 1.0 that is also valid in the text format of Prometheus.
//!
//! ```text
//! # HELP slabql_caches_memory_bytes The memory of all slabs.
//! # TYPE slabql_caches_memory_bytes gauge
//! # UNIT slabql_caches_memory_bytes bytes
//! slabql_caches_memory_bytes{name="dentry"} 59527168
//! # EOF
//! ```
//!
//! # Layout
//!
//! Each column of numbers is a gauge: `slabql`, the table, the column and the unit make its name. All other columns are
//! labels, and so are numbers that tell rows apart, and addresses, whose sums and means tell nothing. NULL is a sample, or a
//! label, that is not there.
//!
//! | unit | metric |
//! |---|---|
//! | bytes | `…_bytes` |
//! | percent, bar | `…_ratio`, of 1 |
//! | truth | 0 or 1 |
//! | others | no unit |
//!
//! Labels are as in JSON ([`text_to_json`](super::text_to_json)), but characters that could steer a terminal are written
//! as bytes too, `\xNN`.
//!
//! # Invariants
//!
//! No two samples of a metric have the same labels, for Prometheus would drop the whole file; such an answer is refused.
//! Node exporter's textfile collector takes neither timestamps nor types that the older format lacks: there are none.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{self, Registry};
use query::escape::is_hazard;
use query::output::OutputColumn;
use query::value::{Type, Unit, Value};

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::json::{text_without, unique_names};
use super::unit::plain;
use crate::report::error::refuse;
use crate::report::escape::printable;

/// What `openmetrics` is.
pub static OPENMETRICS: FormatRow = FormatRow {
    name: "openmetrics",
    endings: &["prom", "openmetrics"],
    help: "metrics for Prometheus: a gauge per number, labels of the other columns",
    for_people: false,
    capacity: Capacity::One,
    stacks_only: false,
    begin: |frame, _| Ok(Box::new(Metrics::new(frame)?)),
};

/// Endings that mean another type of metric to Prometheus.
const RESERVED: [&str; 6] = ["bucket", "count", "created", "info", "sum", "total"];

/// The rows so far: all samples of a metric stand together, so they are written at the end.
#[derive(Debug)]
struct Metrics {
    gauges: Vec<Gauge>,
    /// The name of each label, and its column.
    labels: Vec<(String, usize)>,
    rows: Vec<(Labels, Vec<Value>)>,
}

type Labels = Vec<(String, String)>;

/// A column of numbers.
#[derive(Debug)]
struct Gauge {
    name: String,
    help: String,
    unit: Option<registry::Unit>,
    column: usize,
    /// Whether its values are hundredths.
    is_percent: bool,
}

impl Metrics {
    fn new(frame: &Frame) -> io::Result<Self> {
        let is_metric = |column: &OutputColumn| {
            let is_label = column.identifies || column.unit == Unit::Hex;
            !is_label && (column.ty.is_number() || column.ty == Type::Bool)
        };
        let columns = || frame.columns.iter().enumerate();
        let metrics = columns().filter(|(_, column)| is_metric(column));
        let mut metrics: Vec<_> =
            metrics.map(|(at, column)| Gauge::new(at, column, frame.options.table)).collect();
        if metrics.is_empty() {
            let help = "select a number as well: `select name, memory`";
            return Err(refuse("metrics are numbers, and the query has none", help));
        }
        let mut taken = HashSet::new();
        for metric in &mut metrics {
            let name = metric.name.clone();
            let mut number = 2_u32;
            while !taken.insert(metric.full_name()) {
                metric.name = format!("{name}_{number}");
                number += 1;
            }
        }
        let labels = columns().filter(|(_, column)| !is_metric(column));
        let labels: Vec<_> = labels.map(|(at, column)| (word(&column.name), at)).collect();
        let names = unique_names(labels.iter().map(|(name, _)| name.as_str()));
        let labels = names.into_iter().zip(labels.iter().map(|(_, at)| *at)).collect();
        Ok(Self { gauges: metrics, labels, rows: Vec::new() })
    }

    /// Whether two samples of a metric would have the same labels, and which.
    fn repeated(&self) -> Option<&Labels> {
        self.gauges.iter().enumerate().find_map(|(at, _)| {
            let mut seen = HashSet::new();
            let samples = self.rows.iter().filter(|(_, values)| values[at] != Value::Null);
            samples.map(|(labels, _)| labels).find(|labels| !seen.insert(*labels))
        })
    }
}

impl Gauge {
    fn new(at: usize, column: &OutputColumn, table: Option<&str>) -> Self {
        let unit = match column.unit {
            Unit::Bytes => Some("bytes"),
            Unit::Percent | Unit::Bar => Some("ratio"),
            Unit::None | Unit::Count | Unit::Hex | Unit::Spark | Unit::Buckets | Unit::Stack => {
                None
            }
        };
        let second = column.per_second.then_some("per_second");
        let unit: Vec<&str> = unit.into_iter().chain(second).collect();
        let unit = (!unit.is_empty()).then(|| unit.join("_"));

        let table = table.map(|table| format!("_{table}")).unwrap_or_default();
        let mut name = format!("slabql{table}_{}", word(&column.name));
        match &unit {
            // The unit is written behind the name.
            Some(unit) => {
                let without = name.strip_suffix(unit.as_str()).and_then(|n| n.strip_suffix('_'));
                if let Some(without) = without {
                    name.truncate(without.len());
                }
            }
            None if RESERVED.iter().any(|end| name.ends_with(&format!("_{end}"))) => {
                name.push_str("_value");
            }
            None => {}
        }
        let help = column.doc.clone().unwrap_or_else(|| format!("`{}` of the query.", column.name));
        // The two formats escape different characters in a help text.
        let help = printable(help.as_bytes()).replace('"', "'").replace('\\', "/");
        Self {
            name,
            help,
            unit: unit.map(registry::Unit::Other),
            column: at,
            is_percent: column.unit == Unit::Percent,
        }
    }

    /// The name with the unit behind it, as it is written.
    fn full_name(&self) -> String {
        let unit = self.unit.iter().map(|unit| format!("_{}", unit.as_str()));
        self.name.clone() + &unit.collect::<String>()
    }
}

/// A heading as a part of a name: small letters and digits, with `_` for whatever lies between them.
fn word(heading: &str) -> String {
    let heading = heading.to_ascii_lowercase();
    let words = heading.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let word = words.collect::<Vec<_>>().join("_");
    // A name neither is empty nor begins with a digit.
    if word.starts_with(|c: char| c.is_ascii_alphabetic()) {
        word
    } else {
        format!("column_{word}")
    }
}

impl Rows for Metrics {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], _: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            let labels = self.labels.iter().filter_map(|(name, at)| {
                let value = plain(&row[*at], &frame.columns[*at])?;
                Some((name.clone(), text_without(&value, is_hazard)))
            });
            // One that is empty is the same as none.
            let labels = labels.filter(|(_, value)| !value.is_empty()).collect();
            let values = self.gauges.iter().map(|metric| row[metric.column].clone()).collect();
            self.rows.push((labels, values));
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Frame, out: &mut dyn Write) -> io::Result<()> {
        if let Some(labels) = self.repeated() {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            return Err(refuse(
                format!("two rows have the labels {{{}}}", labels.join(",")),
                "select a column that tells the rows apart, such as `addr`, or make one row of them with `group by`",
            ));
        }
        let mut registry = Registry::default();
        registry.register_collector(self);
        let mut written = String::new();
        text::encode(&mut written, &registry).map_err(io::Error::other)?;
        out.write_all(written.as_bytes())
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (at, Gauge { name, help, unit, is_percent, .. }) in self.gauges.iter().enumerate() {
            let mut samples =
                self.rows.iter().filter(|(_, values)| values[at] != Value::Null).peekable();
            if samples.peek().is_none() {
                continue;
            }
            let mut metric =
                encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for (labels, values) in samples {
                let mut sample = metric.encode_family(labels)?;
                match &values[at] {
                    Value::Bool(value) => sample.encode_gauge(&u32::from(*value))?,
                    value if *is_percent => {
                        sample.encode_gauge(&(value.float().ok_or(fmt::Error)? / 100.0))?;
                    }
                    Value::Int(value) => sample.encode_gauge(value)?,
                    Value::UInt(value) => sample.encode_gauge(value)?,
                    value => sample.encode_gauge(&value.float().ok_or(fmt::Error)?)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use query::output::Output;

    use super::super::fixture::{answer, column, extremes, nasty_texts, rendered_with};
    use super::super::{Options, render, text_from_json};
    use super::*;
    use crate::report::error::refusal;

    fn text(output: &Output) -> String {
        let options = Options { table: Some("caches"), ..Options::default() };
        String::from_utf8(rendered_with(&OPENMETRICS, output, options)).unwrap()
    }

    /// Name, labels, value.
    type Sample = (String, Labels, String);

    /// The samples of a text.
    fn samples(text: &str) -> Vec<Sample> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| sample(line).unwrap_or_else(|| panic!("{line}"))).collect()
    }

    fn sample(line: &str) -> Option<Sample> {
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let mut labels = Vec::new();
        let mut rest = rest.strip_prefix('{').unwrap_or(rest);
        while !rest.starts_with(' ') {
            let (label, value) = rest.split_once("=\"")?;
            let mut text = String::new();
            let mut characters = value.char_indices();
            let end = loop {
                match characters.next()? {
                    (at, '"') => break at + 1,
                    (_, '\\') => text.push(match characters.next()?.1 {
                        'n' => '\n',
                        same @ ('\\' | '"') => same,
                        _ => return None,
                    }),
                    (_, other) => text.push(other),
                }
            };
            labels.push((label.to_owned(), text));
            rest = value[end..].strip_prefix([',', '}'])?;
        }
        Some((name.to_owned(), labels, rest[1..].to_owned()))
    }

    #[test]
    fn columns_are_gauges_and_labels() {
        let names = vec![Value::text("a"), Value::text("b")];
        let mut output = answer(vec![
            ("name", Type::Text, Unit::None, names),
            ("memory", Type::UInt, Unit::Bytes, vec![Value::UInt(8192), Value::Null]),
            ("utilization", Type::Float, Unit::Percent, vec![Value::Float(12.5), Value::UInt(100)]),
            ("addr", Type::UInt, Unit::Hex, vec![Value::UInt(255), Value::Null]),
            ("count(*)", Type::UInt, Unit::Count, vec![Value::UInt(1), Value::UInt(2)]),
            ("complete", Type::Bool, Unit::None, vec![Value::Bool(true), Value::Bool(false)]),
            ("node", Type::UInt, Unit::None, vec![Value::UInt(0), Value::UInt(1)]),
        ]);
        output.columns[6].identifies = true;
        output.columns[1].doc = Some("Memory of all slabs.".to_owned());
        let expected = "\
# HELP slabql_caches_memory_bytes Memory of all slabs.
# TYPE slabql_caches_memory_bytes gauge
# UNIT slabql_caches_memory_bytes bytes
slabql_caches_memory_bytes{name=\"a\",addr=\"0xff\",node=\"0\"} 8192
# HELP slabql_caches_utilization_ratio `utilization` of the query.
# TYPE slabql_caches_utilization_ratio gauge
# UNIT slabql_caches_utilization_ratio ratio
slabql_caches_utilization_ratio{name=\"a\",addr=\"0xff\",node=\"0\"} 0.125
slabql_caches_utilization_ratio{name=\"b\",node=\"1\"} 1.0
# HELP slabql_caches_count_value `count(*)` of the query.
# TYPE slabql_caches_count_value gauge
slabql_caches_count_value{name=\"a\",addr=\"0xff\",node=\"0\"} 1
slabql_caches_count_value{name=\"b\",node=\"1\"} 2
# HELP slabql_caches_complete `complete` of the query.
# TYPE slabql_caches_complete gauge
slabql_caches_complete{name=\"a\",addr=\"0xff\",node=\"0\"} 1
slabql_caches_complete{name=\"b\",node=\"1\"} 0
# EOF
";
        assert_eq!(text(&output), expected);
    }

    #[test]
    fn every_digit_and_every_byte_survives() {
        let labels: Vec<_> = (0..6).map(|number| Value::text(number.to_string())).collect();
        let output = answer(vec![
            ("n", Type::Int, Unit::Count, extremes()),
            ("label", Type::Text, Unit::None, labels),
        ]);
        let values: Vec<_> = samples(&text(&output)).into_iter().map(|(.., value)| value).collect();
        let integers = extremes().into_iter().map(|value| value.integer().unwrap().to_string());
        assert_eq!(values, integers.collect::<Vec<_>>());

        let names: Vec<_> = nasty_texts();
        let ones = vec![Value::UInt(1); names.len()];
        let output = answer(vec![
            ("n", Type::UInt, Unit::Count, ones),
            ("name", Type::Text, Unit::None, names.clone()),
        ]);
        let text = text(&output);
        assert!(!text.chars().any(|c| c != '\n' && is_hazard(c)), "{text}");
        let samples = samples(&text);
        assert_eq!(samples.len(), names.len());
        for ((_, labels, _), name) in samples.iter().zip(&names) {
            let Value::Text(name) = name else { panic!("not a text") };
            let label = labels.first().map_or("", |(_, text)| text.as_str());
            assert_eq!(text_from_json(label).unwrap(), name.to_vec(), "{label}");
        }
    }

    #[test]
    fn flags_and_lists_are_labels() {
        let items = ["a", "b\"c"].map(|item| item.as_bytes().into()).to_vec();
        let mut output = answer(vec![
            ("flags", Type::SlabFlags, Unit::None, vec![Value::UInt(5)]),
            ("aliases", Type::List, Unit::None, vec![Value::List(items.into())]),
            ("n", Type::UInt, Unit::None, vec![Value::UInt(0)]),
        ]);
        output.columns[0].flag_names = Some([("A".to_owned(), 0)].into());
        let expected = "slabql_caches_n{flags=\"A|0x4\",aliases=\"a,b\\\"c\"} 0\n# EOF\n";
        assert!(text(&output).ends_with(expected), "{}", text(&output));
    }

    #[test]
    fn names_are_valid_and_differ() {
        for (heading, name) in [
            ("memory", "memory"),
            ("sum(memory) / 1024", "sum_memory_1024"),
            ("MiB", "mib"),
            ("99th", "column_99th"),
            ("日本", "column_"),
            ("__x", "x"),
        ] {
            assert_eq!(word(heading), name, "{heading}");
        }
        let bytes = |name| OutputColumn::new(name, Type::UInt, Unit::Bytes);
        let columns = vec![
            bytes("a"),
            bytes("A"),
            column("a_bytes"),
            bytes("b_bytes"),
            bytes("hit \\ \"x\"\n"),
            column("sum"),
        ];
        let rows = vec![vec![Value::UInt(7); 6]];
        let text = text(&Output { columns, rows, warnings: vec![] });
        let names: Vec<_> = samples(&text).into_iter().map(|(name, ..)| name).collect();
        let expected = ["a_bytes", "a_2_bytes", "a_bytes_2", "b_bytes", "hit_x_bytes", "sum_value"];
        assert_eq!(names, expected.map(|name| format!("slabql_caches_{name}")));
        assert!(
            text.contains("# HELP slabql_caches_hit_x_bytes `hit / 'x'/n` of the query.\n"),
            "{text}"
        );
    }

    #[test]
    fn what_metrics_cannot_say_is_refused() {
        let refused = |output: &Output| {
            let written = render(&OPENMETRICS, output, Options::default(), &mut Vec::new());
            refusal(&written.unwrap_err()).unwrap().message.clone()
        };
        let names = vec![Value::text("a"), Value::text("a")];
        let mut output = answer(vec![
            ("name", Type::Text, Unit::None, names.clone()),
            ("n", Type::UInt, Unit::Count, vec![Value::UInt(1), Value::UInt(2)]),
        ]);
        assert_eq!(refused(&output), "two rows have the labels {name=\"a\"}");
        // A sample that is not there repeats none.
        output.rows[1][1] = Value::Null;
        assert!(text(&output).ends_with("{name=\"a\"} 1\n# EOF\n"));
        let output = answer(vec![("name", Type::Text, Unit::None, names)]);
        assert_eq!(refused(&output), "metrics are numbers, and the query has none");
    }
}
