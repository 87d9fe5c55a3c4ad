//! Which exchange of a worker is the oldest. Exchanges arrive in order and leave in any, so each series is a list in order of
//! arrival, linked through places in memory: arriving, leaving and looking at the oldest all take the same few steps,
//! however many there are, and memory is that of the most that were ever in flight.

use std::time::Duration;

/// Nowhere.
const NONE: u32 = u32::MAX;

/// The exchanges of one worker.
#[derive(Debug, Default)]
pub(super) struct Ages {
    places: Vec<Links>,
    free: Vec<u32>,
    series: Vec<Lists>,
}

/// The place of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// An exchange: when it arrived, and its neighbours in both lists.
#[derive(Debug, Clone, Copy)]
struct Links {
    at: Duration,
    lists: [Neighbours; 2],
}

#[derive(Debug, Clone, Copy)]
struct Neighbours {
    before: u32,
    after: u32,
    is_listed: bool,
}

/// Everything in flight, and what still waits for its first token.
const IN_FLIGHT: usize = 0;
const WAITING: usize = 1;

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

type Lists = [Ends; 2];

impl Ages {
    pub(super) fn arrived(&mut self, series: usize, at: Duration) -> Place {
        if self.series.len() <= series {
            self.series.resize(series + 1, [Ends { first: NONE, last: NONE }; 2]);
        }
        let unlisted = Neighbours { before: NONE, after: NONE, is_listed: false };
        let links = Links { at, lists: [unlisted; 2] };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.places.get_mut(place as usize) {
                    *free = links;
                }
                place
            }
            None => {
                self.places.push(links);
                self.places.len() as u32 - 1
            }
        };
        self.append(series, IN_FLIGHT, place);
        self.append(series, WAITING, place);
        Place(place)
    }

    pub(super) fn answered(&mut self, series: usize, Place(place): Place) {
        self.unlink(series, WAITING, place);
    }

    pub(super) fn ended(&mut self, series: usize, Place(place): Place) {
        self.unlink(series, WAITING, place);
        self.unlink(series, IN_FLIGHT, place);
        self.free.push(place);
    }

    /// When the oldest in flight arrived, and when the oldest that waits.
    pub(super) fn oldest(&self, series: usize) -> (Option<Duration>, Option<Duration>) {
        let of = |list: usize| {
            let first = self.series.get(series)?.get(list)?.first;
            self.places.get(first as usize).map(|links| links.at)
        };
        (of(IN_FLIGHT), of(WAITING))
    }

    fn append(&mut self, series: usize, list: usize, place: u32) {
        let Some(ends) = self.series.get_mut(series).and_then(|lists| lists.get_mut(list)) else { return };
        let before = std::mem::replace(&mut ends.last, place);
        if before == NONE {
            ends.first = place;
        }
        if let Some(links) = self.links(before, list) {
            links.after = place;
        }
        if let Some(links) = self.links(place, list) {
            *links = Neighbours { before, after: NONE, is_listed: true };
        }
    }

    fn unlink(&mut self, series: usize, list: usize, place: u32) {
        let Some(links) = self.links(place, list) else { return };
        if !std::mem::take(&mut links.is_listed) {
            return;
        }
        let Neighbours { before, after, .. } = *links;
        if let Some(links) = self.links(before, list) {
            links.after = after;
        }
        if let Some(links) = self.links(after, list) {
            links.before = before;
        }
        let Some(ends) = self.series.get_mut(series).and_then(|lists| lists.get_mut(list)) else { return };
        if ends.first == place {
            ends.first = after;
        }
        if ends.last == place {
            ends.last = before;
        }
    }

    fn links(&mut self, place: u32, list: usize) -> Option<&mut Neighbours> {
        self.places.get_mut(place as usize)?.lists.get_mut(list)
    }
}
