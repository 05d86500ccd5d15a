//! Draws an answer: a bar a row, a line through its rows, or how its values are distributed; as text or as SVG.
//!
//! ```text
//! ext4_inode_cache  167.2 MiB  ██████████████████████████████
//! radix_tree_node    83.1 MiB  ██████████████▉
//! dentry             56.8 MiB  ██████████▏
//! ```
//!
//! Nothing is told by colour, so none is used. Bars of a picture are those of the format `svg`.

use std::io::{self, Write};

use query::aggregate;
use query::output::{Output, OutputColumn};
use query::suggest;
use query::value::{Type, Unit, Value};

use crate::render::{self, Options, bar, shown, width};
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::terminal::cut;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bar a row.
    Bar,
    /// A line through the rows, in their order.
    Line,
    /// A bar for each power of two, as long as there are values.
    Hist,
}

impl Kind {
    /// The kind of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "bar" => Some(Self::Bar),
            "line" => Some(Self::Line),
            "hist" => Some(Self::Hist),
            _ => None,
        }
    }
}

/// The most rows that have a bar in a text.
const BARS: usize = 40;
/// The columns on screen of the longest label, and of the longest bar.
const LABEL: usize = 32;
const LONGEST: usize = 60;
/// The lines that a line is drawn in, and the columns that it takes at most.
const HIGH: usize = 12;
const WIDE: usize = 100;
/// The columns from one point of a line to the next, where there is room.
const STEP: usize = 8;

/// An answer to draw.
pub struct Chart {
    kind: Kind,
    /// What a bar or a point stands for, and its value.
    points: Vec<(String, Value)>,
    /// The column of the values.
    column: OutputColumn,
}

impl Chart {
    /// Takes the values of a column, of the one that the answer is `sorted` by, or of its first one of numbers.
    pub fn new(
        kind: Kind,
        answer: &Output,
        column: Option<&str>,
        sorted: Option<usize>,
    ) -> Result<Self, Failure> {
        let columns = &answer.columns;
        let draws = |column: &OutputColumn| {
            column.ty.is_number() && column.unit != Unit::Hex && !column.identifies
        };
        let is_histogram = |column: &OutputColumn| column.unit == Unit::Buckets;
        // One that the query made is drawn as it is.
        if let (Kind::Hist, None, [row]) = (kind, column, answer.rows.as_slice())
            && let Some(at) = columns.iter().position(is_histogram)
            && let Value::List(list) = &row[at]
        {
            return Ok(Self::of_buckets(aggregate::buckets_of(list)));
        }
        let at = match column {
            Some(name) => {
                let there = columns.iter().position(|column| column.name == name);
                let at = there.ok_or_else(|| {
                    let names = columns.iter().map(|column| column.name.as_str());
                    let help = suggest::help(name, names);
                    let message = format!("the last answer has no column `{name}`");
                    Failure::command(message, help.as_deref())
                })?;
                if !columns[at].ty.is_number() {
                    let message = format!("`{name}` has no numbers to draw");
                    return Err(Failure::command(message, None));
                }
                Some(at)
            }
            None => sorted
                .filter(|at| columns.get(*at).is_some_and(draws))
                .or_else(|| columns.iter().position(draws)),
        };
        let at = at.ok_or_else(|| {
            let help = Some("for example `select name, memory order by memory desc limit 10;`");
            Failure::command("the last answer has no numbers to draw", help)
        })?;
        let values = answer.rows.iter().map(|row| &row[at]);
        if kind == Kind::Hist {
            let numbers = values.filter(|value| value.float().is_some());
            return Ok(Self::of_buckets(aggregate::buckets(numbers)));
        }
        let label = columns.iter().position(|column| !column.ty.is_number());
        let label = label.or_else(|| (0..columns.len()).find(|label| *label != at));
        let points = answer.rows.iter().enumerate().map(|(number, row)| {
            let text = label.and_then(|at| shown(&row[at], &columns[at], &Options::default()));
            (text.unwrap_or_else(|| format!("row {}", number + 1)), row[at].clone())
        });
        Ok(Self { kind, points: points.collect(), column: columns[at].clone() })
    }

