//! The tokens that count.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hub_registry_core::TenantId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credential::{Credential, Tenants};
use super::new_token::NewToken;
use super::token::{Token, TokenHash, random_id};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::model::row::CommonColumns;
use crate::storage::{TokenRow, TokenStore};
use crate::task::TaskGroup;

/// After a token nobody knows the table is read again, since another process may have made it a
/// moment ago; but not more often than this, whoever guesses how fast.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Known = HashMap<TokenHash, Arc<Credential>>;

/// The table of tokens, in memory.
#[derive(Debug)]
pub struct Tokens {
    store: Arc<dyn TokenStore>,
    clock: Clock,
    known: ArcSwap<Known>,
    read: Mutex<Read>,
}

/// The last look at the table.
#[derive(Debug)]
struct Read {
    at: Instant,
    outcome: Result<()>,
}

impl Tokens {
    /// Reads the table now and again every `poll`.
    ///
    /// # Errors
    /// When it cannot be read at first.
    pub async fn start(
        store: Arc<dyn TokenStore>,
        clock: Clock,
        poll: Duration,
        tasks: &TaskGroup,
    ) -> Result<Arc<Self>> {
        let tokens = Arc::new(Self {
            store,
            clock,
            known: ArcSwap::from_pointee(Known::new()),
            read: Mutex::new(Read { at: Instant::now(), outcome: Ok(()) }),
        });
        tokens.refresh_now().await?;
        let polled = Arc::clone(&tokens);
        tasks.spawn_until_stopped(async move {
            loop {
                tokio::time::sleep(poll).await;
                if let Err(error) = polled.refresh_now().await {
                    tracing::warn!(%error, "tokens not read again: the known ones count on");
                }
            }
        });
        Ok(tokens)
    }

    /// What the token says of its holder; `None`: it does not count.
    ///
    /// # Errors
    /// `Unavailable` when the token is unknown and the table cannot be asked.
    pub async fn find(&self, text: &str) -> Result<Option<Arc<Credential>>> {
        let hash = TokenHash::of(text);
        if let Some(credential) = self.current(&hash) {
            return Ok(Some(credential));
        }
        self.look_again().await?;
        Ok(self.current(&hash))
    }

    /// The same by what was last read, without looking again.
    #[must_use]
    pub fn known(&self, text: &str) -> Option<Arc<Credential>> {
        self.current(&TokenHash::of(text))
    }

    fn current(&self, hash: &TokenHash) -> Option<Arc<Credential>> {
        let known = self.known.load();
        known.get(hash).filter(|found| !found.is_expired(self.clock.now())).cloned()
    }

    /// Reads the table, if it was not since this was called; callers wait for their turn together.
    async fn look_again(&self) -> Result<()> {
        let asked = Instant::now();
        let mut read = self.read.lock().await;
        if read.at <= asked {
            tokio::time::sleep_until(read.at + LOOK_AGAIN).await;
            self.refresh(&mut read).await;
        }
        read.outcome.clone()
    }

    async fn refresh_now(&self) -> Result<()> {
        let mut read = self.read.lock().await;
        self.refresh(&mut read).await;
        read.outcome.clone()
    }

    async fn refresh(&self, read: &mut Read) {
        read.at = Instant::now();
        read.outcome = self.load().await;
    }

    /// Reads the table. After a failure what was known counts on.
    async fn load(&self) -> Result<()> {
        let rows = self.store.list_all().await?;
        let mut known = Known::with_capacity(rows.len());
        for row in &rows {
            match Credential::of(row) {
                Ok(Some((hash, credential))) => {
                    known.insert(hash, Arc::new(credential));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(token.id = row.token_id, %error, "a token row does not count");
                }
            }
        }
        self.known.store(Arc::new(known));
        Ok(())
    }

    /// Makes a token; the only time its text is seen.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be written.
    pub async fn create(&self, new: &NewToken, by: &str) -> Result<(Token, TokenRow)> {
        let (token, row) = new.row(self.clock.now(), by)?;
        self.store.insert(&row).await.map_err(Error::from)?;
        tracing::info!(
            token.id = row.token_id,
            tenant.id = row.tenant_id,
            user.id = row.user_id,
            role = row.role,
            by,
            "a token was made"
        );
        self.refresh_now().await?;
        Ok((token, row))
    }

    /// The rows a holder of these tenants may see, by tenant and id.
    ///
    /// # Errors
    /// `Unavailable` when the table cannot be read.
    pub async fn list(&self, tenant: &TenantId, of: &Tenants) -> Result<Vec<TokenRow>> {
        let mut rows = self.store.list_all().await.map_err(Error::from)?;
        rows.retain(|row| *of == Tenants::All || row.tenant_id == tenant.as_str());
        Ok(rows)
    }

    /// Removes a token that a holder of these tenants may see; `false`: there is none.
    ///
    /// # Errors
    /// `Unavailable` when the table cannot be read or written.
    pub async fn revoke(
        &self,
        id: &str,
        tenant: &TenantId,
        of: &Tenants,
        by: &str,
    ) -> Result<bool> {
        let rows = self.list(tenant, of).await?;
        if !rows.iter().any(|row| row.token_id == id) {
            return Ok(false);
        }
        let gone = self.store.delete(id).await.map_err(Error::from)?;
        tracing::info!(token.id = id, by, "a token was revoked");
        self.refresh_now().await?;
        Ok(gone)
    }

    /// Whether there is any row at all.
    ///
    /// # Errors
    /// `Unavailable` when the table cannot be read.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.store.list_all().await.map_err(Error::from)?.is_empty())
    }
}

impl NewToken {
    fn row(&self, now: chrono::DateTime<chrono::Utc>, by: &str) -> Result<(Token, TokenRow)> {
        let token = Token::random()?;
        let who = Some(by.to_owned());
        let common = CommonColumns {
            add_time: Some(now),
            add_who: who.clone(),
            edit_time: Some(now),
            edit_who: who,
            current_version: Some(1),
            active_flag: Some("Y".to_owned()),
            ..CommonColumns::default()
        };
        let groups = self.groups.as_ref().map(|names| serde_json::json!(names).to_string());
        let row = TokenRow {
            token_id: random_id()?,
            tenant_id: self.tenants.as_str().to_owned(),
            token_name: self.name.clone(),
            token_hash: token.hash().to_string(),
            token_prefix: token.prefix().to_owned(),
            user_id: self.user.clone(),
            role: self.role.to_string(),
            group_names: groups,
            expire_time: self.lives.map(|lives| now + lives),
            common,
            unreadable: Vec::new(),
        };
        Ok((token, row))
    }
}
