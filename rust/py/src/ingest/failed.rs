//! Why a file could not be read to its end, as an exception of ours.

use lambda_replay_ingest::ReadError;
use pyo3::PyErr;
use pyo3::prelude::*;

use crate::error::exception;

/// A file and what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    source: String,
    message: String,
    code: &'static str,
    hint: Option<String>,
    resource: bool,
}

impl Failed {
    /// `shown` is what the user calls the file.
    pub(crate) fn new(shown: &str, error: ReadError) -> Self {
        let source = shown.to_owned();
        let text = error.to_string();
        let (message, code, hint, resource) = match error {
            ReadError::Io(error) => {
                let is_cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
                let is_packed = is_cut || error.to_string().contains("stream");
                let hint = is_packed
                    .then(|| "the file is cut off or damaged: was a copy interrupted?".to_owned());
                let what = if is_cut { "the packed data end too early".to_owned() } else { text };
                (format!("it cannot be read: {what}"), "LR-T-READ", hint, false)
            }
            ReadError::Json { cut, .. } => {
                let hint = cut.then(|| "the file is cut off: was a copy interrupted?".to_owned());
                (format!("it is no JSON any more at {text}"), "LR-T-READ", hint, false)
            }
            ReadError::Bomb { .. } => (text, "LR-R-BOMB", None, true),
            ReadError::NoFunction { group, .. } => {
                let message = match &group {
                    Some(group) => {
                        format!("{text}: the log group {group} is not called /aws/lambda/NAME")
                    }
                    None => text,
                };
                let hint =
                    "give it with --function NAME, or put the file into a folder aws/lambda/NAME";
                (message, "LR-T-FUNCTION", Some(hint.to_owned()), false)
            }
            ReadError::Stopped => (text, "LR-T-READ", None, false),
        };
        Self { source, message, code, hint, resource }
    }
}

/// The exception.
pub(crate) fn raise(failed: &Failed) -> PyErr {
    let class = if failed.resource { "ResourceError" } else { "TraceError" };
    let message = if failed.resource {
        format!("{}: {}", failed.source, failed.message)
    } else {
        failed.message.clone()
    };
    exception(class, &message, |details| {
        details.set_item("code", failed.code)?;
        details.set_item("hint", failed.hint.as_deref())?;
        if failed.resource { Ok(()) } else { details.set_item("source", &failed.source) }
    })
}
