//! Nonces and signatures that were used: a key each, and a count per client.

use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use crate::ids::{ClientId, TokenHash};
use crate::store::{Fault, Remembered};

use super::{Redis, scripts};

impl Redis {
    /// One round trip where all is well. The count is taken before it is known whether the mark is new, and taken back where it
    /// is not: replays must not use up what the client itself may use.
    pub(in crate::store) async fn remember(
        &self,
        client: &ClientId,
        mark: TokenHash,
        life: Duration,
        most: u64,
    ) -> Result<Remembered, Fault> {
        let (key, count_key) = (self.codec.mark_key(client, mark), self.codec.mark_count_key(client));
        let (life, deadline) = (scripts::millis(life), self.route.deadline());
        let mut commands = Pipeline::new();
        commands.cmd("SET").arg(&key).arg(1).arg("NX").arg("PX").arg(life);
        scripts::call(&mut commands, scripts::COUNT, &count_key).arg(most).arg(life);
        let mut answers = self.route.exchange(&commands, deadline).await?;
        let is_fresh = answers.bytes()?.is_some();
        let full_for = answers.number()?;
        match (is_fresh, u64::try_from(full_for)) {
            (true, Ok(0)) => Ok(Remembered::Fresh),
            (true, full_for) => {
                self.unmark(&key, deadline).await?;
                Ok(Remembered::Full(Duration::from_millis(full_for.unwrap_or(life))))
            }
            (false, full_for) => {
                if full_for == Ok(0) {
                    self.uncount(&count_key, deadline).await;
                }
                Ok(Remembered::Seen)
            }
        }
    }

    async fn unmark(&self, key: &str, deadline: Instant) -> Result<(), Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("DEL").arg(key);
        self.route.exchange(&commands, deadline).await?.number().map(drop)
    }

    /// One counted too many is no harm: the count expires.
    async fn uncount(&self, key: &str, deadline: Instant) {
        let mut commands = Pipeline::new();
        scripts::call(&mut commands, scripts::UNCOUNT, key);
        let _ = self.route.exchange(&commands, deadline).await;
    }
}
