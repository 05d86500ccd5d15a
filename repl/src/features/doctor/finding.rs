//! What a check found.

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
    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn new(
        area: &'static str,
        check: impl Into<String>,
        state: State,
        found: impl Into<String>,
    ) -> Self {
        Self { area, check: check.into(), state, found: found.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
