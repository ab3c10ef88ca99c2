//! Tokens.

use hub_registry::storage::{StorageErrorKind, TokenRow, TokenStore};

use crate::database::Database;
use crate::sample::token;

pub(crate) async fn tokens_are_added_listed_and_removed(database: &Database) {
    let store = &database.store;
    store.insert(&token(1)).await.unwrap();
    let bare = TokenRow { group_names: None, expire_time: None, ..token(2) };
    store.insert(&bare).await.unwrap();
    assert_eq!(TokenStore::list_all(store).await.unwrap(), [token(1), bare]);
    let same_hash = TokenRow { token_hash: token(1).token_hash, ..token(3) };
    let same_id = TokenRow { token_id: token(1).token_id, ..token(3) };
    for row in [same_hash, same_id] {
        let error = store.insert(&row).await.unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::Conflict, "{error}");
    }
    assert!(TokenStore::delete(store, &token(1).token_id).await.unwrap());
    assert!(!TokenStore::delete(store, &token(1).token_id).await.unwrap());
    assert_eq!(TokenStore::list_all(store).await.unwrap().len(), 1);
}
