//! What every face that is asked by HTTP has in common.
//!
//! | module | what |
//! |---|---|
//! | [`shown`] | what a request shows of itself in its headers |
//! | [`body`] | its body, of bounded size |
//! | [`gzip`] | compressed answers, put together from compressed parts |

pub mod body;
pub mod gzip;
pub mod shown;
