//! What every face that is asked by HTTP has in common.
//!
//! | module | what |
//! |---|---|
//! | [`shown`] | what a request shows of itself in its headers |
//! | [`body`] | its body, of bounded size |
//! | [`gzip`] | compressed answers, put together from compressed parts |
//! | [`Meant`] | that a failure is the protocol's, and none of the hub |

pub mod body;
pub mod gzip;
pub mod shown;

/// Of an answer whose status is that of a failure because its protocol has it so, while the hub has not
/// failed: a client's mistake, or that it is not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Meant;
