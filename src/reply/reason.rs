//! Reasons: the stable names of denials and faults, with their status and words.

/// Why a request was refused or failed: the stable names of logs, metrics and `X-Ticketgate-Reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The bytes are not a request that every server reads alike.
    Malformed,
    /// A name that decides something stands twice, or where it must not.
    Ambiguous,
    /// Body or form over its limit.
    TooLarge,
    /// Head over its limit.
    HeaderTooLarge,
    /// The rule or default says deny, or the client may not call this endpoint.
    Denied,
    /// The request names no endpoint where one is needed.
    EndpointUnknown,
    /// client_id or api_token missing.
    ClientMissing,
    /// Unknown or disabled client, or wrong api_token.
    ClientRefused,
    /// No signature where one is required.
    SignMissing,
    /// Wrong signature.
    SignRefused,
    /// Signature outside its window.
    SignExpired,
    /// Signature or nonce seen before.
    SignReplayed,
    /// user_token (or user_id) missing.
    UserMissing,
    /// No such session.
    UserRefused,
    /// The login failed, where `login.failed: envelope` asks.
    LoginFailed,
    /// The application's own session is gone.
    SessionLost,
    /// Ended by an admin or a newer login.
    UserEnded,
    /// Bound to another client, address or connection.
    WrongChannel,
    /// Rate limit.
    Limited,
    /// Lock-out.
    Locked,
    /// Too many requests wait for the application.
    Overloaded,
    /// The store did not answer: undecided.
    StoreDown,
    /// The application failed.
    UpstreamFailed,
    /// The application was too slow.
    UpstreamTimeout,
    /// The gate itself failed: an error in its program.
    InternalError,
    /// The client left before it was answered.
    ClientClosed,
}

/// One row of the table of reasons.
struct Row {
    reason: Reason,
    name: &'static str,
    status: u16,
    english: &'static str,
    chinese: &'static str,
}

const fn row(reason: Reason, name: &'static str, status: u16, english: &'static str, chinese: &'static str) -> Row {
    Row { reason, name, status, english, chinese }
}

/// In the order of the enum, so that a reason is its own index.
#[rustfmt::skip]
const TABLE: [Row; Reason::COUNT] = [
    row(Reason::Malformed, "malformed", 400, "bad request", "请求格式错误"),
    row(Reason::Ambiguous, "ambiguous", 400, "ambiguous request", "请求参数有歧义"),
    row(Reason::TooLarge, "too_large", 413, "request too large", "请求内容过大"),
    row(Reason::HeaderTooLarge, "header_too_large", 431, "request header too large", "请求头过大"),
    row(Reason::Denied, "denied", 403, "access denied", "禁止访问"),
    row(Reason::EndpointUnknown, "endpoint_unknown", 404, "no such endpoint", "接口不存在"),
    row(Reason::ClientMissing, "client_missing", 401, "client_id or api_token is missing", "缺少 client_id 或 api_token"),
    row(Reason::ClientRefused, "client_refused", 401, "client refused", "客户端验证失败"),
    row(Reason::SignMissing, "sign_missing", 401, "signature is missing", "缺少签名"),
    row(Reason::SignRefused, "sign_refused", 401, "signature refused", "签名错误"),
    row(Reason::SignExpired, "sign_expired", 401, "signature expired", "签名已过期"),
    row(Reason::SignReplayed, "sign_replayed", 401, "signature already used", "签名已被使用"),
    row(Reason::UserMissing, "user_missing", 401, "please log in", "请先登录"),
    row(Reason::UserRefused, "user_refused", 401, "session expired, please log in again", "登录已失效，请重新登录"),
    row(Reason::LoginFailed, "login_failed", 401, "login failed", "登录失败"),
    row(Reason::SessionLost, "session_lost", 401, "session lost, please log in again", "会话已丢失，请重新登录"),
    row(Reason::UserEnded, "user_ended", 401, "logged in on another device", "您的账号已在其他设备登录"),
    row(Reason::WrongChannel, "wrong_channel", 403, "Illegal Sources", "非法来源"),
    row(Reason::Limited, "limited", 429, "too many requests", "请求过于频繁"),
    row(Reason::Locked, "locked", 429, "locked, try again later", "已被锁定，请稍后再试"),
    row(Reason::Overloaded, "overloaded", 503, "server is busy, try again later", "服务器繁忙，请稍后再试"),
    row(Reason::StoreDown, "store_down", 503, "service unavailable, try again later", "服务暂不可用，请稍后再试"),
    row(Reason::UpstreamFailed, "upstream_failed", 502, "application unavailable", "应用服务不可用"),
    row(Reason::UpstreamTimeout, "upstream_timeout", 504, "application timed out", "应用服务超时"),
    row(Reason::InternalError, "internal_error", 500, "internal error", "网关内部错误"),
    row(Reason::ClientClosed, "client_closed", 499, "client closed the connection", "客户端已断开连接"),
];

impl Reason {
    /// How many there are.
    pub const COUNT: usize = Self::ClientClosed as usize + 1;

    fn row(self) -> &'static Row {
        // The table has a row for every reason, in order (see the test), so the fallback is never taken.
        TABLE.get(self as usize).unwrap_or(&TABLE[0])
    }

    /// The stable name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.reason)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.reason)
    }

    /// The status line's code.
    pub fn status(self) -> u16 {
        self.row().status
    }

    /// What the caller reads, in English or Chinese.
    pub fn message(self, chinese: bool) -> &'static str {
        if chinese { self.row().chinese } else { self.row().english }
    }

    /// Whether the caller may try again soon, and is told when.
    pub const fn passes_by_itself(self) -> bool {
        matches!(self, Self::Limited | Self::Locked | Self::Overloaded | Self::StoreDown)
    }

    /// Whether it is our side that failed.
    pub const fn is_fault(self) -> bool {
        use Reason::{InternalError, Overloaded, StoreDown, UpstreamFailed, UpstreamTimeout};
        matches!(self, Overloaded | StoreDown | UpstreamFailed | UpstreamTimeout | InternalError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_its_own_index_and_found_by_its_name() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.reason as usize, index);
            assert_eq!(Reason::from_name(row.reason.name()), Some(row.reason));
        }
        assert_eq!(Reason::from_name("nonsense"), None);
    }
}
