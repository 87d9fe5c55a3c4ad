//! What came of the tests, as a table.

use std::fmt::{self, Write as _};

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, and what it said.
    Failed(String),
    /// It cannot be run, and why.
    NotRun(&'static str),
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The suite's name for it.
    pub name: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of all tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    rows: Vec<Row>,
}

const PREAMBLE: &str = "\
# Gateway API conformance

The conformance suite of [Gateway API](https://github.com/kubernetes-sigs/gateway-api/tree/main/conformance) at commit
4564255ac (after v1.6.1), in file mode: the real `portcullis run` loads the suite's manifests unchanged, with
`--unresolved-references serve-500`; echo servers stand in for its Services and listeners get ports from the OS. The
requests and assertions are those of the suite's code; conditions are read from `/snapshot`; where a test changes the API,
the files are rewritten. This is not an official conformance report.

`just conformance` runs it and prints this page; `just conformance --write` writes it. A test fails if it is not up to date.

";

impl Report {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }

    /// Every test.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Those that failed, and what they said.
    pub fn failures(&self) -> Vec<(&'static str, &str)> {
        self.rows.iter().filter_map(|row| Some((row.name, row.outcome.fault()?))).collect()
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.rows.iter().filter(|row| is(&row.outcome)).count()
    }
}

impl Outcome {
    fn fault(&self) -> Option<&str> {
        match self {
            Outcome::Failed(fault) => Some(fault),
            Outcome::Passed | Outcome::NotRun(_) => None,
        }
    }
}

/// The page, in Markdown. The same results give the same page.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let failed = self.count(|outcome| outcome.fault().is_some());
        let not_run = self.rows.len() - passed - failed;
        f.write_str(PREAMBLE)?;
        writeln!(f, "{passed} passed, {failed} failed, {not_run} not run.\n")?;
        let mut not_run = String::new();
        f.write_str("## Run\n\n| test | result |\n|---|---|\n")?;
        for row in &self.rows {
            match &row.outcome {
                Outcome::Passed => writeln!(f, "| {} | passed |", row.name)?,
                Outcome::Failed(_) => writeln!(f, "| {} | **failed** |", row.name)?,
                Outcome::NotRun(reason) => writeln!(not_run, "| {} | {reason} |", row.name)?,
            }
        }
        write!(f, "\n## Not run\n\n| test | why |\n|---|---|\n{not_run}")
    }
}
