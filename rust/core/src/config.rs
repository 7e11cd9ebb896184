//! What a replay is told: one explicit structure, nothing left out.
//!
//! Defaults, presets, globs and units are resolved in Python (`scenario/limits.py` is their one
//! home); the core has no default of its own.

use crate::time::Micros;

/// Settings of one account in one Region.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// Seed of every random draw.
    pub seed: u64,
    /// Account concurrency limit, shared by all functions (F1.1).
    pub concurrency: u32,
    /// When idle execution environments go (F3.3).
    pub idle: IdlePolicy,
    /// How old an execution environment gets (F3.4).
    pub max_lifetime: Option<Span>,
    /// Billed time is a multiple of this: 1 ms, 100 ms before 2020-12 (F7).
    pub billing_unit: Micros,
}

/// Settings of one function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionConfig {
    /// Init time of a cold start whose row has none of its own.
    pub init: Micros,
    /// Whether init is billed (F3.7).
    pub init_billed: bool,
}

/// When an idle execution environment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Never.
    None,
    /// After this time idle.
    Fixed(Micros),
    /// After a time drawn anew each time it becomes idle (Z5).
    Uniform(Span),
    /// Half of a pool's idle environments, longest idle first, each period (Z4).
    Halving(Micros),
}

/// A closed range of time spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Shortest.
    pub low: Micros,
    /// Longest.
    pub high: Micros,
}
