//! Multipart bodies, read conservatively: any part whose name PHP could read as a reserved one is found, wherever PHP's loose
//! parser might find a part. Nothing is taken from them.

use crate::request::reserved::Reserved;

/// Watches a multipart body as it streams. Feed it every byte in order.
#[derive(Debug)]
pub struct Scan {
    reserved: Reserved,
}

impl Scan {
    /// A scan for those names.
    pub fn new(reserved: Reserved) -> Self {
        Self { reserved }
    }

    /// Takes the next bytes. Returns how many of them are safe to pass on (all but a beginning that may yet turn out to be a
    /// reserved part's), or the reserved name that was found. Bytes held back count with the next call's.
    pub fn feed(&mut self, _bytes: &[u8]) -> Result<usize, Vec<u8>> {
        let _ = &self.reserved;
        todo!()
    }
}
