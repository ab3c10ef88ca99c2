//! Whole lists from paged ones.

use hub_registry_core::{Error, ErrorKind, Result};

/// Asked for per page: nearly every list is one page, hence of one moment.
pub(super) const SIZE: &str = "20000";

/// How often a list that changed between its pages is begun again.
const ATTEMPTS: u32 = 4;

/// Reads page after page (from 1) until all that the first announced are there. A list whose
/// count changes on the way is read again: a page boundary that moved may have hidden an entry.
pub(super) async fn whole<T, Fut>(
    operation: &'static str,
    mut read: impl FnMut(u32) -> Fut,
) -> Result<Vec<T>>
where
    Fut: Future<Output = Result<(usize, Vec<T>)>>,
{
    'again: for _ in 0..ATTEMPTS {
        let mut all = Vec::new();
        let mut announced = None;
        for page in 1.. {
            let (count, mut entries) = read(page).await?;
            if *announced.get_or_insert(count) != count {
                continue 'again;
            }
            let done = entries.is_empty();
            all.append(&mut entries);
            if all.len() == count {
                return Ok(all);
            }
            if done || all.len() > count {
                break;
            }
        }
    }
    let message = "the pages never added up to the count they announce";
    Err(Error::new(ErrorKind::Protocol, operation, message))
}
