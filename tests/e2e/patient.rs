//! Tests that wait for registries nearly all the time: more of them than there are cores run at
//! once (`tests/run`). What measures, or asks for much processor time, is not among them.

mod clients;
mod copies;
mod copy_faults;
mod copy_fields;
mod failover;
mod idlers;
mod migration;
mod mute;
mod pairs;
mod reaped;
mod restart;
mod rules;
mod site;
