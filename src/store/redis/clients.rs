//! Registered clients in Redis: strings that never expire.

use std::collections::BTreeMap;

use redis::Pipeline;

use crate::ids::ClientId;
use crate::store::Fault;
use crate::store::held::Key;
use crate::store::record::ClientRecord;

use super::link::Link;
use super::{PAGE, Redis, TRIES, contended, scripts};

impl Redis {
    pub(in crate::store) async fn add_client(&self, record: &ClientRecord) -> Result<bool, Fault> {
        let mut commands = Pipeline::new();
        let (key, stored) = (self.codec.client_key(&record.id), self.codec.seal_client(record)?);
        commands.cmd("SET").arg(key).arg(stored).arg("NX");
        let answers = self.exchange(&commands).await;
        self.forget_client(&record.id);
        Ok(answers?.bytes()?.is_some())
    }

    pub(in crate::store) async fn change_client(
        &self,
        id: &ClientId,
        change: &(dyn Fn(&mut ClientRecord) + Send + Sync),
    ) -> Result<Option<ClientRecord>, Fault> {
        let (key, deadline) = (self.codec.client_key(id), self.route.deadline());
        for _ in 0..TRIES {
            let mut read = Pipeline::new();
            read.cmd("GET").arg(&key);
            let Some(old) = self.route.exchange(&read, deadline).await?.bytes()? else { return Ok(None) };
            let mut record = self.codec.open_client(id, old.clone())?;
            change(&mut record);
            record.id = id.clone();
            let new = self.codec.seal_client(&record)?;
            let swapped = self.swap(scripts::SWAP_CLIENT, &key, (&old, &new), deadline).await;
            self.forget_client(id);
            if let Some(swapped) = swapped? {
                return Ok(swapped.then_some(record));
            }
        }
        Err(contended())
    }

    pub(in crate::store) async fn remove_client(&self, id: &ClientId) -> Result<bool, Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("DEL").arg(self.codec.client_key(id));
        self.forget_client(id);
        let answers = self.exchange(&commands).await;
        self.forget_client(id);
        Ok(answers?.number()? > 0)
    }

    fn forget_client(&self, id: &ClientId) {
        self.forget(&Key::Client(id.clone()));
    }

    pub(in crate::store) async fn clients(&self) -> Result<Vec<ClientRecord>, Fault> {
        // A scan may name a key twice.
        let mut clients = BTreeMap::new();
        for server in self.route.servers().await? {
            let mut cursor = Some(b"0".to_vec());
            while let Some(at) = cursor {
                let (next, page) = self.page(&server, &at).await?;
                for (id, stored) in page {
                    clients.insert(id.as_str().to_owned(), self.codec.open_client(&id, stored)?);
                }
                cursor = next;
            }
        }
        Ok(clients.into_values().collect())
    }

    /// Writes every client again that does not lie under the first key; says how many. Those that do not open stay as they are.
    pub(in crate::store) async fn renew_clients(&self) -> Result<usize, Fault> {
        let mut renewed = 0;
        for server in self.route.servers().await? {
            renewed += self.renew_clients_of(&server).await?;
        }
        Ok(renewed)
    }

    async fn renew_clients_of(&self, server: &Link) -> Result<usize, Fault> {
        let (mut renewed, mut cursor) = (0, Some(b"0".to_vec()));
        while let Some(at) = cursor {
            let (next, page) = self.page(server, &at).await?;
            for (id, _) in page.into_iter().filter(|(_, stored)| self.codec.is_outdated(stored)) {
                match self.change_client(&id, &|_| ()).await {
                    Ok(record) => renewed += usize::from(record.is_some()),
                    Err(fault @ Fault::Unreadable(_)) => tracing::warn!(%fault, "a client is not sealed anew"),
                    Err(fault) => return Err(fault),
                }
            }
            cursor = next;
        }
        Ok(renewed)
    }

    /// Some clients that one server has, as they are stored, and where the next ones begin; `None` after the last.
    async fn page(&self, server: &Link, cursor: &[u8]) -> Result<(Option<Vec<u8>>, Vec<(ClientId, Vec<u8>)>), Fault> {
        let (next, ids) = self.scan(server, cursor).await?;
        let mut commands = Pipeline::with_capacity(ids.len());
        for id in &ids {
            commands.cmd("GET").arg(self.codec.client_key(id));
        }
        let mut page = Vec::with_capacity(ids.len());
        if !commands.is_empty() {
            let mut answers = self.exchange(&commands).await?;
            for id in ids {
                if let Some(stored) = answers.bytes()? {
                    page.push((id, stored));
                }
            }
        }
        Ok(((next != b"0").then_some(next), page))
    }

    async fn scan(&self, server: &Link, cursor: &[u8]) -> Result<(Vec<u8>, Vec<ClientId>), Fault> {
        let prefix = self.codec.client_prefix();
        let mut commands = Pipeline::new();
        commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(glob(&prefix)).arg("COUNT").arg(PAGE);
        let (cursor, keys) = server.exchange(&commands, self.route.deadline()).await?.page()?;
        let ids = keys.iter().filter_map(|key| key.strip_prefix(prefix.as_bytes())).map(ClientId::new);
        let ids = ids.collect::<Result<_, _>>();
        Ok((cursor, ids.map_err(|bad| Fault::Unreadable(format!("the id of a client in a key {bad}")))?))
    }
}

/// A pattern that matches what begins with `prefix`.
fn glob(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "*"
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_prefix_is_matched_literally() {
        assert_eq!(glob("a[b]*?\\:"), "a\\[b\\]\\*\\?\\\\:*");
    }
}
