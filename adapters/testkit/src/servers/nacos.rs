//! Java Nacos, standalone. Its ports are all derived from the HTTP port.

use tokio::net::TcpStream;

use super::plan::{Setup, text};

/// gRPC for clients, gRPC between servers, Raft.
pub(super) const EXTRA_PORTS: &[i32] = &[1000, 1001, -1000];

/// In base64, and long enough for the signature; for the tests only.
const TOKEN_KEY: &str = "aHViLXJlZ2lzdHJ5LXRlc3RzLW9ubHktc2VjcmV0LWtleS0wMTIzNDU2Nzg5";

/// Properties of the JVM: Nacos reads these before there are any others.
pub(super) fn properties(setup: &Setup) -> Vec<String> {
    vec![
        format!("-Dnacos.home={}", text(&setup.data)),
        format!("-Dnacos.logs.path={}", text(&setup.data.join("logs"))),
        // Else it takes the address of some network card, and Raft listens there.
        "-Dnacos.server.ip=127.0.0.1".to_owned(),
    ]
}

pub(super) fn arguments(setup: &Setup) -> Vec<String> {
    let mut arguments = vec![format!("--server.port={}", setup.http_port())];
    if setup.options.login {
        arguments.extend([
            "--nacos.core.auth.enabled=true".to_owned(),
            // With the cache, nobody can log in during the first five seconds (500).
            "--nacos.core.auth.caching.enabled=false".to_owned(),
            // How its own nodes know each other; it does not start without.
            "--nacos.core.auth.server.identity.key=hub-registry-tests".to_owned(),
            "--nacos.core.auth.server.identity.value=hub-registry-tests".to_owned(),
            format!("--nacos.core.auth.plugin.nacos.token.secret.key={TOKEN_KEY}"),
        ]);
    }
    arguments
}

/// It says UP, its gRPC port accepts, and it lists instances (with auth, for who logs in).
pub(super) async fn is_ready(setup: &Setup, client: &reqwest::Client) -> bool {
    let base = setup.base_url();
    let metrics = client.get(format!("{base}/v1/ns/operator/metrics"));
    let Ok(answer) = metrics.send().await else {
        return false;
    };
    if !answer.text().await.is_ok_and(|text| text.contains("\"UP\"")) {
        return false;
    }
    let grpc = (setup.address(), setup.http_port() + 1000);
    if TcpStream::connect(grpc).await.is_err() {
        return false;
    }
    let mut list =
        client.get(format!("{base}/v1/ns/instance/list")).query(&[("serviceName", "readiness")]);
    if let Some(login) = setup.login() {
        list = list.query(&[("username", login.user), ("password", login.password)]);
    }
    list.send().await.is_ok_and(|answer| answer.status().is_success())
}
