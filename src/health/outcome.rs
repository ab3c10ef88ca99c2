//! What a check can find.

use std::fmt;
use std::io;

use hub_registry_core::egress::Denied;

/// What an outcome says of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It is well.
    Passed,
    /// It is alive and says that it has too much to do: it passes, and people should know.
    Warning,
    /// It is not well.
    Failed,
    /// Nothing: the hub itself could not ask.
    Hindered,
}

/// What a check found. Its text is made here alone: nothing of what an instance answers is in it
/// but the number of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its port takes connections.
    Connected,
    /// It answered with this HTTP status.
    Answered(u16),
    /// It answered by gRPC that it serves.
    Serving,
    /// It answered by gRPC that it does not: a number of `grpc.health.v1`.
    NotServing(i32),
    /// It refused by gRPC, with this code.
    Status(i32),
    /// It refused the connection.
    Refused,
    /// It ended the connection before its answer was whole enough to read a status.
    Reset,
    /// There is no way to it.
    Unreachable,
    /// No connection came about in time.
    ConnectTimedOut,
    /// It took the connection, and no answer came in time.
    AnswerTimedOut,
    /// Its name leads nowhere.
    UnknownName,
    /// Its address may not be connected to.
    NotAllowed(Denied),
    /// Its port may not be.
    PortNotAllowed,
    /// No TLS came about: its certificate is not trusted, or it speaks no TLS.
    Tls,
    /// What it answered is no HTTP.
    NoHttp,
    /// What it answered is no gRPC.
    NoGrpc,
    /// What its URL says cannot be asked.
    BadUrl(&'static str),
    /// The hub has no sockets, ports or certificates left to ask with.
    Hindered(&'static str),
}

impl Outcome {
    /// What it says of the instance: as in Consul, 2xx passes and 429 is a warning.
    #[must_use]
    pub fn tone(self) -> Tone {
        match self {
            Self::Connected | Self::Serving | Self::Answered(200..=299) => Tone::Passed,
            Self::Answered(429) => Tone::Warning,
            Self::Hindered(_) => Tone::Hindered,
            _ => Tone::Failed,
        }
    }

    /// Whether the hub refused to ask: by its policy, or since the URL is none.
    #[must_use]
    pub fn is_refused_by_hub(self) -> bool {
        matches!(self, Self::NotAllowed(_) | Self::PortNotAllowed | Self::BadUrl(_))
    }

    /// Whether no answer of the instance's own came. A connection that is refused is none: rules in
    /// between refuse them, too.
    #[must_use]
    pub fn is_silence(self) -> bool {
        match self {
            Self::Refused
            | Self::Reset
            | Self::Unreachable
            | Self::ConnectTimedOut
            | Self::AnswerTimedOut
            | Self::UnknownName
            | Self::Tls => true,
            Self::Connected
            | Self::Answered(_)
            | Self::Serving
            | Self::NotServing(_)
            | Self::Status(_)
            | Self::NoHttp
            | Self::NoGrpc
            | Self::NotAllowed(_)
            | Self::PortNotAllowed
            | Self::BadUrl(_)
            | Self::Hindered(_) => false,
        }
    }

    /// Its word in metrics and answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected | Self::Serving | Self::Answered(200..=299) => "passed",
            Self::Answered(429) => "warning",
            Self::Answered(_) | Self::NotServing(_) | Self::Status(_) => "status",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
            Self::ConnectTimedOut => "connect_timeout",
            Self::AnswerTimedOut => "timeout",
            Self::UnknownName => "name",
            Self::NotAllowed(_) | Self::PortNotAllowed => "not_allowed",
            Self::Tls => "tls",
            Self::NoHttp | Self::NoGrpc => "protocol",
            Self::BadUrl(_) => "url",
            Self::Hindered(_) => "hindered",
        }
    }

    /// Every word there is.
    pub const WORDS: [&'static str; 14] = [
        "passed",
        "warning",
        "status",
        "refused",
        "reset",
        "unreachable",
        "connect_timeout",
        "timeout",
        "name",
        "not_allowed",
        "tls",
        "protocol",
        "url",
        "hindered",
    ];

    /// What it means that no connection came about.
    pub(super) fn of_connecting(error: &io::Error) -> Self {
        // Linux and the BSDs agree on these two: too many open files, of the process and of all.
        if matches!(error.raw_os_error(), Some(23 | 24)) {
            return Self::Hindered("the hub has too many files open");
        }
        match error.kind() {
            io::ErrorKind::AddrNotAvailable => Self::Hindered("the hub has no free port left"),
            io::ErrorKind::OutOfMemory => Self::Hindered("the hub has no memory left"),
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::ConnectTimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Self::Reset,
            _ => Self::Unreachable,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Answered(status @ 300..=399) => {
                write!(f, "HTTP {status}: redirects are not followed")
            }
            Self::Answered(status) => write!(f, "HTTP {status}"),
            Self::Serving => f.write_str("gRPC: SERVING"),
            Self::NotServing(0) => f.write_str("gRPC: UNKNOWN"),
            Self::NotServing(2) => f.write_str("gRPC: NOT_SERVING"),
            Self::NotServing(3) => f.write_str("gRPC: SERVICE_UNKNOWN"),
            Self::NotServing(status) => write!(f, "gRPC: status {status}"),
            Self::Status(5) => f.write_str("gRPC: NOT_FOUND: the service is not known there"),
            Self::Status(12) => f.write_str("gRPC: UNIMPLEMENTED: it has no grpc.health.v1"),
            Self::Status(code) => write!(f, "gRPC: code {code}"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection closed before the answer"),
            Self::Unreachable => f.write_str("host unreachable"),
            Self::ConnectTimedOut => f.write_str("connect timed out"),
            Self::AnswerTimedOut => f.write_str("connected, but no answer in time"),
            Self::UnknownName => f.write_str("the host name cannot be resolved"),
            Self::NotAllowed(denied) => write!(f, "not allowed by healthCheck.egress: {denied}"),
            Self::PortNotAllowed => {
                f.write_str("not allowed by healthCheck.ports: its port is not among them")
            }
            Self::Tls => f.write_str("TLS failed: no TLS there, or a certificate not trusted"),
            Self::NoHttp => f.write_str("the answer is no HTTP"),
            Self::NoGrpc => f.write_str("the answer is no gRPC"),
            Self::BadUrl(rule) => write!(f, "its URL {rule}"),
            Self::Hindered(why) => f.write_str(why),
        }
    }
}
