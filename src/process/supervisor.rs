//! The service manager: systemd, or whoever speaks its protocol (`sd_notify(3)`).
//!
//! Our own, since it is one datagram: the crate `sd-notify` 0.5.0 reads the environment itself and
//! knows no abstract sockets.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::config::Env;

/// Whoever started this process and wants to know how it fares; often there is nobody.
#[derive(Debug, Default)]
pub struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    patience: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names.
    ///
    /// # Errors
    /// A socket that cannot be used.
    pub fn new(env: &Env) -> io::Result<Self> {
        let Some(name) = env.get("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold us up.
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some((socket, address(name)?)), patience: patience(env) })
    }

    /// How long it waits for a sign of life before it ends the process; `None`: it does not.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// Requests are let in.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// It is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=answering what is under way");
    }

    /// It works.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, message, "the service manager cannot be told");
        }
    }
}

/// A path, or a name behind `@` that is in no file system.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => Err(io::ErrorKind::Unsupported.into()),
        None => SocketAddr::from_pathname(name),
    }
}

fn patience(env: &Env) -> Option<Duration> {
    let number = |name: &str| env.get(name).and_then(|text| text.parse::<u64>().ok());
    // The variables may be those of a parent.
    let ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        variables.iter().copied().collect()
    }

    #[test]
    fn it_is_told_at_a_path_or_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("hub-registry-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&address(&format!("@{name}")).unwrap()).unwrap();
        for (manager, named) in
            [(by_path, path.to_str().unwrap().to_owned()), (by_name, format!("@{name}"))]
        {
            manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let supervisor = Supervisor::new(&env(&[("NOTIFY_SOCKET", &named)])).unwrap();
            supervisor.ready();
            let mut message = [0; 100];
            let length = manager.recv(&mut message).unwrap();
            assert!(message[..length].starts_with(b"READY=1\n"), "{named}");
        }
        // Nobody there is no reason to fail.
        Supervisor::new(&env(&[])).unwrap().ready();
    }

    #[test]
    fn it_is_patient_as_long_as_it_says_to_this_process() {
        let of = |pid: &str| {
            let variables = env(&[
                ("NOTIFY_SOCKET", "/nowhere"),
                ("WATCHDOG_USEC", "30000000"),
                ("WATCHDOG_PID", pid),
            ]);
            Supervisor::new(&variables).unwrap().patience()
        };
        assert_eq!(of(&std::process::id().to_string()), Some(Duration::from_secs(30)));
        assert_eq!((of("1"), of("")), (None, Some(Duration::from_secs(30))));
    }
}
