//! Sorted lists that several states share.

use std::sync::Arc;

/// Puts one in its place. What others have too is copied with room for it alone, and one's own
/// grows by little: most lists are read much more often than they grow.
pub(super) fn insert<T: Clone>(all: &mut Arc<Vec<T>>, place: usize, one: T) {
    match Arc::get_mut(all) {
        Some(all) => {
            if all.len() == all.capacity() {
                all.reserve_exact(all.len() / 8 + 1);
            }
            all.insert(place, one);
        }
        None => {
            let mut copy = Vec::with_capacity(all.len() + 1);
            copy.extend_from_slice(&all[..place]);
            copy.push(one);
            copy.extend_from_slice(&all[place..]);
            *all = Arc::new(copy);
        }
    }
}
