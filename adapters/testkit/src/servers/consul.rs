//! Consul: one agent, server and client in one, in development mode (a leader at once, the catalog
//! in memory), or several servers of one data centre, that elect their leader.

use super::environment;
use super::plan::{Plan, Setup, text};

/// The server's RPC port and the gossip port.
pub(super) const EXTRA_PORTS: &[i32] = &[1, 2];

/// The reason why it cannot be started here.
pub(super) fn missing() -> Option<String> {
    match environment::program("consul") {
        Some(_) => None,
        None => Some("there is no `consul` on the PATH".to_owned()),
    }
}

pub(super) fn plan(setup: &Setup) -> Result<Plan, String> {
    let Some(program) = environment::program("consul") else {
        return Err(missing().unwrap_or_default());
    };
    let [http, rpc, gossip] = setup.ports[..] else {
        return Err(format!("{} ports instead of three", setup.ports.len()));
    };
    let mut arguments: Vec<String> = ["agent", "-bind=127.0.0.1"].map(str::to_owned).into();
    arguments.push(format!("-client={}", setup.listens()));
    match &setup.options.cluster {
        None => arguments.extend(["-dev".to_owned(), "-node=test-node".to_owned()]),
        Some((members, place)) => {
            arguments.extend([
                "-server".to_owned(),
                format!("-bootstrap-expect={}", members.len()),
                format!("-node=test-node-{place}"),
                "-retry-interval=1s".to_owned(),
                // A leader that is lost is missed after a second, not after five.
                "-hcl=performance { raft_multiplier = 1 }".to_owned(),
            ]);
            let others = members.iter().filter(|member| **member != http);
            arguments.extend(others.map(|other| format!("-retry-join=127.0.0.1:{}", other + 2)));
        }
    }
    arguments.extend([
        // With a folder, an agent in development mode keeps its services over a restart, as a
        // real one does.
        format!("-data-dir={}", text(&setup.data)),
        format!("-http-port={http}"),
        format!("-server-port={rpc}"),
        format!("-serf-lan-port={gossip}"),
        "-serf-wan-port=-1".to_owned(),
        "-dns-port=-1".to_owned(),
        "-grpc-port=-1".to_owned(),
        "-log-level=info".to_owned(),
        // It would ask its maker's site for newer versions.
        "-hcl=disable_update_check = true".to_owned(),
    ]);
    if let Some(login) = setup.login() {
        let token = login.password;
        // `agent`: the token for what the agent itself registers; else its own node is refused.
        arguments.push(format!(
            "-hcl=acl {{ enabled = true default_policy = \"deny\" \
             tokens {{ master = \"{token}\" agent = \"{token}\" }} }}"
        ));
    }
    Ok(Plan { program, arguments })
}

/// It has a leader, and its own node has come into the catalog; until then lists are empty.
pub(super) async fn is_ready(setup: &Setup, client: &reqwest::Client) -> bool {
    let base = setup.base_url();
    let leader = get(setup, client, format!("{base}/v1/status/leader")).await;
    if leader.is_none_or(|leader| leader.trim().trim_matches('"').is_empty()) {
        return false;
    }
    let nodes = get(setup, client, format!("{base}/v1/catalog/nodes")).await;
    nodes.is_some_and(|nodes| nodes.contains("\"Node\""))
}

async fn get(setup: &Setup, client: &reqwest::Client, url: String) -> Option<String> {
    let mut request = client.get(url);
    if let Some(login) = setup.login() {
        request = request.header("X-Consul-Token", login.password);
    }
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    answer.text().await.ok()
}
