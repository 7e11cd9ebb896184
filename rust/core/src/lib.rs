//! The model of AWS Lambda and the engine that replays a trace through it.
//!
//! A pure function of configuration, seed and arrivals: no I/O, no clock, no threads, no names.
//! State machines ([`model`]) know nothing of the event loop ([`engine`]); the loop turns their
//! answers into events. Rule ids such as `F3.4` and `Z4` are those of `docs/semantics.md`.

#![forbid(unsafe_code)]

pub mod batch;
pub mod blame;
pub mod config;
pub mod engine;
pub mod error;
pub mod histogram;
pub mod ids;
pub mod meters;
pub mod metrics;
pub mod model;
pub mod outcome;
pub mod request;
pub mod rng;
pub mod sources;
pub mod time;

pub use engine::replay::Replay;
pub use error::Error;
