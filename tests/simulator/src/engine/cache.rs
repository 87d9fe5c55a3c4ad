//! The KV cache: blocks of tokens, some in use, some kept for the next prompt that begins alike.

use std::collections::{BTreeMap, HashMap};

/// The name of a full block: a hash over its tokens and all before them.
pub(super) type BlockName = u64;

/// Blocks, counted. A full block has a name and can be shared; the last block of a sequence, not yet full, has none.
#[derive(Debug)]
pub(super) struct Cache {
    blocks_max: usize,
    named: HashMap<BlockName, Named>,
    /// Named blocks that nobody uses, oldest first.
    idle: BTreeMap<u64, BlockName>,
    nameless: usize,
    tick: u64,
}

#[derive(Debug)]
struct Named {
    users: usize,
    /// When it became idle; meaningless while it has users.
    idle_since: u64,
}

impl Cache {
    pub(super) fn new(blocks_max: usize) -> Self {
        Self { blocks_max, named: HashMap::new(), idle: BTreeMap::new(), nameless: 0, tick: 0 }
    }

    /// How many of these blocks, from the first on, are there.
    pub(super) fn leading(&self, names: &[BlockName]) -> usize {
        names.iter().take_while(|name| self.named.contains_key(name)).count()
    }

    /// Blocks that can be had, by evicting idle ones if need be, when those of `kept` must stay.
    pub(super) fn available(&self, kept: &[BlockName]) -> usize {
        let kept_idle = kept.iter().filter(|name| self.named.get(name).is_some_and(|named| named.users == 0)).count();
        self.blocks_max - self.used() - kept_idle
    }

    /// Blocks in use.
    pub(super) fn used(&self) -> usize {
        self.named.len() - self.idle.len() + self.nameless
    }

    /// The fraction in use.
    pub(super) fn usage(&self) -> f64 {
        self.used() as f64 / self.blocks_max.max(1) as f64
    }

    /// Uses a block that is there.
    pub(super) fn share(&mut self, name: BlockName) {
        if let Some(named) = self.named.get_mut(&name) {
            if named.users == 0 {
                self.idle.remove(&named.idle_since);
            }
            named.users += 1;
        }
    }

    /// Takes one block; the block that was idle longest gives way. False if every block is in use.
    pub(super) fn take(&mut self) -> bool {
        if self.named.len() + self.nameless >= self.blocks_max {
            let Some((_, evicted)) = self.idle.pop_first() else { return false };
            self.named.remove(&evicted);
        }
        self.nameless += 1;
        true
    }

    /// A block that was taken is full now.
    pub(super) fn name(&mut self, name: BlockName) {
        self.nameless -= 1;
        self.named.entry(name).or_insert_with(|| {
            // Idle for an instant, until it is shared below.
            Named { users: 0, idle_since: 0 }
        });
        self.share(name);
    }

    /// Gives up a full block; it stays until its room is needed.
    pub(super) fn release(&mut self, name: BlockName) {
        let Some(named) = self.named.get_mut(&name) else { return };
        named.users = named.users.saturating_sub(1);
        if named.users == 0 {
            self.tick += 1;
            named.idle_since = self.tick;
            self.idle.insert(self.tick, name);
        }
    }

    /// Gives up blocks that never became full.
    pub(super) fn release_nameless(&mut self, count: usize) {
        self.nameless -= count.min(self.nameless);
    }
}
