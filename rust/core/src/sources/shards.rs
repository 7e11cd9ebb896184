//! Which shard a key belongs to, and how shards split and merge (E4.11, §0.6-7).

use crate::sources::config::{Reshard, Resharding};
use crate::sources::record::Keys;

/// The shards of a stream, those to come included, and their ranges of hashes.
#[derive(Debug)]
pub(super) struct Ranges {
    /// First and last hash of each shard that there is.
    hashes: Vec<(u128, u128)>,
    /// What took the place of each.
    children: Vec<Vec<u32>>,
    /// What each took the place of.
    parents: Vec<Vec<u32>>,
    /// Shards that take records, by range.
    open: Vec<u32>,
    /// Shards at the start.
    initial: u32,
    /// How many there will have been.
    total: u32,
}

impl Ranges {
    pub(super) fn new(initial: u32, reshards: &[Reshard]) -> Self {
        let ranges = (0..initial).map(|shard| (start(shard, initial), end(shard, initial)));
        let new = reshards.iter().map(|reshard| match reshard.what {
            Resharding::Split(_) => 2,
            Resharding::Merge(..) => 1,
        });
        Self {
            hashes: ranges.collect(),
            children: vec![Vec::new(); initial as usize],
            parents: vec![Vec::new(); initial as usize],
            open: (0..initial).collect(),
            initial,
            total: initial + new.sum::<u32>(),
        }
    }

    /// How many shards there will have been.
    pub(super) const fn len(&self) -> u32 {
        self.total
    }

    pub(super) const fn has_changed(&self) -> bool {
        self.hashes.len() > self.initial as usize
    }

    /// The shard that takes records of this hash now.
    #[inline]
    pub(super) fn find(&self, hash: u128) -> u32 {
        if !self.has_changed() {
            return place(hash, self.initial);
        }
        self.find_changed(hash)
    }

    /// The same for a key.
    #[inline]
    pub(super) fn find_key(&self, high: u64, key: u32, keys: &Keys) -> u32 {
        if self.has_changed() {
            return self.find_changed(keys.hash(key));
        }
        // The low half decides only where it could carry.
        let product = u128::from(high) * u128::from(self.initial);
        #[allow(clippy::cast_possible_truncation)] // The two halves.
        let (shard, rest) = ((product >> 64) as u32, product as u64);
        if rest > u64::MAX - u64::from(self.initial) {
            return place(keys.hash(key), self.initial);
        }
        shard
    }

    fn find_changed(&self, hash: u128) -> u32 {
        let after = self.open.partition_point(|shard| self.hashes[*shard as usize].0 <= hash);
        self.open[after - 1]
    }

    /// The shard that takes records which the trace gives to `shard`: itself, or what took its
    /// place, or what it is to take the place of.
    pub(super) fn open_for(&self, shard: u32, hash: u128) -> u32 {
        let mut shard = shard;
        loop {
            let Some((first, last)) = self.hashes.get(shard as usize).copied() else {
                // Not there yet: by key.
                return self.find(hash);
            };
            let children = &self.children[shard as usize];
            let Some(child) = children.first() else { return shard };
            // Where the key belongs elsewhere, the first child stands for all.
            let inside = first <= hash && hash <= last;
            let holds = |child: &&u32| {
                let (first, last) = self.hashes[**child as usize];
                inside && first <= hash && hash <= last
            };
            shard = children.iter().find(holds).copied().unwrap_or(*child);
        }
    }