    /// A bar a bucket.
    fn of_buckets(buckets: Vec<(String, u64)>) -> Self {
        let points = buckets.into_iter().map(|(bucket, count)| (bucket, Value::UInt(count)));
        let column = OutputColumn::new("rows", Type::UInt, Unit::Count);
        Self { kind: Kind::Hist, points: points.collect(), column }
    }

    /// The drawing, no wider than the terminal.
    #[must_use]
    pub fn text(&self, options: &Options, columns: usize) -> String {
        let text_of = |value: &Value| {
            shown(value, &self.column, options).unwrap_or_else(|| options.null.clone())
        };
        if self.points.is_empty() {
            return "there is nothing to draw: the answer has no values\n".to_owned();
        }
        match self.kind {
            Kind::Line => {
                let numbers: Vec<_> = self.points.iter().map(|(_, value)| value.float()).collect();
                line(&numbers, &self.column, options, columns)
            }
            Kind::Bar | Kind::Hist => {
                let rows = &self.points[..self.points.len().min(BARS)];
                let of =
                    |(label, of): &(String, Value)| (cut(label, LABEL).into_owned(), text_of(of));
                let texts: Vec<(String, String)> = rows.iter().map(of).collect();
                let [label, number] = [0, 1].map(|at| {
                    let text = |(label, value): &(String, String)| width([label, value][at]);
                    texts.iter().map(text).max().unwrap_or_default()
                });
                let room = columns.saturating_sub(label + number + 5).clamp(8, LONGEST);
                let numbers = rows.iter().filter_map(|(_, value)| value.float());
                let top = numbers.fold(0.0, f64::max);
                let mut text = String::new();
                for ((name, shown), (_, value)) in texts.iter().zip(rows) {
                    let part = value.float().filter(|number| *number > 0.0).map(|n| n / top);
                    let drawn = part.map_or(String::new(), |part| bar(part, room));
                    let gap = |text: &str, wide: usize| " ".repeat(wide - width(text));
                    let line = format!(
                        "{name}{}  {}{shown}  {drawn}",
                        gap(name, label),
                        gap(shown, number)
                    );
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
                if rows.len() < self.points.len() {
                    let [all, some] = [self.points.len(), rows.len()].map(|n| options.count(n));
                    text.push_str(&format!("{all} rows ({some} shown)\n"));
                }
                text
            }
        }
    }

    /// The drawing as a page that needs nothing else.
    pub fn html(&self, options: Options, out: &mut dyn Write) -> io::Result<()> {
        let name = render::escaped(&printable(self.column.name.as_bytes()));
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>slabql: {name}</title>\n<style>body{{margin:1em}}svg{{max-width:100%;height:auto}}</style>\n\
             </head>\n<body>\n"
        )?;
        self.svg(options, out)?;
        out.write_all(b"</body>\n</html>\n")
    }

    /// The drawing as an image.
    pub fn svg(&self, options: Options, out: &mut dyn Write) -> io::Result<()> {
        if self.kind == Kind::Line {
            let numbers: Vec<_> = self.points.iter().map(|(_, value)| value.float()).collect();
            return line_svg(&numbers, &self.column, &options, out);
        }
        let label = if self.kind == Kind::Hist { "range" } else { "name" };
        let columns = vec![OutputColumn::new(label, Type::Text, Unit::None), self.column.clone()];
        let rows = self.points.iter().map(|(label, value)| vec![Value::text(label), value.clone()]);
        let output = Output { columns, rows: rows.collect(), warnings: Vec::new() };
        let options = Options { ascii: false, color: false, ..options };
        let svg = render::of_name("svg").expect("there is such a format");
        render::render(svg, &output, options, out)
    }
}

/// The least and the greatest number.
fn range(numbers: &[Option<f64>]) -> (f64, f64) {
    let all = || numbers.iter().flatten().copied();
    (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max))
}

/// A number as the column's values are shown.
fn labelled(number: f64, column: &OutputColumn, options: &Options) -> String {
    let column = OutputColumn { ty: Type::Float, ..column.clone() };
    shown(&Value::real(number), &column, options).unwrap_or_default()
}

