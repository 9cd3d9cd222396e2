//! Dates of client tokens and lives of sessions, by a clock that the tests move.

mod support;

use std::time::Duration;

use support::apps::{MVC, Site};
use support::backend::FakeBackend;
use support::caller::{Caller, mvc};
use support::gate::Gate;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// 2026-11-20T00:00:00Z
const MIDNIGHT: u64 = 1_795_132_800;

async fn lives(caller: &Caller) -> bool {
    let reply = caller.get("message/box/poll").await;
    assert!(reply.status == 200 || reply.reason() == "user_refused", "{reply:?}");
    reply.status == 200
}

#[tokio::test]
async fn near_midnight_both_days_pass_and_nowhere_else() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(MVC).upstream(&backend.url).start().await;
    let target = |date: &str| {
        let token = support::caller::md5_token("news/list/index", date, "s3cret");
        format!("{}&client_id=ios&api_token={token}", mvc("news/list/index"))
    };
    for (second, yesterday, today) in [
        (MIDNIGHT - 3600, true, false),
        (MIDNIGHT - 360, true, false),
        (MIDNIGHT - 240, true, true),
        (MIDNIGHT + 240, true, true),
        (MIDNIGHT + 360, false, true),
        (MIDNIGHT + 12 * 3600, false, true),
    ] {
        gate.move_to(second);
        for (date, passes) in
            [("2026-11-18", false), ("2026-11-19", yesterday), ("2026-11-20", today), ("2026-11-21", false)]
        {
            let reply = gate.get(&target(date)).await;
            assert_eq!(reply.status == 200, passes, "{date} at {second}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn dates_are_those_of_the_configured_zone() {
    let backend = FakeBackend::start().await;
    let yaml = format!("{MVC}\ntime: {{zone: Asia/Shanghai, skew: 1m}}\n");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    // Ten in the evening in London is six in the morning of the next day in Shanghai.
    gate.move_to(MIDNIGHT - 2 * 3600);
    let ios = gate.client("ios", "s3cret");
    ios.get("news/list/index").await.assert_refused(401, "client_refused");
    ios.zone("Asia/Shanghai").get("news/list/index").await.assert_passed();
}

#[tokio::test]
async fn a_template_of_a_client_may_leave_the_date_out() {
    let backend = FakeBackend::start().await;
    let yaml =
        MVC.replace("secret: s3cret}", "secret: s3cret, token: \"{module}-{action}-{secret}\", date_format: \"\"}");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let token = support::caller::md5_token("news-index-s3cret", "", "");
    gate.get(&format!("{}&client_id=ios&api_token={token}", mvc("news/list/index"))).await.assert_passed();
    gate.client("ios", "s3cret").get("news/list/index").await.assert_refused(401, "client_refused");
}

#[tokio::test]
async fn every_accepted_request_pushes_the_expiry_forward() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    for _ in 0..5 {
        site.gate.clock.advance(HOUR + 50 * MINUTE);
        lilei.get("user/info/get").await.assert_passed();
    }
    site.gate.clock.advance(2 * HOUR + 2 * MINUTE);
    lilei.get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_session_ends_never_earlier_than_idle_after_its_last_use() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    // The second use comes so soon that the store need not be told of it at once; it counts all the same.
    site.gate.clock.advance(Duration::from_secs(30));
    lilei.get("user/info/get").await.assert_passed();
    site.gate.clock.advance(2 * HOUR - Duration::from_secs(5));
    assert!(lives(&lilei).await);
    site.gate.clock.advance(MINUTE + Duration::from_secs(10));
    assert!(!lives(&lilei).await, "and at most `extend_every` later");
}

#[tokio::test]
async fn no_use_carries_a_session_past_its_greatest_age() {
    let php = support::php::Php::application("mvc");
    let yaml = format!("{MVC}\nsession: {{idle: 2h, max_age: 5h}}\n");
    let gate = Gate::with(&yaml).upstream(&php.url).start().await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    for _ in 0..4 {
        gate.clock.advance(HOUR);
        lilei.get("user/info/get").await.assert_passed();
    }
    gate.clock.advance(HOUR + MINUTE);
    lilei.get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_rule_that_does_not_extend_checks_alone() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    for _ in 0..11 {
        site.gate.clock.advance(10 * MINUTE);
        assert!(lives(&lilei).await);
    }
    site.gate.clock.advance(12 * MINUTE);
    assert!(!lives(&lilei).await);
}

#[tokio::test]
async fn a_refused_request_extends_nothing() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let stranger = site.android().with(lilei.session().clone());
    site.gate.clock.advance(HOUR + 30 * MINUTE);
    stranger.get("user/info/get").await.assert_refused(403, "wrong_channel");
    site.gate.clock.advance(HOUR);
    assert!(!lives(&lilei).await);
}
