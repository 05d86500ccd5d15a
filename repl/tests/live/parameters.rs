//! Programs that stay loaded: with other values of parameters the answer is that of the query with the values written
//! out, and no more programs stay than are said to.

use std::fs;

use crate::common;
use crate::common::ask;
use query::plan::Template;
use query::syntax::ParameterValues;
use slabql::shell::session::Session;
use slabql::shell::setting::Settings;
use slabql::source::Choice;

/// The programs that this process has descriptors of.
fn programs() -> usize {
    let links = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_str() == Some("anon_inode:bpf-prog")).count()
}

fn over(choice: Choice) -> Session {
    let settings = Settings { exact: true, ..Settings::default() };
    Session::new(ask::live(choice), settings)
}

fn rows(session: &mut Session, text: &str) -> String {
    let mut out = Vec::new();
    session
        .run(text, None, &mut out)
        .unwrap_or_else(|failure| panic!("{text}: {}", failure.text()));
    String::from_utf8(out).unwrap()
}

/// The text with its parameters written out.
fn written(text: &str, given: &ParameterValues) -> String {
    let write =
        |text: String, (name, value): (&String, &String)| text.replace(&format!("${name}"), value);
    given.iter().fold(text.to_owned(), write)
}

#[test]
fn other_values_give_the_answers_of_other_queries() {
    let Some(_turn) = common::iterated() else { return };
    // Figures that rest, so that two scans agree.
    let texts = [
        "select name, size where size > $a order by addr",
        "select name, size where size between $a and $b and object_size * $b > $a order by addr",
        "select name, size where size % $a = $b or align < $b order by addr",
        "select name where size > $a and name like 'kmalloc%' order by addr limit $b",
        "select name where size << $a > $b or size >> $b = $a or size / $a > $b order by addr",
        "select name where -$a < size and ~$a & size != (size | $a) ^ $b order by addr",
        "select name where greatest(size, $a) > least($b, size) and abs(size - $a) > $b order by addr",
        "select name where cast(flags as int) & $a != 0 and size in ($a, $b, 64) order by addr",
        "select accounted, count(*), sum(size * $a), max(size) where object_size > $a group by 1 order by 1",
        "select size % $b as rest, count(*), min(size + $a) group by rest order by rest",
        "select name where case when size > $a then object_size else $b end > $b order by addr",
    ];
    let values =
        [("64", "256"), ("8", "0"), ("1000", "4096"), ("1", "18446744073709551615"), ("7", "3")];
    for template in [Template::OpenCoded, Template::Iter, Template::List] {
        let choice = Choice { template: Some(template), ..Choice::default() };
        let (mut kept, mut plain) = (over(choice), over(choice));
        kept.engine.source().keep();
        let before = programs();
        for text in texts {
            for (a, b) in values {
                kept.parameters =
                    [("a".to_owned(), a.to_owned()), ("b".to_owned(), b.to_owned())].into();
                let written = written(text, &kept.parameters);
                let expected = rows(&mut plain, &written);
                for _ in 0..2 {
                    // Headings are those of the values.
                    assert_eq!(rows(&mut kept, text), expected, "{} {written}", template.name());
                }
            }
        }
        assert!((4..=8).contains(&(programs() - before)), "{}", programs() - before);
        drop(kept);
        assert_eq!(programs(), before);
    }
}

#[test]
fn one_program_serves_all_values() {
    let Some(_turn) = common::live() else { return };
    let before = programs();
    let mut session = over(Choice::default());
    session.engine.source().keep();
    for value in 1..50 {
        session.parameters = [("min".to_owned(), value.to_string())].into();
        rows(&mut session, "select name where objects > $min and size >= $min * 8");
        assert_eq!(programs() - before, 1, "{value}");
    }
    // Another query is another program; at most eight stay.
    for value in 1..20 {
        rows(&mut session, &format!("select name where size > {value}"));
    }
    assert_eq!(programs() - before, 8);
    drop(session);
    assert_eq!(programs(), before);

    let mut session = over(Choice::default());
    rows(&mut session, "select name where size > 8");
    assert_eq!(programs(), before);
}