/// What a line through numbers has at one of so many dots: the numbers that share it, or what lies between two of them.
#[allow(clippy::cast_precision_loss)] // dots
fn at_dot(numbers: &[Option<f64>], x: usize, dots: usize) -> Vec<Option<f64>> {
    let count = numbers.len();
    if count >= dots {
        return numbers[x * count / dots..(x + 1) * count / dots].to_vec();
    }
    let (at, rest) = (x * (count - 1) / (dots - 1), x * (count - 1) % (dots - 1));
    if rest == 0 {
        return vec![numbers[at]];
    }
    let part = rest as f64 / (dots - 1) as f64;
    let between = numbers[at].zip(numbers[at + 1]);
    vec![between.map(|(from, to)| from + (to - from) * part)]
}

/// A line through numbers, in dots of braille, or where only ASCII is shown in stars.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // dots
fn line(
    numbers: &[Option<f64>],
    column: &OutputColumn,
    options: &Options,
    columns: usize,
) -> String {
    let (low, high) = range(numbers);
    if low > high {
        return "there is nothing to draw: the answer has no values\n".to_owned();
    }
    let [above, below] = [high, low].map(|number| labelled(number, column, options));
    let label = width(&above).max(width(&below));
    // Dots of a character: two wide and four high.
    let (across, down) = if options.ascii { (1, 1) } else { (2, 4) };
    let wide = columns.saturating_sub(label + 3).clamp(8, WIDE);
    let lines = HIGH * down;
    // Of few numbers each has its room, and the line goes straight from one to the next.
    let stretched = numbers.len().saturating_sub(1) * STEP * across + 1;
    let wide = wide.min(stretched.div_ceil(across));
    let dots = wide * across;
    let level = |number: f64| {
        let part = if high > low { (number - low) / (high - low) } else { 0.0 };
        lines - 1 - (part * (lines - 1) as f64).round() as usize
    };
    let mut cells = vec![vec![0_u8; wide]; HIGH];
    let mut before: Option<(usize, usize)> = None;
    for x in 0..dots.min(stretched) {
        let (least, most) = range(&at_dot(numbers, x, dots.min(stretched)));
        if least > most {
            before = None;
            continue;
        }
        let (top, bottom) = (level(most), level(least));
        // What lies between two points is joined.
        let from = before.map_or(top, |(_, below)| top.min(below + 1));
        let to = before.map_or(bottom, |(above, _)| bottom.max(above.saturating_sub(1)));
        for dot in from..=to {
            cells[dot / down][x / across] |= 1 << (dot % down * across + x % across);
        }
        before = Some((top, bottom));
    }
    let mut text = String::new();
    for (row, cells) in cells.iter().enumerate() {
        let name = match row {
            0 => above.as_str(),
            row if row == HIGH - 1 => below.as_str(),
            _ => "",
        };
        let drawn: String = cells.iter().map(|dots| glyph(*dots, options.ascii)).collect();
        let gap = " ".repeat(label - width(name));
        text.push_str(format!("{gap}{name} | {drawn}").trim_end());
        text.push('\n');
    }
    let rows = options.count(numbers.len());
    text + &format!("{:label$}   {}, {rows} rows\n", "", printable(column.name.as_bytes()))
}

/// The character with these dots, of which the lowest bits are the upper ones.
fn glyph(dots: u8, ascii: bool) -> char {
    // Braille counts the dots down the left side, then down the right one, and the lowest two last.
    const BITS: [u32; 8] = [0, 3, 1, 4, 2, 5, 6, 7];
    if ascii {
        return if dots == 0 { ' ' } else { '*' };
    }
    let bits = (0..8).filter(|bit| dots & (1 << bit) != 0).map(|bit: usize| 1 << BITS[bit]);
    match bits.sum::<u32>() {
        0 => ' ',
        bits => char::from_u32(0x2800 + bits).unwrap_or(' '),
    }
}

