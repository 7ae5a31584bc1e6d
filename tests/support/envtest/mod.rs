//! A real API server for tests: etcd and kube-apiserver as child processes on free loopback ports.
//!
//! ```text
//! backup     a copy of etcd's data
//! binaries   where etcd and kube-apiserver are (tools/envtest/build.sh knows)
//! process    a child process that cannot outlive the tests
//! cluster    boots both, makes clients and kubeconfigs, kills, restarts, compacts
//! leftovers  what the suite checks at its end: no process is left
//! ```

mod backup;
mod binaries;
mod cluster;
mod leftovers;
mod process;

pub(crate) use self::{
    backup::Backup,
    binaries::find as find_binaries,
    cluster::{Options, TestCluster},
    leftovers::processes as leftover_processes,
    process::Process,
};
