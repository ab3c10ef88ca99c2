//! The process among others: signals that reach it, and the service manager that started it.

mod signals;
mod supervisor;

pub use signals::{Signals, Stop, Wish};
pub use supervisor::Supervisor;
