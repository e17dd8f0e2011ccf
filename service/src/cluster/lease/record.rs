//! The Lease object. Every write carries the version that was read: if another was faster, it fails.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};

use super::candidate::epoch;
use crate::cluster::fault;

#[derive(Clone, Debug)]
pub(super) struct Record {
    leases: Api<Lease>,
    name: String,
    holder: String,
    duration: Duration,
}

/// What became of a write.
pub(super) enum Write {
    /// The lease is like this now.
    Done(Box<Lease>),
    /// Another was faster.
    Overtaken,
}

impl Record {
    pub fn new(client: Client, namespace: &str, name: &str, holder: String, duration: Duration) -> Self {
        Self { leases: Api::namespaced(client, namespace), name: name.to_owned(), holder, duration }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn holder(&self) -> &str {
        &self.holder
    }

    pub async fn get(&self) -> kube::Result<Option<Lease>> {
        self.leases.get_opt(&self.name).await
    }

    /// Takes the lease, which was read like this, for a term of this epoch.
    pub async fn take(&self, lease: Option<Lease>, epoch: u32) -> kube::Result<Write> {
        let now = Some(MicroTime(Timestamp::now()));
        let spec = LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: Some(self.seconds()),
            acquire_time: now.clone(),
            renew_time: now,
            lease_transitions: Some(i32::try_from(epoch).unwrap_or(i32::MAX)),
            ..LeaseSpec::default()
        };
        match lease {
            Some(lease) => self.replace(Lease { spec: Some(spec), ..lease }).await,
            None => {
                let mut lease = Lease { spec: Some(spec), ..Lease::default() };
                lease.metadata.name = Some(self.name.clone());
                outcome(self.leases.create(&PostParams::default(), &lease).await)
            }
        }
    }

    /// Renews the lease, which was read like this.
    pub async fn renew(&self, lease: &Lease) -> kube::Result<Write> {
        let spec = lease.spec.clone().unwrap_or_default();
        let spec = LeaseSpec { renew_time: Some(MicroTime(Timestamp::now())), ..spec };
        self.replace(Lease { spec: Some(spec), ..lease.clone() }).await
    }

    /// Gives the lease up, if it is still held for the term of this epoch.
    pub async fn release(&self, epoch: u32) -> kube::Result<()> {
        let Some(lease) = self.held(epoch).await? else { return Ok(()) };
        let spec = lease.spec.clone().unwrap_or_default();
        let renew_time = Some(MicroTime(Timestamp::now()));
        let spec = LeaseSpec { holder_identity: Some(String::new()), renew_time, ..spec };
        // Whoever was faster holds it: then there is nothing to give up.
        self.replace(Lease { spec: Some(spec), ..lease }).await.map(drop)
    }

    /// The lease, if it is still held for the term of this epoch.
    pub async fn held(&self, of: u32) -> kube::Result<Option<Lease>> {
        let is_held = |lease: &Lease| {
            let spec = lease.spec.as_ref();
            spec.is_some_and(|spec| spec.holder_identity.as_ref() == Some(&self.holder) && epoch(spec) == of)
        };
        Ok(self.get().await?.filter(is_held))
    }

    async fn replace(&self, lease: Lease) -> kube::Result<Write> {
        outcome(self.leases.replace(&self.name, &PostParams::default(), &lease).await)
    }

    fn seconds(&self) -> i32 {
        let more = u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(self.duration.as_secs().saturating_add(more)).unwrap_or(i32::MAX)
    }
}

/// A conflict says that the version is another one, or that there is a lease already; that it is not there, that it was deleted.
fn outcome(written: kube::Result<Lease>) -> kube::Result<Write> {
    match written {
        Ok(lease) => Ok(Write::Done(Box::new(lease))),
        Err(error) => match fault::api_status(&error).map(|status| status.code) {
            Some(404 | 409) => Ok(Write::Overtaken),
            _ => Err(error),
        },
    }
}
