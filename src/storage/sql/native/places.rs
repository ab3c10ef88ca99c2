//! Looking for what others wrote.

use std::collections::{BTreeMap, BTreeSet};

use super::{GROUP, INSTANCE, SERVICE};
use super::{group, instance, service};
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::native::{NativeRows, Place, PlacePrint};
use crate::storage::sql::batch::{Values, pieces};
use crate::storage::sql::engine::Transaction;
use crate::storage::sql::row::Row;
use crate::storage::sql::store::SqlStore;
use crate::storage::sql::table::Table;
use crate::storage::sql::text::Form;
use crate::storage::sql::value::of;

const LOOK: &str = "look for rows of others";
/// Keys in one `SELECT`.
const KEYS: usize = 64;
/// Heartbeats and checks move these all the time, and nobody else does.
const BEATS: &[&str] = &["lastHeartbeatTime", "lastHealthCheckTime"];

impl SqlStore {
    pub(super) async fn read_prints(&self) -> Result<BTreeMap<Place, PlacePrint>> {
        let mut tx = self.engine.read(LOOK).await?;
        let groups = tx.fetch(Form::Prints(&GROUP, group::NAME, BEATS), &[]).await?;
        let services = tx.fetch(Form::Prints(&SERVICE, service::NAME, BEATS), &[]).await?;
        let instances = tx.fetch(Form::Prints(&INSTANCE, service::NAME, BEATS), &[]).await?;
        tx.commit().await?;
        let mut prints: BTreeMap<Place, PlacePrint> = BTreeMap::new();
        for row in &groups {
            let (place, _, print) = read(row, 2)?;
            prints.entry(place).or_default().row = Some(print);
        }
        for row in &services {
            let (place, _, print) = read(row, 3)?;
            prints.entry(place).or_default().row = Some(print);
        }
        for row in &instances {
            let (place, count, print) = read(row, 3)?;
            let of = prints.entry(place).or_default();
            (of.count, of.instances) = (count, print);
        }
        Ok(prints)
    }

    pub(super) async fn read_places(&self, places: &[Place]) -> Result<NativeRows> {
        let services: Vec<Values<'_>> = places
            .iter()
            .filter(|place| !place.service_name.is_empty())
            .map(|p| vec![of::key(&p.tenant_id), of::key(&p.group_name), of::key(&p.service_name)])
            .collect();
        let groups: BTreeSet<Values<'_>> =
            places.iter().map(|p| vec![of::key(&p.tenant_id), of::key(&p.group_name)]).collect();
        let groups: Vec<_> = groups.into_iter().collect();
        let mut tx = self.engine.read(LOOK).await?;
        let rows = NativeRows {
            groups: select(&mut tx, &GROUP, group::NAME, &groups, group::read).await?,
            services: select(&mut tx, &SERVICE, service::NAME, &services, service::read).await?,
            instances: select(&mut tx, &INSTANCE, service::NAME, &services, instance::read).await?,
        };
        tx.commit().await?;
        Ok(rows)
    }
}

async fn select<T>(
    tx: &mut Transaction,
    table: &'static Table,
    key: &'static [&'static str],
    keys: &[Values<'_>],
    read: fn(&Row) -> T,
) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    for keys in pieces(keys, KEYS) {
        let found = tx.fetch(Form::SelectAny(table, key, keys.len()), &keys.concat()).await?;
        rows.extend(found.iter().map(read));
    }
    Ok(rows)
}

/// The place that the first columns name, and the two numbers after it.
fn read(row: &Row, names: usize) -> Result<(Place, i64, i64)> {
    // What is of another type than its column reads as empty: such a name is not valid anyhow.
    let name = |at| row.text(at).ok().flatten().unwrap_or_default();
    let number = |at| match row.int(at) {
        Ok(number) => Ok(number.unwrap_or_default()),
        Err(error) => Err(StorageError::new(StorageErrorKind::Internal, LOOK).with_source(error)),
    };
    let service_name = if names > 2 { name(2) } else { String::new() };
    let place = Place { tenant_id: name(0), group_name: name(1), service_name };
    Ok((place, number(names)?, number(names + 1)?))
}
