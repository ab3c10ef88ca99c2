//! What went wrong in a registry, and whether trying again makes sense.

use std::fmt;

/// The result of a call to a registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of trouble it is. Callers branch on this, never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The credentials are missing or wrong (401, a failed login).
    Unauthorized,
    /// The credentials do not allow this (403).
    Forbidden,
    /// The path or thing is not there (404, 410): for a list, the address is not such a registry.
    NotFound,
    /// Asked too often (429).
    RateLimited,
    /// No connection: refused, reset, unknown host.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The registry said that it failed (5xx).
    Server,
    /// The registry is up but not ready to answer (Eureka's 403 while it warms up, a Consul
    /// without a leader).
    NotReady,
    /// An answer that is not what the protocol says: HTML, half a body, a missing field.
    Protocol,
    /// An answer above the size bound.
    TooLarge,
    /// This registry cannot do that; its [`Capability`](crate::Capability) says so.
    Unsupported,
    /// The configuration does not fit the registry.
    Invalid,
}

impl ErrorKind {
    /// Every class.
    pub const ALL: [Self; 12] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::RateLimited,
        Self::Unreachable,
        Self::Timeout,
        Self::Server,
        Self::NotReady,
        Self::Protocol,
        Self::TooLarge,
        Self::Unsupported,
        Self::Invalid,
    ];

    /// A stable word for logs, metrics and status rows.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Server => "server_error",
            Self::NotReady => "not_ready",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
        }
    }

    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Unreachable | Self::Timeout | Self::Server | Self::NotReady
        )
    }

    /// Whether it is a matter of credentials: retried rarely, so as not to lock an account.
    #[must_use]
    pub const fn is_auth(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Forbidden)
    }
}

/// A failed call: what class of trouble, in which operation, in words that hold no secret.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    operation: &'static str,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this class in this operation (`"list services"`).
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self { kind, operation, message: message.into(), source: None }
    }

    /// Keeps what caused it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// "This registry cannot do that."
    #[must_use]
    pub fn unsupported(operation: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, operation, "this registry cannot do that")
    }

    /// The class of trouble.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the same call may succeed a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed ({}): {}", self.operation, self.kind.code(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
