//! Renewing a lease for as long as it is held.

use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::{Instant, sleep, timeout};

use super::record::{Record, Write};
use super::{LeaseTiming, Term};

/// Renews the lease until the term is over.
pub(super) async fn keep(record: Record, timing: LeaseTiming, term: Term, lease: Lease) {
    let mut held = Some(lease);
    while let Some(lease) = held {
        sleep(timing.retry).await;
        held = Box::pin(renew(&record, &timing, &term, lease)).await;
    }
    term.end();
    tracing::warn!(epoch = term.epoch(), lease = record.name(), "this server no longer holds the lease");
}

/// Renews the lease once. None if the term is over, otherwise the lease as far as it is known: a renewal that fails is tried
/// again while there is time.
async fn renew(record: &Record, timing: &LeaseTiming, term: &Term, lease: Lease) -> Option<Lease> {
    // Nothing is sent for a term that is over: after a long sleep it is somebody else's lease.
    term.valid_until()?;
    let sent = Instant::now();
    match timeout(timing.patience(), record.renew(&lease)).await {
        Ok(Ok(Write::Done(lease))) => term.extend(sent + timing.renew_deadline).then_some(*lease),
        Ok(Ok(Write::Overtaken)) => reread(record, timing, term, lease).await,
        Ok(Err(error)) => {
            tracing::warn!(%error, lease = record.name(), "the lease can't be renewed");
            Some(lease)
        }
        Err(_) => {
            tracing::warn!(lease = record.name(), "Kubernetes does not answer for the lease");
            Some(lease)
        }
    }
}

/// Somebody has written the lease: it may have been this one, by a renewal that was not answered. None if it is held no longer.
async fn reread(record: &Record, timing: &LeaseTiming, term: &Term, lease: Lease) -> Option<Lease> {
    match timeout(timing.patience(), record.held(term.epoch())).await {
        Ok(Ok(held)) => held,
        Ok(Err(_)) | Err(_) => Some(lease),
    }
}
