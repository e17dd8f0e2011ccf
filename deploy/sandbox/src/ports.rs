//! Ports on loopback that stay ours for the life of a sandbox, even while the component behind one is down.
//!
//! Asking the kernel for "any" port is not enough: tests kill components and start them again on the same port, and in
//! between the kernel may give it to an outgoing connection, or another sandbox may take it. So ports are taken from
//! below the range of outgoing connections, and each is guarded by a locked file that all sandboxes of a user respect.

use std::collections::hash_map::RandomState;
use std::fs::{File, TryLockError};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::cache;
use crate::error::SandboxError;

/// Linux gives outgoing connections 32768 and above, other systems start higher still.
const RANGE: std::ops::Range<u16> = 20000..30000;

/// A port of 127.0.0.1 that no other sandbox will use while this value lives.
#[derive(Debug)]
pub struct ReservedPort {
    port: u16,
    /// The kernel releases the lock when the process ends, however it ends.
    _lock: File,
}

impl ReservedPort {
    /// The port's number.
    pub fn number(&self) -> u16 {
        self.port
    }
}

/// Reserves `count` different ports that are free now. `locks` is the directory of the lock files.
pub fn reserve(count: usize, locks: &Path) -> Result<Vec<ReservedPort>, SandboxError> {
    cache::make_dir(locks)?;
    let size = RANGE.end - RANGE.start;
    // Started at random, so that sandboxes that start together do not all try the same ports.
    let start = (RandomState::new().hash_one(std::process::id()) % u64::from(size)) as u16;
    let mut ports = Vec::with_capacity(count);
    for offset in 0..size {
        if ports.len() == count {
            break;
        }
        let port = RANGE.start + (start + offset) % size;
        if let Some(reserved) = try_reserve(port, locks)? {
            ports.push(reserved);
        }
    }
    if ports.len() < count {
        return Err(SandboxError::NoFreePort { from: RANGE.start, to: RANGE.end - 1 });
    }
    Ok(ports)
}

fn try_reserve(port: u16, locks: &Path) -> Result<Option<ReservedPort>, SandboxError> {
    let path = locks.join(port.to_string());
    let lock = File::create(&path).map_err(|e| SandboxError::io("create", &path, e))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(SandboxError::io("lock", &path, e)),
    }
    // Something that is no sandbox may listen there.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    Ok(free.then_some(ReservedPort { port, _lock: lock }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_port_is_reserved_once_until_it_is_released() {
        let locks = tempfile::tempdir().unwrap();
        let first = reserve(3, locks.path()).unwrap();
        let numbers: HashSet<_> = first.iter().map(ReservedPort::number).collect();
        assert_eq!(numbers.len(), 3);
        let port = first[0].number();
        assert!(try_reserve(port, locks.path()).unwrap().is_none());
        drop(first);
        assert!(try_reserve(port, locks.path()).unwrap().is_some());
    }

    #[test]
    fn a_port_that_something_else_listens_on_is_passed_over() {
        let locks = tempfile::tempdir().unwrap();
        let port = reserve(1, locks.path()).unwrap()[0].number();
        let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(try_reserve(port, locks.path()).unwrap().is_none());
    }
}
