//! What nodeward is compared with, one file each.

pub mod apiserver;
pub mod etcd;
pub mod ours;
pub mod stock;
