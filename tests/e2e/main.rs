//! nodeward against a real control plane: every RPC, as its clients use it. One file for each capability.
//!
//! All tests share one sandbox, which the first of them starts, and tell their nodes apart by name. Those that stop or
//! break something start one of their own.

#![allow(clippy::unwrap_used)] // A test that unwraps in vain has failed, which is what it is for.

mod support;

mod access_certificates;
mod access_ledger;
mod access_limits;
mod access_names;
mod access_oidc;
mod access_operations;
mod access_own_rights;
mod access_revoked;
mod access_rights;
mod access_server;
mod access_spoofing;
mod access_streams;
mod access_tokens;
mod access_write_as;
mod attack;
mod attack_handshake;
mod attack_tokens;
mod audit;
mod audit_cli;
mod audit_copies;
mod audit_disk;
mod audit_kill;
mod audit_service;
mod audit_settle;
mod cordon;
mod create;
mod delete;
mod drain;
mod drain_admission;
mod drain_beside_kubectl;
mod drain_budget;
mod drain_cordon;
mod drain_crash;
mod drain_crash_ends;
mod drain_deadline;
mod drain_faults;
mod drain_fleet;
mod drain_kubectl;
mod drain_late_pods;
mod drain_many_pods;
mod drain_namespace;
mod drain_opening_budgets;
mod drain_order;
mod drain_plan;
mod drain_pods;
mod drain_records;
mod drain_replaced;
mod drain_request;
mod drain_rights;
mod drain_slow_pods;
mod drain_telemetry;
mod drain_trail;
mod drain_unreachable;
mod drain_volumes;
mod evict;
mod evict_budget;
mod fuzz;
mod fuzz_strings;
mod guard;
mod lease;
mod lost_answers;
mod observe;
mod operation_events;
mod operations;
mod patch;
mod read;
mod secrets;
mod serving;
mod shutdown;
mod shutdown_process;
mod throttled;
mod traces;
mod transport;
mod transport_process;
mod update;
mod watch;
mod watch_gap;
mod watch_resume;
mod watch_validators;
