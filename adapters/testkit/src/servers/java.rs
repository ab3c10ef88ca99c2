//! What the servers that run in a JVM have in common.

use std::path::PathBuf;

use super::environment;
use super::plan::{Plan, text};

/// The reason why a server cannot be started here.
pub(super) fn missing(name: &str) -> Option<String> {
    plan(name, Jvm::Brief { heap: 0 }, &[], Vec::new()).err()
}

/// What a JVM is started for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Jvm {
    /// A test, that needs so many mebibytes of heap.
    Brief { heap: u32 },
    /// To see how fast it is.
    Measured,
}

/// The command line of the server that `tests/servers/install` built under this name.
pub(super) fn plan(
    name: &str,
    jvm: Jvm,
    properties: &[String],
    arguments: Vec<String>,
) -> Result<Plan, String> {
    let Some(program) = environment::program("java") else {
        return Err("there is no `java` on the PATH".to_owned());
    };
    let Some(built) = environment::built_servers() else {
        return Err("no folder for built servers: HOME is not set".to_owned());
    };
    let jar = built.join(format!("{name}.jar"));
    // The stamp is written when all the rest is in its place.
    if !jar.is_file() || !built.join(format!("{name}.stamp")).is_file() {
        return Err(format!("{} is not built", jar.display()));
    }
    let mut all = match jvm {
        Jvm::Brief { heap } => brief(heap, built.join(format!("{name}.jsa"))),
        Jvm::Measured => vec!["-Xmx1g".to_owned()],
    };
    all.extend(properties.iter().cloned());
    all.extend(["-jar".to_owned(), text(&jar)]);
    all.extend(arguments);
    Ok(Plan { program, arguments: all })
}

/// A server that lives for minutes on two cores needs neither the optimising compiler nor a
/// concurrent collector.
fn brief(heap: u32, archive: PathBuf) -> Vec<String> {
    let mut options = vec![
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        format!("-Xmx{heap}m"),
    ];
    // Ignored by a JVM other than the one that wrote it.
    if archive.is_file() {
        options.push(format!("-XX:SharedArchiveFile={}", text(&archive)));
    }
    options
}
