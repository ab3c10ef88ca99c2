//! [`NativeStore`] over SQL.

mod group;
mod instance;
mod places;
mod service;

pub(super) use group::GROUP;
pub(super) use instance::INSTANCE;
pub(super) use service::SERVICE;

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::batch::{self, Batch, Values, pieces};
use super::engine::Transaction;
use super::error::again;
use super::event::{self, EVENT};
use super::store::SqlStore;
use super::text::Form;
use super::value::of;
use crate::storage::error::{Result, StorageErrorKind};
use crate::storage::native::{
    HeartbeatRow, NativeReader, NativeRows, NativeStore, NativeWrite, Place, PlacePrint, Tide,
};

#[async_trait]
impl NativeStore for SqlStore {
    async fn read(&self, to: &mut dyn NativeReader) -> Result<()> {
        // One transaction, so that the tables are of one moment.
        let mut tx = self.engine.read("load native rows").await?;
        let groups = Form::Select(&GROUP, group::ORDER);
        tx.each(groups, |row| to.group(group::read(&row))).await?;
        let services = Form::Select(&SERVICE, service::ORDER);
        tx.each(services, |row| to.service(service::read(&row))).await?;
        let instances = Form::Select(&INSTANCE, instance::ORDER);
        tx.each(instances, |row| to.instance(instance::read(&row))).await?;
        tx.commit().await
    }

    async fn commit(&self, writes: &[NativeWrite]) -> Result<()> {
        let plan = Plan::of(writes);
        match again(|| self.write_native(&plan, false)).await {
            // Only a row made by hand has another id for an address than ours.
            Err(error)
                if error.kind() == StorageErrorKind::Conflict
                    && !self.engine.dialect().puts_over_other_key() =>
            {
                again(|| self.write_native(&plan, true)).await
            }
            done => done,
        }
    }

    async fn flush(&self, beats: &[HeartbeatRow]) -> Result<()> {
        // The last of each instance, in the order of their keys: as a batch is.
        let last: BTreeMap<_, _> =
            beats.iter().map(|row| ((&row.tenant_id, &row.service_instance_id), row)).collect();
        let rows: Vec<_> = last.into_values().map(beat).collect();
        again(|| self.write_beats(&rows)).await
    }

    async fn tide(&self) -> Result<Option<Tide>> {
        self.engine.tide("look for rows of others").await
    }

    async fn prints(&self) -> Result<BTreeMap<Place, PlacePrint>> {
        self.read_prints().await
    }

    async fn rows_of(&self, places: &[Place]) -> Result<NativeRows> {
        self.read_places(places).await
    }
}

impl SqlStore {
    async fn write_native(&self, plan: &Plan<'_>, displace: bool) -> Result<()> {
        let mut tx = self.native_rows(plan, displace).await?;
        // As late as can be: what came to wait meanwhile is taken along too.
        let mut arrived = Vec::new();
        for passenger in self.waiting.take() {
            if event::append(&mut tx, &passenger.batch).await.is_err() {
                // What others write must not make this fail. It is tried again by itself.
                drop((tx, arrived));
                return self.native_rows(plan, displace).await?.commit().await;
            }
            arrived.push(passenger.arrived);
        }
        tx.commit_with(arrived).await
    }

    async fn native_rows(&self, plan: &Plan<'_>, displace: bool) -> Result<Transaction> {
        let mut tx = self.engine.write("write native rows").await?;
        plan.groups.run(&mut tx, displace).await?;
        plan.services.run(&mut tx, displace).await?;
        plan.instances.run(&mut tx, displace).await?;
        event::forget(&mut tx, &plan.forgotten).await?;
        batch::insert(&mut tx, &EVENT, &plan.events).await?;
        Ok(tx)
    }

    async fn write_beats(&self, rows: &[Values<'_>]) -> Result<()> {
        let mut tx = self.engine.write("flush heartbeats").await?;
        for rows in pieces(rows, tx.rows_at_most()) {
            tx.execute(Form::Beats(rows.len()), &rows.concat()).await?;
        }
        tx.commit().await
    }
}

/// The writes of a commit by table: no row of one table bears on those of another.
#[derive(Debug)]
struct Plan<'w> {
    groups: Batch<'w>,
    services: Batch<'w>,
    instances: Batch<'w>,
    events: Vec<Values<'w>>,
    forgotten: Vec<Values<'w>>,
}

impl<'w> Plan<'w> {
    fn of(writes: &'w [NativeWrite]) -> Self {
        let mut plan = Self {
            groups: Batch::new(&GROUP, group::NAME),
            services: Batch::new(&SERVICE, service::NAME),
            instances: Batch::new(&INSTANCE, instance::ID),
            events: Vec::new(),
            forgotten: Vec::new(),
        };
        for write in writes {
            plan.add(write);
        }
        Self {
            groups: plan.groups.sorted(),
            services: plan.services.sorted(),
            instances: plan.instances.sorted(),
            events: plan.events,
            forgotten: plan.forgotten,
        }
    }

    fn add(&mut self, write: &'w NativeWrite) {
        match write {
            NativeWrite::PutGroup(row) => self.groups.put(group::values(row)),
            NativeWrite::PutService(row) => self.services.put(service::values(row)),
            NativeWrite::PutInstance(row) => self.instances.put(instance::values(row)),
            NativeWrite::DeleteGroup { tenant_id, group_name } => {
                self.groups.remove(vec![of::key(tenant_id), of::key(group_name)]);
            }
            NativeWrite::DeleteService { tenant_id, group_name, service_name } => {
                let key = vec![of::key(tenant_id), of::key(group_name), of::key(service_name)];
                self.services.remove(key);
            }
            NativeWrite::DeleteInstance { tenant_id, service_instance_id } => {
                self.instances.remove(vec![of::key(tenant_id), of::key(service_instance_id)]);
            }
            NativeWrite::AddEvent(row) => self.events.push(event::values(row)),
            NativeWrite::ForgetEvents(mark) => self.forgotten.push(event::mark(mark)),
        }
    }
}

fn beat(row: &HeartbeatRow) -> Values<'_> {
    vec![
        of::key(&row.tenant_id),
        of::key(&row.service_instance_id),
        of::time(&row.last_heartbeat_time),
        of::time(&row.last_health_check_time),
        of::key(&row.health_status),
        of::text(&row.ext_property),
    ]
}
