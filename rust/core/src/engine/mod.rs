//! The event loop: merges the sorted arrivals with the calendar of what is to come, and turns the
//! answers of the state machines into events, outcomes and metrics.
//!
//! [`replay`] owns the loop and the plain pool: synchronous requests under the account's limit
//! alone, where everything about a request is known when it arrives. Whatever asks for more goes
//! the careful way: [`requests`] (admission, attempts, retries, events), [`runs`] (how a run goes,
//! shared state), [`sources`] (event sources and their batches), [`provisioning`] (provisioned
//! pools, changes of configuration).

mod blaming;
pub mod calendar;
mod clients;
pub mod event;
pub mod provisioning;
pub mod replay;
mod requests;
mod runs;
pub mod sources;
mod state_runs;
