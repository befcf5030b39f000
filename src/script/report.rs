//! The outcome of scripts: for people, and as JUnit XML for machines.

use std::{path::Path, time::Duration};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::script::{ScriptError, expect::Observed};

/// How one script went.
#[derive(Debug)]
pub struct Outcome {
    /// The script's file.
    pub path: String,
    /// The script's name; its file's where it could not be read.
    pub name: String,
    /// How long it took by the wall's clock.
    pub taken: Duration,
    /// Its turns, or why it could not be run.
    pub turns: Result<Vec<TurnOutcome>, ScriptError>,
}

/// How one turn went.
#[derive(Debug)]
pub struct TurnOutcome {
    /// What was said.
    pub said: String,
    /// What came of it.
    pub observed: Observed,
    /// What did not, a sentence each.
    pub unmet: Vec<String>,
}

impl Outcome {
    /// Whether the script ran and all its expectations were met.
    pub fn passed(&self) -> bool {
        self.turns.as_ref().is_ok_and(|turns| turns.iter().all(|turn| turn.unmet.is_empty()))
    }
}

/// The exit status of a run: 0 all passed, 1 an expectation was not met, 2 a script could not be run.
pub fn exit_status(outcomes: &[Outcome]) -> u8 {
    if outcomes.iter().any(|outcome| outcome.turns.is_err()) {
        2
    } else {
        u8::from(!outcomes.iter().all(Outcome::passed))
    }
}

/// Writes a JUnit report: a suite a script, a case a turn.
///
/// # Errors
/// [`ScriptError::SetUp`] when the file cannot be written.
pub fn write_junit(path: &Path, outcomes: &[Outcome]) -> Result<(), ScriptError> {
    let mut report = Report::new("companion");
    for outcome in outcomes {
        let mut suite = TestSuite::new(outcome.path.clone());
        match &outcome.turns {
            Err(error) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(error.to_string());
                suite.add_test_case(TestCase::new(outcome.name.clone(), status));
            }
            Ok(turns) => {
                suite.add_test_cases(turns.iter().enumerate().map(|(index, turn)| {
                    let mut status = TestCaseStatus::success();
                    if !turn.unmet.is_empty() {
                        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                        status.set_message(turn.unmet.join("; "));
                    }
                    let mut case =
                        TestCase::new(format!("{} · turn {}: {}", outcome.name, index + 1, turn.said), status);
                    case.set_time(outcome.taken / turns.len().max(1) as u32);
                    case
                }));
            }
        }
        suite.set_time(outcome.taken);
        report.add_test_suite(suite);
    }
    let failed = |reason: String| ScriptError::SetUp { path: path.display().to_string(), reason };
    let text = report.to_string().map_err(|error| failed(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| failed(error.to_string()))
}
