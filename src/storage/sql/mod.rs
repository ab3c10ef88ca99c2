//! The stores over SQL. The only place with SQL text; values are always bound, never written in.
//!
//! Each store is written once. What the databases do not have in common is behind two seams:
//!
//! | file | what |
//! |---|---|
//! | `engine`, `held` | pools, transactions, rows: the same calls for each database |
//! | `pool` | connections to a database server, no more idle than wanted |
//! | `dialect` | the forms of SQL that differ |
//! | `sqlite`, `postgres`, `mysql` | one of each: connection options, bound values, forms, error codes |
//! | `text` | makes statements from tables and forms; nothing else makes text safe to run |
//! | `table`, `value`, `row` | columns in order, what is bound, what is read |
//! | `waiting` | appends to the log that go with the commit of another |
//! | `batch` | many rows in few statements, in the order they were written |
//! | `native`, `event`, `config`, `status`, `snapshot`, `revision`, `token`, `ledger`, `migration`, `retention` | one store each |

mod batch;
mod config;
mod dialect;
mod engine;
mod error;
mod event;
mod held;
mod ledger;
mod migrate;
mod migration;
mod mysql;
mod native;
mod pool;
mod postgres;
mod retention;
mod revision;
mod row;
mod snapshot;
mod sqlite;
mod status;
mod store;
mod table;
mod text;
mod token;
mod value;
mod waiting;

pub use migrate::{Migrated, script};
pub use store::SqlStore;
