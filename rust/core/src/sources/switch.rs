//! Whether a mapping reads and sends (P14).

use crate::sources::config::SourceConfig;
use crate::sources::hub::{Class, Hub, Timer};
use crate::time::Micros;

/// Follows `enabled` with its delays.
#[derive(Debug)]
pub(super) struct Switch {
    on: bool,
    /// What it turns to at `at`; other timers are overtaken.
    to: bool,
    at: Micros,
}

impl Switch {
    /// Off, since nothing has begun.
    pub(super) const fn new() -> Self {
        Self { on: false, to: false, at: Micros::MAX }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    /// The mapping is enabled or disabled; whether it reads and sends otherwise from now on.
    pub(super) fn turn(&mut self, config: &SourceConfig, now: Micros, hub: &mut Hub) -> bool {
        if config.enabled == self.to {
            return false;
        }
        let delay = if config.enabled { config.start_delay } else { config.stop_delay };
        (self.to, self.at) = (config.enabled, now + delay);
        if delay > Micros::ZERO {
            hub.timer(self.at, Class::Change, Timer::Switch, 0, (0, 0));
            return false;
        }
        self.fire(now)
    }

    /// Its timer is due; whether it reads and sends otherwise from now on.
    pub(super) fn fire(&mut self, now: Micros) -> bool {
        let changes = self.at == now && self.on != self.to;
        if changes {
            self.on = self.to;
        }
        changes
    }
}
