//! A network with a server in it, and the line to it.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const CARRIER: &str = include_str!("line.py");

/// What a line does to packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Of the packets to the server and of those from it, this share of 1 is lost.
    pub loss: [f64; 2],
    /// So late come packets to the server, and those from it.
    pub delay: [Duration; 2],
}

impl Quality {
    /// Everything arrives at once.
    pub const GOOD: Self = Self { loss: [0.0; 2], delay: [Duration::ZERO; 2] };
    /// Nothing reaches the server.
    pub const NOTHING_THERE: Self = Self { loss: [1.0, 0.0], ..Self::GOOD };
    /// Nothing of what the server says arrives.
    pub const NOTHING_BACK: Self = Self { loss: [0.0, 1.0], ..Self::GOOD };

    /// This share of 1 of all packets is lost, by chance.
    #[must_use]
    pub fn lossy(share: f64) -> Self {
        Self { loss: [share; 2], ..Self::GOOD }
    }

    /// Everything arrives late, in each direction.
    #[must_use]
    pub fn late(delay: Duration) -> Self {
        Self { delay: [delay; 2], ..Self::GOOD }
    }
}

/// Where a server is that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Far {
    /// A process in its network.
    pub(crate) process: u32,
    /// Where it is reached without the line.
    pub(crate) address: Ipv4Addr,
}

/// A network for a server, the line to it, and a second way to it that is always good: for the
/// server's clients and for whoever watches it. Both end when this is dropped. Only for a test
/// that runs [`apart`](super::apart).
#[derive(Debug)]
pub struct Line {
    number: u8,
    network: Process,
    carrier: Process,
    lost: u64,
}

impl Line {
    /// The line of this number, which is good; the seed is for what it will lose.
    ///
    /// # Panics
    /// When the network does not come about.
    #[must_use]
    pub fn new(number: u8, seed: u64) -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--", "sh", "-c", "ip link set lo up && echo ok && exec cat"]);
        let network = Process::start(unshare);
        let far = network.child.id();
        let near = |name: &str| format!("{name}{number}");
        let (here, there) = (near("here"), near("there"));
        let ends = [near("end-a"), near("end-b")];
        ip(&format!("link add name {here} type veth peer name {}", ends[0]));
        ip(&format!("link add name {there} type veth peer name {}", ends[1]));
        ip(&format!("link add name beside{number} type veth peer name far{number}"));
        for end in &ends {
            ip(&format!("link set {end} up"));
        }
        for (name, address) in [(&there, Self::over(number)), (&near("far"), Self::beside(number))]
        {
            ip(&format!("link set {name} netns {far}"));
            inside(far, &format!("address add {address}/24 dev {name}"));
            inside(far, &format!("link set {name} up"));
        }
        for (name, address) in
            [(&here, Self::over(number)), (&near("beside"), Self::beside(number))]
        {
            let [a, b, c, _] = address.octets();
            ip(&format!("address add {a}.{b}.{c}.1/24 dev {name}"));
            ip(&format!("link set {name} up"));
        }
        let mut python = Command::new("python3");
        python.args(["-c", CARRIER, &ends[0], &ends[1], &seed.to_string()]);
        Self { number, network, carrier: Process::start(python), lost: 0 }
    }

    fn over(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, number, 2)
    }

    fn beside(number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 98, number, 2)
    }

    /// Where the server is, for [`ServerOptions::with_far`](super::super::ServerOptions::with_far).
    #[must_use]
    pub fn far(&self) -> Far {
        Far { process: self.network.child.id(), address: Self::beside(self.number) }
    }

    /// The server's address at the other end of the line.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        Self::over(self.number)
    }

    /// From now on it is like this; what is under way is not touched. How many packets it lost since
    /// it was set the last time.
    ///
    /// # Panics
    /// When it does not carry any more.
    pub fn set(&mut self, quality: Quality) -> u64 {
        let Quality { loss: [there, back], delay: [slow_there, slow_back] } = quality;
        let (slow_there, slow_back) = (slow_there.as_secs_f64(), slow_back.as_secs_f64());
        let answer = self.carrier.tell(&format!("{there} {back} {slow_there} {slow_back}"));
        let lost = answer.parse().unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        lost - std::mem::replace(&mut self.lost, lost)
    }
}

/// A process that says `ok`, and more, when it is ready and after each thing it is told.
#[derive(Debug)]
struct Process {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (Some(words), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("{command:?} has no pipes");
        };
        let mut process = Self { child, words, answers: BufReader::new(answers) };
        process.answer();
        process
    }

    fn tell(&mut self, words: &str) -> String {
        writeln!(self.words, "{words}").unwrap_or_else(|error| panic!("{words}: {error}"));
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        let more = line.strip_prefix("ok").map(|more| more.trim().to_owned());
        more.unwrap_or_else(|| panic!("{read:?} {line:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

fn inside(process: u32, arguments: &str) {
    let target = process.to_string();
    let mut nsenter = Command::new("nsenter");
    run(nsenter.args(["--target", &target, "--net", "--", "ip"]).args(arguments.split(' ')));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}
