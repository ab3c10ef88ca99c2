//! The two ports of an instance, as one term.

use super::PortWrapper;

/// The plain and the secure port.
pub type Ports = (PortWrapper, PortWrapper);

/// The ports of an instance of which one port is known: the other one is closed, with the number that
/// Eureka's clients send then (`InstanceInfo.DEFAULT_PORT`, `DEFAULT_SECURE_PORT` of Spring).
#[must_use]
pub fn usual_ports(port: u16, secure: bool) -> Ports {
    match secure {
        true => (PortWrapper::of(80, false), PortWrapper::of(port.into(), true)),
        false => (PortWrapper::of(port.into(), true), PortWrapper::of(443, false)),
    }
}

/// `PLAIN,OPEN,SECURE,OPEN`.
#[must_use]
pub fn write_ports((plain, secure): Ports) -> String {
    let part = |port: PortWrapper| {
        format!("{},{}", port.number.unwrap_or_default(), port.enabled.unwrap_or_default())
    };
    format!("{},{}", part(plain), part(secure))
}

/// What [`write_ports`] wrote; `None`: it is no such text.
#[must_use]
pub fn read_ports(text: &str) -> Option<Ports> {
    let mut parts = text.split(',');
    let mut next = || {
        // Clients in Java read no other.
        let number: i32 = parts.next()?.parse().ok()?;
        Some(PortWrapper::of(number.into(), parts.next()?.parse().ok()?))
    };
    Some((next()?, next()?))
}
