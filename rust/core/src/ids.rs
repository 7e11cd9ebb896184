//! Identities inside the core. Names live in Python; here everything is a dense integer.

/// A function of the trace, in order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct FunctionId(pub u32);

impl FunctionId {
    /// Place in the tables of functions.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place in the table of live execution environments; reused after the environment is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct EnvironmentId(pub u32);

impl EnvironmentId {
    /// Place in the table of environments.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
