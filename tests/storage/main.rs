//! What the stores promise, on each database: a SQLite file, a real PostgreSQL, a real MariaDB.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code: a failure is a panic, and the switch for tests does not reach helpers"
)]

mod access;
mod database;
mod events;
mod external;
mod hand_made;
mod ledger;
mod migrations;
mod moves;
mod native;
mod outages;
mod outside;
mod races;
mod retention;
mod sample;
mod schema;
mod sealed;
mod sqlite_file;
mod texts;

/// Stamps each test on each database.
macro_rules! on_each_database {
    ($($module:ident::$test:ident,)*) => {
        on_each_database!(@ sqlite Sqlite $($module::$test,)*);
        on_each_database!(@ postgres Postgres $($module::$test,)*);
        on_each_database!(@ mariadb MariaDb $($module::$test,)*);
    };
    (@ $name:ident $kind:ident $($module:ident::$test:ident,)*) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let kind = crate::database::Kind::$kind;
                    if let Some(database) = crate::database::Database::fresh(kind).await {
                        crate::$module::$test(&database).await;
                        database.store.close().await;
                    }
                }
            )*
        }
    };
}

on_each_database!(
    access::tokens_are_added_listed_and_removed,
    external::configs_are_compared_and_set,
    external::every_column_of_a_config_comes_back,
    external::every_column_of_a_status_comes_back,
    external::deleting_a_config_takes_status_and_snapshot_along,
    external::a_snapshot_is_whole_or_not_there,
    external::a_snapshot_keeps_long_and_odd_names,
    external::a_ceiling_never_falls,
    hand_made::a_row_of_plain_sql_has_every_default,
    hand_made::native_rows_of_plain_sql_have_every_default,
    hand_made::a_row_with_another_id_gives_way,
    hand_made::a_status_with_another_id_gives_way,
    hand_made::null_columns_are_read,
    ledger::copies_are_put_replaced_and_removed,
    ledger::the_hub_is_one_owner_for_ever,
    moves::migrations_are_put_and_removed_with_their_parity,
    migrations::a_second_run_finds_nothing_to_do,
    migrations::two_at_once_do_it_once,
    migrations::the_printed_script_makes_the_same_tables,
    native::every_column_of_the_native_tables_comes_back,
    native::removed_rows_are_gone,
    native::a_big_batch_is_written_whole,
    native::the_last_of_several_writes_wins,
    native::the_order_of_writes_counts,
    native::a_batch_that_fails_leaves_nothing,
    native::heartbeats_move_what_they_move,
    native::events_are_rows,
    events::a_commit_is_numbered_read_and_counted,
    events::what_is_undone_is_forgotten,
    events::filters_pages_and_cursors,
    events::retention_raises_the_floor,
    outside::native_rows_of_plain_sql_take_effect,
    outside::many_rows_are_compared_in_pages,
    outside::looks_cost_little_where_nobody_wrote,
    races::writers_at_once_lose_nothing,
    races::one_of_two_versions_wins,
    retention::old_events_leave,
    retention::too_many_events_leave,
    retention::dead_rows_leave,
    sealed::secrets_are_sealed_in_the_table_and_open_to_who_asks,
    sealed::the_longest_secrets_fit,
    sealed::what_plain_sql_wrote_is_sealed_when_it_is_listed,
    sealed::a_sealed_text_opens_in_its_own_row_only,
    sealed::without_its_key_a_secret_stays_as_it_is,
    sealed::everything_is_sealed_anew_while_others_write,
    texts::unicode_and_big_texts_come_back,
    texts::names_that_differ_in_case_differ,
    texts::sql_in_a_text_is_text,
    texts::times_keep_their_milliseconds,
);
