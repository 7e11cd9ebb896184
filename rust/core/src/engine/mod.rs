//! The event loop: merges the sorted arrivals with the calendar of what is to come, and turns the
//! answers of the state machines into events, outcomes and metrics.

pub mod calendar;
pub mod event;
pub mod replay;
