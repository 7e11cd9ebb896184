//! Readers that push batches run on a thread of their own; Python pulls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::internal;

/// Batches that may wait: one is filled while the other is taken.
const WAITING: usize = 2;
/// How often a wait looks for Ctrl-C.
const SIGNALS: Duration = Duration::from_millis(50);

/// What a thread sends, and how it ends.
enum Sent<T, E> {
    Batch(T),
    End(E),
}

/// The end of a thread that hands batches over.
pub(crate) struct Background<T, E> {
    receiver: Mutex<Option<Receiver<Sent<T, E>>>>,
    end: Mutex<Option<E>>,
}

/// Where the thread puts its batches.
pub(crate) struct Outlet<T, E>(SyncSender<Sent<T, E>>);

impl<T, E> Outlet<T, E> {
    /// Whether somebody still takes batches.
    pub(crate) fn give(&self, batch: T) -> bool {
        self.0.send(Sent::Batch(batch)).is_ok()
    }
}

impl<T: Send + 'static, E: Clone + Send + 'static> Background<T, E> {
    /// Starts `work`; a panic in it is the end of the batches, and an internal error.
    pub(crate) fn start(work: impl FnOnce(&Outlet<T, E>) -> E + Send + 'static) -> PyResult<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        std::thread::Builder::new().name("lambda-replay reader".to_owned()).spawn(move || {
            let outlet = Outlet(sender);
            if let Ok(end) = catch_unwind(AssertUnwindSafe(|| work(&outlet))) {
                // Nobody may be there any more.
                let _ = outlet.0.send(Sent::End(end));
            }
        })?;
        Ok(Self { receiver: Mutex::new(Some(receiver)), end: Mutex::new(None) })
    }

    /// The next batch, or none at the end.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<Option<T>> {
        loop {
            let waited = py.detach(|| {
                let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
                receiver.as_ref().map(|receiver| receiver.recv_timeout(SIGNALS))
            });
            match waited {
                None => return Ok(None),
                Some(Ok(Sent::Batch(batch))) => return Ok(Some(batch)),
                Some(Ok(Sent::End(end))) => {
                    *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
                    *self.receiver.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return Ok(None);
                }
                Some(Err(RecvTimeoutError::Timeout)) => py.check_signals()?,
                Some(Err(RecvTimeoutError::Disconnected)) => {
                    return Err(internal("a reader of files stopped in the middle"));
                }
            }
        }
    }

    /// How it ended, once it has.
    pub(crate) fn end(&self) -> Option<E> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