    /// Shards split or merge now: those that close, and those that open.
    pub(super) fn reshard(&mut self, what: Resharding) -> (Vec<u32>, Vec<u32>) {
        let next = u32::try_from(self.hashes.len()).expect("fewer than 2^28 shards");
        let (parents, ranges) = match what {
            Resharding::Split(shard) => {
                let (first, last) = self.hashes[shard as usize];
                let width = last - first;
                let middle = first + width / 2 + (width & 1);
                (vec![shard], vec![(first, middle - 1), (middle, last)])
            }
            Resharding::Merge(a, b) => {
                let ((first, last), (other_first, other_last)) =
                    (self.hashes[a as usize], self.hashes[b as usize]);
                let range = (first.min(other_first), last.max(other_last));
                (vec![a, b], vec![range])
            }
        };
        let children: Vec<u32> = (next..).take(ranges.len()).collect();
        for parent in &parents {
            assert!(self.open.contains(parent), "a shard changes while it is open");
            self.children[*parent as usize].clone_from(&children);
        }
        for range in ranges {
            self.hashes.push(range);
            self.children.push(Vec::new());
            self.parents.push(parents.clone());
        }
        self.open.retain(|shard| !parents.contains(shard));
        self.open.extend(&children);
        self.open.sort_by_key(|shard| self.hashes[*shard as usize].0);
        (parents, children)
    }
}

/// ⌊hash · shards / 2^128⌋.
#[inline]
#[allow(clippy::cast_possible_truncation)] // The two halves of the hash.
fn place(hash: u128, shards: u32) -> u32 {
    let (high, low) = (hash >> 64, hash & u128::from(u64::MAX));
    let shards = u128::from(shards);
    ((high * shards + ((low * shards) >> 64)) >> 64) as u32
}

/// The first hash of a shard: ⌈shard · 2^128 / shards⌉.
fn start(shard: u32, shards: u32) -> u128 {
    let (shard, shards) = (u128::from(shard), u128::from(shards));
    // 2^128 = whole · shards + rest.
    let (mut whole, mut rest) = (u128::MAX / shards, u128::MAX % shards + 1);
    if rest == shards {
        (whole, rest) = (whole.wrapping_add(1), 0);
    }
    // For one shard `whole` is 2^128, which is 0 here, and so is `shard`.
    shard.wrapping_mul(whole) + (shard * rest).div_ceil(shards)
}

fn end(shard: u32, shards: u32) -> u128 {
    if shard + 1 == shards { u128::MAX } else { start(shard + 1, shards) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Micros;

    #[test]
    fn ranges_are_those_of_the_formula() {
        for shards in [1, 2, 3, 7, 1_000, 4_096] {
            for shard in [0, 1, 2, 5, shards / 2, shards - 1] {
                if shard < shards {
                    let (first, last) = (start(shard, shards), end(shard, shards));
                    assert_eq!(place(first, shards), shard, "{shard} of {shards}");
                    assert_eq!(place(last, shards), shard, "{shard} of {shards}");
                    assert!(first == 0 || place(first - 1, shards) == shard - 1);
                }
            }
        }
    }

    #[test]
    fn e4_11_a_split_halves_and_a_merge_joins() {
        let reshards = [
            Reshard { at: Micros(1), what: Resharding::Split(0) },
            Reshard { at: Micros(2), what: Resharding::Merge(2, 1) },
        ];
        let mut ranges = Ranges::new(2, &reshards);
        assert_eq!(ranges.len(), 5);
        let quarter = 1_u128 << 126;
        assert_eq!((ranges.find(0), ranges.find(u128::MAX)), (0, 1));
        assert_eq!(ranges.reshard(reshards[0].what), (vec![0], vec![2, 3]));
        assert_eq!([quarter - 1, quarter, 2 * quarter].map(|hash| ranges.find(hash)), [2, 3, 1]);
        // A merge of neighbours; 3 and 1 are, 2 and 1 are not: the range covers both all the same.
        assert_eq!(ranges.open_for(0, quarter), 3);
        assert_eq!(ranges.open_for(0, u128::MAX), 2, "a key from elsewhere");
        assert_eq!(ranges.reshard(Resharding::Merge(3, 1)), (vec![3, 1], vec![4]));
        assert_eq!([quarter - 1, quarter, u128::MAX].map(|hash| ranges.find(hash)), [2, 4, 4]);
        assert_eq!(ranges.open_for(0, quarter), 4);
    }
}
