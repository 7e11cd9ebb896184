//! One batch on its way.
