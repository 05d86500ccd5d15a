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
mod kernel;
mod machine;
mod text;

use std::fs;
use std::io;
use std::path::PathBuf;

use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::kernel::rights::Machine;
use crate::source::kind::Kind;
pub use text::report;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As slabql needs it.
    Ok,
    /// Something is not there, and slabql gives less for it.
    Lacking,
    /// Something is not there, and slabql cannot read the running kernel without it.
    Missing,
    /// A fact that explains figures; neither good nor bad.
    Note,
    /// It could not be looked at.
    Unknown,
}

impl State {
    /// The word for it.
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Lacking => "lacking",
            Self::Missing => "missing",
            Self::Note => "note",
            Self::Unknown => "unknown",
        }
    }
}

/// A line of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: `kernel`, `bpf`, `rights`, `machine`, `files`, `source`, or a table.
    pub area: &'static str,
    /// What was looked at.
    pub check: String,
    /// What it came to.
    pub state: State,
    /// What was found, or why not.
    pub found: String,
    /// What would help.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(
        area: &'static str,
        check: impl Into<String>,
        state: State,
        found: impl Into<String>,
    ) -> Self {
        Self { area, check: check.into(), state, found: found.into(), remedy: None }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Files of the machine below a folder: `/`, or one that a test made.
struct Root(PathBuf);

impl Root {
    /// The bytes of a file, whose path begins with `/`.
    fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(path))
    }

    /// The text of a file without the space around it; the error is in words.
    fn text(&self, path: &str) -> Result<String, String> {
        let bytes = self.bytes(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

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
    findings.iter().any(|finding| {
        let kinds = [Kind::Live, Kind::Walk].map(Kind::name);
        finding.area == "source"
            && finding.state == State::Ok
            && kinds.contains(&finding.check.as_str())
    })
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
        assert!(is_well(&[Finding::new("source", "live", State::Ok, "3 caches")]));
    }
}
