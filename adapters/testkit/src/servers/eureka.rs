//! Eureka: one node that knows no peers, or two that copy from each other.

use super::plan::Setup;

pub(super) fn arguments(setup: &Setup) -> Vec<String> {
    let port = setup.http_port();
    let options = &setup.options.eureka;
    let mut arguments =
        vec![format!("--server.port={port}"), format!("--server.address={}", setup.listens())];
    let (alone, name, peers) = match &setup.options.cluster {
        // The name makes it recognise the only address in its list of peers as its own. Left out,
        // it would send copies of everything to whatever listens on the usual port.
        None => (true, "127.0.0.1", vec![("127.0.0.1", port)]),
        // It knows itself by its name alone, not by its port: each has a name of its own.
        Some((members, place)) => {
            let names = ["127.0.0.1", "localhost"];
            let all = names.into_iter().zip(members.iter().copied());
            let others = all.filter(|(_, member)| *member != port).collect();
            (false, names[*place % names.len()], others)
        }
    };
    let peers: Vec<_> =
        peers.iter().map(|(name, port)| format!("http://{name}:{port}/eureka/")).collect();
    arguments.extend([
        // It reads the registry of its peers at its start only if it is their client.
        format!("--eureka.client.registerWithEureka={}", !alone),
        format!("--eureka.client.fetchRegistry={}", !alone),
        format!("--eureka.instance.hostname={name}"),
        format!("--eureka.client.serviceUrl.defaultZone={}", peers.join(",")),
    ]);
    let mut set = |name: &str, value: String| {
        arguments.push(format!("--eureka.{name}={value}"));
    };
    if let Some(interval) = options.cache_interval {
        let millis = interval.as_millis().to_string();
        set("server.responseCacheUpdateIntervalMs", millis);
    }
    if let Some(interval) = options.eviction_interval {
        let millis = interval.as_millis().to_string();
        set("server.evictionIntervalTimerInMs", millis);
    }
    if let Some(preserves) = options.self_preservation {
        set("server.enableSelfPreservation", preserves.to_string());
    }
    if let Some(time) = options.warm_up {
        let millis = time.as_millis().to_string();
        set("server.waitTimeInMsWhenSyncEmpty", millis);
        // Spring counts itself as an instance got from a peer, and then nothing is waited for.
        set("instance.registry.defaultOpenForTrafficCount", "0".to_owned());
    }
    if let Some(login) = setup.login() {
        set("auth.user", login.user.to_owned());
        set("auth.password", login.password.to_owned());
    }
    arguments
}

/// It lists its applications; while it is to warm up, it says so.
pub(super) async fn is_ready(setup: &Setup, client: &reqwest::Client) -> bool {
    let mut request = client.get(format!("{}/apps", setup.base_url()));
    if let Some(login) = setup.login() {
        request = request.basic_auth(login.user, Some(login.password));
    }
    let Ok(answer) = request.send().await else {
        return false;
    };
    let warms_up = setup.options.eureka.warm_up.is_some();
    answer.status().is_success() || (warms_up && answer.status() == 403)
}
