//! The state machines, one rule of Lambda each. A machine changes only itself, takes the time it
//! needs as an argument and answers with what follows; none knows the event loop or another
//! machine.

pub mod billing;
pub mod client;
pub mod concurrency;
pub mod environments;
pub mod limiter;
pub mod provisioned;
pub mod rates;
pub mod scaling;
pub mod state_keys;
