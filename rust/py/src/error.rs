//! The only place where an error of the core becomes a Python exception, and where a panic is
//! caught before it crosses the border.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use lambda_replay_core::Error;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Where and why the last panic happened.
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps what a panic says for [`guarded`] instead of printing it.
pub(crate) fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            *last = Some(info.to_string());
        }
    }));
}

/// Runs `work`; a panic in it becomes `InternalError`.
pub(crate) fn guarded<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let last = LAST_PANIC.lock().ok().and_then(|mut last| last.take());
        Err(internal(&last.unwrap_or_else(|| "panic without a message".to_owned())))
    })
}

/// A bug of ours.
pub(crate) fn internal(what: &str) -> PyErr {
    exception("InternalError", what, |_| Ok(()))
}

/// A row without a value that it needs.
pub(crate) fn missing_value(row: u64, column: &str) -> PyErr {
    let message = format!("{column} is null; every row needs one");
    exception("TraceError", &message, |details| {
        details.set_item("row", row)?;
        details.set_item("column", column)?;
        details.set_item("code", "LR-T-NULL")
    })
}

/// Row, column and value stay attributes of the exception.
pub(crate) fn to_python(error: &Error) -> PyErr {
    let located = |row: u64, column: &str, message: &str, value: Option<f64>, code: &str| {
        exception("TraceError", message, |details| {
            details.set_item("row", row)?;
            details.set_item("column", column)?;
            details.set_item("value", value)?;
            details.set_item("code", code)
        })
    };
    match *error {
        Error::Unsorted { row, timestamp, previous } => {
            exception("TraceError", &error.to_string(), |details| {
                details.set_item("row", row)?;
                details.set_item("column", "timestamp")?;
                details.set_item("value", timestamp)?;
                details.set_item("code", "LR-T-UNSORTED")?;
                details.set_item("hint", format!("the row before it is at {previous} µs"))
            })
        }
        Error::Value { row, column, value } => {
            let right = if column == "timestamp" {
                "an instant of the years 1 to 9999, in µs since 1970,"
            } else {
                "a number of milliseconds from 0 to 366 days"
            };
            let message = format!("{column} is {value} where {right} is expected");
            if column == "timestamp" {
                return exception("TraceError", &message, |details| {
                    details.set_item("row", row)?;
                    details.set_item("column", column)?;
                    details.set_item("value", value)?;
                    details.set_item("code", "LR-T-VALUE")?;
                    details.set_item("hint", "are these nanoseconds? divide them by 1,000")
                });
            }
            located(row, column, &message, Some(value), "LR-T-VALUE")
        }
        Error::UnknownFunction { .. } | Error::Lengths => internal(&error.to_string()),
    }
}

/// An exception of `lambda_replay.exceptions` with keyword arguments.
pub(crate) fn exception(
    class: &str,
    message: &str,
    details: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>,
) -> PyErr {
    Python::attach(|py| {
        let made = || -> PyResult<Bound<'_, PyAny>> {
            let keywords = PyDict::new(py);
            details(&keywords)?;
            let class = py.import("lambda_replay.exceptions")?.getattr(class)?;
            class.call((message,), Some(&keywords))
        };
        made().map_or_else(|error| error, PyErr::from_value)
    })
}
