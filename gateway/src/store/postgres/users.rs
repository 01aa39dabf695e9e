//! Accounts and room lists, in the user's slot.

use uuid::Uuid;

use super::PostgresStore;
use crate::{
    model::{Room, User, UserId},
    store::{NewUser, StoreError, StoredEvent, limits::MAX_USER_ROOMS, membership::listing},
};

impl PostgresStore {
    pub(super) async fn insert_user(&self, new: NewUser) -> Result<User, StoreError> {
        let NewUser { user, password_hash } = new;
        let slot = self.slot(user.id.0);
        self.on_slot(slot, |pool| {
            let (user, password_hash) = (&user, &password_hash);
            async move {
                sqlx::query("select chat.create_user($1, $2, $3, $4, $5)")
                    .bind(slot)
                    .bind(user.id.0)
                    .bind(&user.name)
                    .bind(&user.display_name)
                    .bind(password_hash)
                    .execute(&pool)
                    .await
            }
        })
        .await?;
        Ok(user)
    }

    pub(super) async fn find_users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        type Row = (Uuid, bool, Option<String>, Option<String>);
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let (rows, complete) = self
            .gather(&ids, |pool, slots, ids| async move {
                let rows: Vec<Row> =
                    sqlx::query_as("select user_id, readable, name, display_name from chat.users($1, $2)")
                        .bind(slots)
                        .bind(ids)
                        .fetch_all(&pool)
                        .await?;
                Ok(rows.into_iter().map(|(id, readable, name, display)| (id, readable, (id, name, display))).collect())
            })
            .await?;
        if !complete {
            // A user left out would be taken for one that does not exist.
            return Err(self.some_shard_away());
        }
        let user = |(id, name, display_name)| Some(User { id: UserId(id), name: name?, display_name: display_name? });
        Ok(rows.into_iter().filter_map(user).collect())
    }

    pub(super) async fn find_credentials(&self, id: UserId) -> Result<Option<(User, String)>, StoreError> {
        type Row = (Option<String>, Option<String>, Option<String>);
        let slot = self.slot(id.0);
        let (name, display_name, hash): Row = self
            .on_slot(slot, |pool| async move {
                sqlx::query_as("select name, display_name, password_hash from chat.credentials($1, $2)")
                    .bind(slot)
                    .bind(id.0)
                    .fetch_one(&pool)
                    .await
            })
            .await?;
        let (Some(name), Some(display_name), Some(hash)) = (name, display_name, hash) else { return Ok(None) };
        Ok(Some((User { id, name, display_name }, hash)))
    }

    /// Ids of a user's rooms.
    pub(super) async fn list_ids(&self, user: UserId) -> Result<Vec<Uuid>, StoreError> {
        let slot = self.slot(user.0);
        let limit = i32::try_from(MAX_USER_ROOMS).unwrap_or(i32::MAX);
        let ids: Vec<Option<Uuid>> = self
            .on_slot(slot, |pool| async move {
                sqlx::query_scalar("select room_id from chat.user_rooms($1, $2, $3)")
                    .bind(slot)
                    .bind(user.0)
                    .bind(limit)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        Ok(ids.into_iter().flatten().collect())
    }

    pub(super) async fn list_rooms(&self, user: UserId) -> Result<(Vec<Room>, bool), StoreError> {
        let ids = self.list_ids(user).await?;
        self.rooms_of(user, &ids).await
    }

    pub(super) async fn apply_listing(&self, event: &StoredEvent) -> Result<(), StoreError> {
        let Some((user, room, joined, version)) = listing(event) else { return Ok(()) };
        let slot = self.slot(user.0);
        self.on_slot(slot, |pool| async move {
            sqlx::query("select chat.apply_membership($1, $2, $3, $4, $5)")
                .bind(slot)
                .bind(user.0)
                .bind(room.0)
                .bind(joined)
                .bind(version)
                .execute(&pool)
                .await
        })
        .await?;
        Ok(())
    }

    /// Names the shards that are away, for an answer that needs all of them.
    fn some_shard_away(&self) -> StoreError {
        let shards = self.fleet.shards();
        let away: Vec<&str> = shards
            .iter()
            .filter(|shard| shard.status().borrow().away.is_some())
            .map(|shard| shard.name.as_str())
            .collect();
        StoreError::Unavailable { shard: away.join(","), cause: "some of the users could not be looked up".to_owned() }
    }
}
