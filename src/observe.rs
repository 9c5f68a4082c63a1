//! Observing: every collector runs, and what they bring home becomes one snapshot in a fixed order.

use futures::StreamExt as _;

use crate::model::blob::Blob;
use crate::model::snapshot::Snapshot;
use crate::world::{Clock, Collected, Collector};

/// A snapshot and the raw bytes behind it.
pub struct Observed {
    /// Populations and receipts, sorted.
    pub snapshot: Snapshot,
    /// Raw bytes by name, as named in the receipts.
    pub raw: Vec<(String, Blob)>,
}

/// Runs `collectors`, at most `concurrency` at once; `each` is told of every one that is back. Never fails: what was not seen is marked
/// so.
pub async fn observe(
    collectors: &[Box<dyn Collector>],
    clock: &dyn Clock,
    concurrency: usize,
    each: &(dyn Fn() + Sync),
) -> Observed {
    let taken = clock.now();
    let runs = collectors.iter().map(|collector| async move {
        let collected = collector.collect(clock).await;
        each();
        collected
    });
    let mut collected: Vec<Collected> = futures::stream::iter(runs).buffer_unordered(concurrency.max(1)).collect().await;
    collected.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut snapshot = Snapshot { taken, populations: Vec::new(), receipts: Vec::new() };
    let mut raw = Vec::new();
    for one in collected {
        raw.extend(one.receipt.raw.iter().map(|reference| reference.name.clone()).zip(one.raw));
        snapshot.populations.extend(one.populations);
        snapshot.receipts.push(one.receipt);
    }
    snapshot.populations.sort_by(|a, b| (&a.entity, &a.source, &a.scope).cmp(&(&b.entity, &b.source, &b.scope)));
    Observed { snapshot, raw }
}

fn key(collected: &Collected) -> (&str, &str, &str) {
    let receipt = &collected.receipt;
    (receipt.source.as_str(), &receipt.collector, &receipt.scope)
}
