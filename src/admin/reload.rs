//! `/reload`: takes up the configuration file as it stands now.

use serde_json::json;

use crate::admin::answer::{self, Problem, Response};
use crate::reload::Reload;

/// What changed, or all that stands in the way.
pub(super) async fn reload(reload: &Reload) -> Result<Response, Problem> {
    match reload.ask().await {
        Some(Ok(taken)) => Ok(answer::ok(&json!({"changed": taken.changed, "warnings": taken.warnings}))),
        Some(Err(kept)) => Err(Problem::not_taken_up(&kept.faults)),
        None => Err(Problem::unavailable("nobody takes up a configuration here: the gate is ending, or has no file")),
    }
}
