//! `slabql doctor`: what this machine gives slabql, what it does not, and what would help.
//!
//! It looks at the machine, and needs no engine: files first (`machine`), then the kernel's types and what
//! it takes (`kernel`), then every column of every table (`columns`). Nothing is read that a query would not read.
//!
//! # Invariants
//!
//! What could not be looked at is `unknown` and says why; it is never `ok`.

mod columns;
mod config;
mod finding;
mod kernel;
mod machine;
mod root;
mod text;

use std::path::PathBuf;

use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::kernel::rights::Machine;
use crate::source::kind::Kind;
pub use finding::{Finding, State};
use root::Root;
pub use text::report;

/// Looks at everything.
#[must_use]
pub fn examine() -> Vec<Finding> {
    let root = Root(PathBuf::from("/"));
    let mut findings = machine::examine(&root, &Machine::look_in(&root.0));
    findings.extend(config::examine(&root));
    findings.extend(machine::bpf(&root));
    findings.extend(kernel::examine());
    findings
}

/// Whether the running kernel's memory can be read.
#[must_use]
pub fn is_well(findings: &[Finding]) -> bool {
    answers(findings, Kind::Live) || answers(findings, Kind::Walk)
}

/// Whether a source answers.
fn answers(findings: &[Finding], kind: Kind) -> bool {
    findings.iter().any(|finding| {
        finding.area == "source" && finding.state == State::Ok && finding.check == kind.name()
    })
}

/// All of it in a line: whether slabql can read this kernel, and where it cannot, what to do first.
#[must_use]
pub fn verdict(findings: &[Finding]) -> String {
    let mut missing = findings.iter().filter(|finding| finding.state == State::Missing);
    let remedy = missing.find_map(|finding| finding.remedy.as_deref());
    let remedy = remedy.map_or_else(String::new, |remedy| format!("; {remedy}"));
    if is_well(findings) {
        "yes: slabql can read this kernel's memory".to_owned()
    } else if answers(findings, Kind::Proc) {
        format!("in part: slabql can read /proc and /sys, but not the kernel's memory{remedy}")
    } else {
        format!("no: slabql cannot read this kernel{remedy}")
    }
}

/// The findings as an answer.
#[must_use]
pub fn output(findings: &[Finding]) -> Output {
    let columns = ["area", "check", "state", "found", "remedy"];
    let text = |name| OutputColumn::new(name, Type::Text, Unit::None);
    let row = |finding: &Finding| {
        let Finding { area, check, state, found, remedy } = finding;
        let remedy = remedy.as_ref().map_or(Value::Null, Value::text);
        vec![
            Value::text(area),
            Value::text(check),
            Value::text(state.name()),
            Value::text(found),
            remedy,
        ]
    };
    Output {
        columns: columns.map(text).to_vec(),
        rows: findings.iter().map(row).collect(),
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with files of a machine; removed on drop.
    pub(super) struct Made(PathBuf);

    impl Made {
        pub(super) fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let folder = std::env::temp_dir();
            let folder = folder.join(format!("slabql-doctor-{name}-{}", std::process::id()));
            fs::create_dir_all(folder.join("proc")).unwrap();
            for (path, text) in files {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(folder)
        }

        pub(super) fn root(&self) -> Root {
            Root(self.0.clone())
        }
    }

    impl Drop for Made {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The state, what was found and the remedy of a check.
    pub(super) fn line(findings: &[Finding], check: &str) -> String {
        let found = findings.iter().find(|finding| finding.check == check);
        let Finding { state, found, remedy, .. } = found.unwrap_or_else(|| panic!("no {check}"));
        let remedy = remedy.as_ref().map_or(String::new(), |remedy| format!("; {remedy}"));
        format!("{} {found}{remedy}", state.name())
    }

    #[test]
    fn an_answer_has_a_value_for_each_column() {
        let findings = [
            Finding::new("rights", "CAP_BPF", State::Missing, "not in effect").remedy("be root"),
            Finding::new("source", "live", State::Unknown, ""),
        ];
        let output = output(&findings);
        assert!(output.rows.iter().all(|row| row.len() == output.columns.len()));
        assert_eq!(output.rows[0][4], Value::text("be root"));
        assert_eq!(output.rows[1][4], Value::Null);
        assert!(!is_well(&findings));
        assert_eq!(verdict(&findings), "no: slabql cannot read this kernel; be root");
        let with = |kind: &str| {
            let source = Finding::new("source", kind, State::Ok, "3 caches");
            let findings: Vec<_> = findings.iter().cloned().chain([source]).collect();
            (is_well(&findings), verdict(&findings))
        };
        let yes = "yes: slabql can read this kernel's memory".to_owned();
        assert_eq!([with("live"), with("walk")], [(true, yes.clone()), (true, yes)]);
        let (well, part) = with("proc");
        assert!(!well && part.starts_with("in part: ") && part.ends_with("; be root"), "{part}");
    }
}
