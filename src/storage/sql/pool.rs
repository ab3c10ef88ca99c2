//! Pools of connections to a database server, whichever it is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, Executor, Pool};

use crate::config::DatabaseConfig;

/// How long a caller waits for a connection, a new one's making included.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Statements that stay prepared on each connection; more than there are.
pub(super) const PREPARED: usize = 256;
/// The address of a database as sqlx has it.
type Options<D> = <<D as Database>::Connection as Connection>::Options;

/// A pool that connects when it is first used. Each connection is told `session` at its begin.
pub(super) fn lazy<D>(
    options: Options<D>,
    session: &'static str,
    config: &DatabaseConfig,
) -> Pool<D>
where
    D: Database,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let idle = Idle::new(config.max_idle_conns);
    let pool = PoolOptions::<D>::new()
        .max_connections(config.max_open_conns)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection.execute(session).await?;
                Ok(())
            })
        })
        .after_release({
            let idle = idle.clone();
            move |_, _| {
                let room = idle.has_room();
                Box::pin(async move { Ok(room) })
            }
        })
        .connect_lazy_with(options);
    idle.watch({
        let pool = pool.clone();
        move || pool.num_idle()
    });
    pool
}

/// Says that a parameter of the address does nothing here.
pub(super) fn ignored(parameter: &str) {
    tracing::warn!(parameter, "database.dsn has a parameter that has no effect");
}

type Count = Box<dyn Fn() -> usize + Send>;

/// Keeps no more connections idle than are wanted; sqlx has no such bound itself.
#[derive(Clone)]
struct Idle {
    most: usize,
    // Known only after the pool is made, which already asks.
    count: Arc<Mutex<Option<Count>>>,
}

impl Idle {
    fn new(most: u32) -> Self {
        Self { most: most as usize, count: Arc::default() }
    }

    fn watch(&self, count: impl Fn() -> usize + Send + 'static) {
        *self.count.lock() = Some(Box::new(count));
    }

    /// Whether one more may be kept.
    fn has_room(&self) -> bool {
        self.count.lock().as_ref().is_none_or(|count| count() < self.most)
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("most", &self.most).finish_non_exhaustive()
    }
}
