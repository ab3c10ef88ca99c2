//! A connection to a database server while it is used.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Database, Executor, Pool};

use super::postgres::ALTERED;

/// The longest a single statement may take: longer than any lock is waited for.
pub(super) const STATEMENT: Duration = Duration::from_secs(15);
/// The longest that reading whole tables may take.
pub(super) const LOAD: Duration = Duration::from_secs(120);

/// A connection of the pool. It goes back only when nothing is open on it and nothing under way.
/// Otherwise it is cut: the pool would first ask it for a sign of life, which a server that hangs
/// never gives, and so lose one connection after the other.
#[derive(Debug)]
pub(super) struct Held<D: Database> {
    connection: Option<PoolConnection<D>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As the pool gave it.
    Clean,
    /// In a transaction.
    Open,
    /// Somewhere in the middle, or broken.
    Unknown,
}

impl<D: Database> Held<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    pub(super) async fn acquire(pool: &Pool<D>) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: Some(pool.acquire().await?), state: State::Clean })
    }

    /// With a transaction begun by this statement.
    pub(super) async fn begin(pool: &Pool<D>, begin: &'static str) -> Result<Self, sqlx::Error> {
        let mut held = Self::acquire(pool).await?;
        held.plain(begin, State::Open).await?;
        Ok(held)
    }

    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.plain("COMMIT", State::Clean).await
    }

    async fn plain(&mut self, text: &'static str, then: State) -> Result<(), sqlx::Error> {
        self.state = State::Unknown;
        let connection = self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)?;
        within(STATEMENT, connection.execute(text)).await?;
        self.state = then;
        Ok(())
    }

    /// Lends the connection to one statement. What the server refuses ends the transaction.
    pub(super) async fn run<T>(
        &mut self,
        bound: Duration,
        statement: impl AsyncFnOnce(&mut D::Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let before = std::mem::replace(&mut self.state, State::Unknown);
        let connection = self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)?;
        let outcome = within(bound, statement(connection)).await;
        match &outcome {
            Ok(_) => self.state = before,
            // What is prepared on it is of no use any more.
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|c| c == ALTERED) => {}
            Err(sqlx::Error::Database(_)) if before == State::Open => {
                // A failure of this leaves the connection to be cut, which undoes all as well.
                self.plain("ROLLBACK", State::Clean).await.ok();
            }
            Err(sqlx::Error::Database(_)) => self.state = before,
            Err(_) => {}
        }
        outcome
    }
}

impl<D: Database> Drop for Held<D> {
    fn drop(&mut self) {
        if self.state != State::Clean
            && let Some(connection) = self.connection.take()
        {
            drop(connection.detach());
        }
    }
}

/// The outcome, or a time-out as sqlx has it.
pub(super) async fn within<T>(
    bound: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(bound, work).await.map_err(late)?
}