/// A line through numbers as an image.
#[allow(clippy::cast_precision_loss)] // pixels
fn line_svg(
    numbers: &[Option<f64>],
    column: &OutputColumn,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    const SIZE: (f64, f64) = (640.0, 240.0);
    let (low, high) = range(numbers);
    let point = |(at, number): (usize, &Option<f64>)| {
        let number = (*number)?;
        let x = SIZE.0 * at as f64 / (numbers.len() - 1).max(1) as f64;
        let part = if high > low { (number - low) / (high - low) } else { 0.0 };
        Some(format!("{:.1},{:.1}", 10.0 + x, 30.0 + SIZE.1 * (1.0 - part)))
    };
    let points: Vec<String> = numbers.iter().enumerate().filter_map(point).collect();
    let (wide, high_) = (SIZE.0 + 20.0, SIZE.1 + 60.0);
    let label = |number: f64| {
        if number.is_finite() { labelled(number, column, options) } else { String::new() }
    };
    let name = render::escaped(&printable(column.name.as_bytes()));
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high_:.0}\" \
         viewBox=\"0 0 {wide:.0} {high_:.0}\" font-family=\"monospace\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\">{}</text>\n\
         <text x=\"10\" y=\"{:.0}\">{}   {name}, {} rows</text>\n\
         <polyline fill=\"none\" stroke=\"#48c\" stroke-width=\"2\" points=\"{}\"/>\n</svg>",
        render::escaped(&label(high)),
        SIZE.1 + 50.0,
        render::escaped(&label(low)),
        options.count(numbers.len()),
        points.join(" "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(values: &[Option<u64>]) -> Output {
        let columns = vec![
            OutputColumn::new("name", Type::Text, Unit::None),
            OutputColumn::new("memory", Type::UInt, Unit::Bytes),
        ];
        let row = |(number, value): (usize, &Option<u64>)| {
            vec![Value::text(format!("cache-{number}")), value.map_or(Value::Null, Value::UInt)]
        };
        let rows = values.iter().enumerate().map(row).collect();
        Output { columns, rows, warnings: vec![] }
    }

    fn drawn(kind: Kind, values: &[Option<u64>], options: &Options) -> String {
        Chart::new(kind, &answer(values), None, None).unwrap().text(options, 40)
    }

    #[test]
    fn a_bar_a_row() {
        let text = drawn(Kind::Bar, &[Some(4096), Some(1024), None, Some(0)], &Options::default());
        let full = "█".repeat(40 - 7 - 7 - 5);
        let expected = format!(
            "cache-0  4.0 KiB  {full}\ncache-1  1.0 KiB  █████▎\ncache-2     NULL\ncache-3      0 B\n"
        );
        assert_eq!(text, expected);
        let many = vec![Some(1); 41];
        let text = drawn(Kind::Bar, &many, &Options::default());
        assert!(text.ends_with("\n41 rows (40 shown)\n"), "{text}");
    }

    #[test]
    fn a_histogram_has_its_empty_buckets() {
        let values = [Some(5), Some(6), Some(40), None];
        let text = drawn(Kind::Hist, &values, &Options::default());
        let names: Vec<&str> = text.lines().map(|line| line.split("  ").next().unwrap()).collect();
        assert_eq!(names, ["[4, 8)", "[8, 16)", "[16, 32)", "[32, 64)"]);
        assert!(text.lines().nth(1).unwrap().ends_with(" 0"), "{text}");
    }

    #[test]
    fn a_line_goes_through_all_rows() {
        let values: Vec<_> = (0..200).map(|x| Some(x * x)).collect();
        let text = drawn(Kind::Line, &values, &Options::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), HIGH + 1);
        assert!(
            lines[0].starts_with("38.7 KiB | ") && lines[HIGH - 1].contains(" 0 B | ⣀"),
            "{text}"
        );
        assert!(lines.iter().all(|line| width(line) <= 40), "{text}");
        assert!(text.ends_with("memory, 200 rows\n"), "{text}");
        let ascii = Options { ascii: true, ..Options::default() };
        let text = drawn(Kind::Line, &[Some(1), None, Some(3)], &ascii);
        assert!(text.is_ascii() && text.starts_with(&format!("3 B | {:16}*\n", "")), "{text}");
        assert!(text.contains("\n1 B | *\n"), "{text}");
        let text = drawn(Kind::Line, &[Some(0), Some(11)], &ascii);
        let slope: Vec<usize> =
            text.lines().take(HIGH).map(|line| line.find('*').unwrap()).collect();
        assert!(slope.windows(2).all(|pair| pair[0] >= pair[1]), "{text}");
        assert_eq!(slope[0] - slope[HIGH - 1], STEP, "{text}");
        for empty in [&[][..], &[None, None]] {
            assert!(drawn(Kind::Line, empty, &ascii).starts_with("there is nothing to draw"));
        }
        assert_eq!(drawn(Kind::Line, &[Some(7)], &ascii).matches('*').count(), 1);
    }

    #[test]
    fn images_are_of_the_same_points() {
        let svg = |kind, values: &[Option<u64>]| {
            let mut out = Vec::new();
            let chart = Chart::new(kind, &answer(values), Some("memory"), None).unwrap();
            chart.svg(Options::default(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let line = svg(Kind::Line, &[Some(0), None, Some(1024)]);
        assert!(line.contains("points=\"10.0,270.0 650.0,30.0\""), "{line}");
        assert_eq!(svg(Kind::Line, &[]).matches("points=\"\"").count(), 1);
        assert_eq!(svg(Kind::Bar, &[Some(1), Some(2)]).matches("fill=\"#48c\"").count(), 2);
        assert!(svg(Kind::Hist, &[Some(1), Some(2)]).contains(">range</text>"));
        let mut page = Vec::new();
        let chart = Chart::new(Kind::Line, &answer(&[Some(0), Some(1)]), None, None).unwrap();
        chart.html(Options::default(), &mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(
            page.starts_with("<!DOCTYPE html>") && page.ends_with("</svg>\n</body>\n</html>\n")
        );
        assert!(page.contains("<title>slabql: memory</title>"), "{page}");
    }

    #[test]
    fn a_histogram_of_the_query_is_drawn_as_it_is() {
        let mut column = OutputColumn::new("histogram(size)", Type::List, Unit::Buckets);
        let list =
            |texts: &[&str]| Value::List(texts.iter().map(|text| text.as_bytes().into()).collect());
        let mut answer = Output {
            columns: vec![column.clone()],
            rows: vec![vec![list(&["[1]: 3", "[4, 8): 1"])]],
            warnings: vec![],
        };
        let text =
            Chart::new(Kind::Hist, &answer, None, None).unwrap().text(&Options::default(), 40);
        assert_eq!(
            text.lines().map(|line| line.split_whitespace().next().unwrap()).collect::<Vec<_>>(),
            ["[1]", "[2,", "[4,"]
        );
        // Of several it is not known which one.
        answer.rows.push(answer.rows[0].clone());
        assert!(Chart::new(Kind::Hist, &answer, None, None).is_err());
        column.unit = Unit::None;
        answer = Output { columns: vec![column], ..answer };
        answer.rows.truncate(1);
        assert!(Chart::new(Kind::Hist, &answer, None, None).is_err());
    }

    #[test]
    fn the_column_is_the_sorted_one_or_the_first_of_numbers() {
        let mut answer = answer(&[Some(1)]);
        answer.columns.push(OutputColumn::new("size", Type::UInt, Unit::Bytes));
        answer.rows[0].push(Value::UInt(9));
        let value = |column, sorted| {
            let chart = Chart::new(Kind::Bar, &answer, column, sorted);
            chart.map(|chart| chart.points[0].1.clone()).map_err(|failure| match failure {
                Failure::Command(message) => message.message,
                _ => String::new(),
            })
        };
        assert_eq!(value(None, None), Ok(Value::UInt(1)));
        assert_eq!(value(None, Some(2)), Ok(Value::UInt(9)));
        assert_eq!(value(None, Some(0)), Ok(Value::UInt(1)));
        assert_eq!(value(Some("size"), None), Ok(Value::UInt(9)));
        let wrong = "the last answer has no column `sise`";
        assert_eq!(value(Some("sise"), None), Err(wrong.to_owned()));
        assert_eq!(value(Some("name"), None), Err("`name` has no numbers to draw".to_owned()));
    }
}
