//! SQS, standard and FIFO (E5).

use crate::outcome::Run;
use crate::sources::config::SourceConfig;
use crate::sources::hub::{Answer, Hub, Refused, Start, Timer};
use crate::sources::record::Record;
use crate::time::Micros;

/// SQS, standard and FIFO (E5).
#[derive(Debug)]
pub struct Queue {
    config: SourceConfig,
}

#[allow(clippy::needless_pass_by_value, unused_variables, clippy::unused_self)]
impl Queue {
    pub(super) fn new(config: SourceConfig) -> Self {
        Self { config }
    }

    pub(super) const fn config(&self) -> &SourceConfig {
        &self.config
    }

    pub(super) fn units(&self) -> u32 {
        1
    }

    pub(super) fn open(&mut self, now: Micros, hub: &mut Hub) {}

    pub(super) fn configure(&mut self, config: SourceConfig, now: Micros, hub: &mut Hub) {
        self.config = config;
    }

    pub(super) fn land(&mut self, record: Record, shard: Option<u32>, now: Micros, hub: &mut Hub) {
        unimplemented!()
    }

    pub(super) fn fire(&mut self, timer: Timer, unit: u32, now: Micros, hub: &mut Hub) {
        unimplemented!()
    }

    pub(super) fn start(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> Option<Start> {
        unimplemented!()
    }

    pub(super) fn refused(&mut self, unit: u32, refused: &Refused, now: Micros, hub: &mut Hub) {
        unimplemented!()
    }

    pub(super) fn admitted(&mut self, unit: u32, now: Micros, hub: &mut Hub) {
        unimplemented!()
    }

    pub(super) fn answered(&mut self, unit: u32, answer: &Answer, now: Micros, hub: &mut Hub) {
        unimplemented!()
    }

    pub(super) fn cut(&mut self, unit: u32, run: &Run, hub: &mut Hub) {
        unimplemented!()
    }

    pub(super) fn finish(&mut self, until: Option<Micros>, now: Micros, hub: &mut Hub) {}
}
