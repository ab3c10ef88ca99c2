//! The nacos-sdk clients of this process.
//!
//! A nacos-sdk client never ends: its stream task holds the connection open, and its redo and
//! login loops run on, also when it is dropped with nothing subscribed. So one that is not needed
//! any more is kept, and used again for the same servers and namespace: editing a configuration
//! back and forth does not pile up connections.

use std::sync::{Arc, Weak};

use nacos_sdk::api::error::Result;
use nacos_sdk::api::naming::{NamingService, NamingServiceBuilder};
use nacos_sdk::api::plugin::{AuthContext, AuthPlugin, LoginIdentityContext, RequestResource};
use nacos_sdk::api::props::ClientProps;
use parking_lot::{Mutex, RwLock};

use super::sdk::Listener;
use crate::client::NacosClient;
use crate::driver::PushServers;

/// nacos-sdk writes every list it gets below this folder, one file per service, its path made of
/// the names as they come; and there is no switch. Nothing can be written below a device.
const NO_CACHE: &str = "/dev/null/nacos-sdk";

static IDLE: Mutex<Vec<Client>> = Mutex::new(Vec::new());

/// One nacos-sdk client.
pub(super) struct Client {
    servers: PushServers,
    pub(super) naming: NamingService,
    token: Arc<Token>,
    /// What could not be unsubscribed for the last user.
    pub(super) stale: Vec<Listener>,
}

impl Client {
    /// An idle one for these servers, or a new one.
    pub(super) async fn take(servers: &PushServers, http: &Arc<NacosClient>) -> Result<Self> {
        let idle = {
            let mut idle = IDLE.lock();
            let found = idle.iter().position(|client| client.servers == *servers);
            found.map(|at| idle.swap_remove(at))
        };
        if let Some(client) = idle {
            client.token.lend(http);
            return Ok(client);
        }
        Self::build(servers.clone(), http).await
    }

    /// Keeps it for the next user.
    pub(super) fn give_back(self, stale: Vec<Listener>) {
        *self.token.0.write() = Weak::new();
        IDLE.lock().push(Self { stale, ..self });
    }

    async fn build(servers: PushServers, http: &Arc<NacosClient>) -> Result<Self> {
        let mut props = ClientProps::new()
            .env_first(false)
            .server_addr(&servers.addresses)
            .namespace(&servers.namespace)
            .app_name("hub-registry")
            .cache_dir(NO_CACHE)
            // "Load" means to start without a server too: each failed start would leave a task
            // behind for ever. There is nothing to load.
            .naming_load_cache_at_start(true)
            .naming_push_empty_protection(false);
        if let Some(port) = servers.grpc_port {
            props = props.remote_grpc_port(port);
        }
        let token = Arc::new(Token::default());
        token.lend(http);
        let builder = NamingServiceBuilder::new(props);
        let naming = builder.with_auth_plugin(token.clone()).build().await?;
        Ok(Self { servers, naming, token, stale: Vec::new() })
    }
}

/// Hands nacos-sdk the token of the HTTP calls. Its own plug-in logs in by itself, with the
/// password in the query string and in its debug log.
#[derive(Default)]
struct Token(RwLock<Weak<NacosClient>>);

impl Token {
    fn lend(&self, http: &Arc<NacosClient>) {
        *self.0.write() = Arc::downgrade(http);
    }
}

#[async_trait::async_trait]
impl AuthPlugin for Token {
    async fn login(&self, _: Arc<Vec<String>>, _: Arc<AuthContext>) {}

    fn get_login_identity(&self, _: RequestResource) -> LoginIdentityContext {
        let context = LoginIdentityContext::default();
        let http = self.0.read().upgrade();
        match http.and_then(|http| http.login().current()) {
            Some(token) => context.add_context("accessToken", token.expose()),
            None => context,
        }
    }
}
