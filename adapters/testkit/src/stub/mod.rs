//! Stub registries with the real ones' nasty rules, and a proxy that makes faults in front of any
//! server.
